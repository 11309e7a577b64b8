"""Authlib's session over requests, as https://docs.authlib.org/en/latest/client/oauth2.html shows it."""

from authlib.integrations.requests_client import OAuth2Session

import report

session = OAuth2Session(
    report.CLIENT_ID,
    report.CLIENT_SECRET,
    token_endpoint_auth_method=report.METHOD,
    revocation_endpoint_auth_method=report.METHOD,
)


def token():
    session.fetch_token(report.TOKEN_URL, grant_type="client_credentials")


def call():
    session.get(report.API_URL).raise_for_status()


def introspect():
    answer = session.introspect_token(report.INTROSPECT_URL, token=session.token["access_token"])
    answer.raise_for_status()
    assert answer.json()["active"] is True, answer.json()


def revoke():
    session.revoke_token(report.REVOKE_URL, token=session.token["access_token"]).raise_for_status()
    assert session.get(report.API_URL).status_code == 401


report.tell(token=token, call=call, introspect=introspect, revoke=revoke)
