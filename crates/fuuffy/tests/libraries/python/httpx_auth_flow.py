"""httpx-auth's client credentials flow, as https://colin-b.github.io/httpx_auth/ shows it."""

import httpx
from httpx_auth import OAuth2ClientCredentials

import report

auth = OAuth2ClientCredentials(report.TOKEN_URL, client_id=report.CLIENT_ID, client_secret=report.CLIENT_SECRET)


def call():
    """The library gets its token within the first call."""
    with httpx.Client() as client:
        client.get(report.API_URL, auth=auth).raise_for_status()


report.tell(token=call, call=call, introspect=None, revoke=None)
