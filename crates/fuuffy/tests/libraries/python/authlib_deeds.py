"""What Authlib's clients do alike, whichever library is beneath them."""

from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

import report


class ShortAssertion(PrivateKeyJWT):
    """An assertion for this token service that lives for a minute. Authlib's own is for the token endpoint, and lives for an
    hour; its `claims` would shorten that, and then have the same `jti` each time."""

    def sign(self, auth, token_endpoint):
        key, audience = auth.client_secret, report.ISSUER
        return private_key_jwt_sign(key, auth.client_id, audience, alg=report.KEY_ALGORITHM, expires_in=60)


def do_with(kind):
    """Does the deeds with a client of a kind, which shows the certificate by itself where it has one. It has nothing else to
    prove itself by then, and says no more than who it is."""
    method = "none" if report.CERTIFICATE else report.METHOD
    client = kind(
        report.CLIENT_ID,
        None if report.CERTIFICATE else report.CLIENT_SECRET or report.client_key(),
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )
    client.register_client_auth_method(ShortAssertion())

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
