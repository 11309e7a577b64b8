"""Authlib's client over httpx, as https://docs.authlib.org/en/latest/client/httpx.html shows it."""

from authlib.integrations.httpx_client import OAuth2Client

import report

client = OAuth2Client(
    report.CLIENT_ID,
    report.CLIENT_SECRET,
    token_endpoint_auth_method=report.METHOD,
    revocation_endpoint_auth_method=report.METHOD,
)


def token():
    client.fetch_token(report.TOKEN_URL, grant_type="client_credentials")


def call():
    client.get(report.API_URL).raise_for_status()


def introspect():
    answer = client.introspect_token(report.INTROSPECT_URL, token=client.token["access_token"])
    answer.raise_for_status()
    assert answer.json()["active"] is True, answer.json()


def revoke():
    client.revoke_token(report.REVOKE_URL, token=client.token["access_token"]).raise_for_status()
    assert client.get(report.API_URL).status_code == 401


report.tell(token=token, call=call, introspect=introspect, revoke=revoke)
