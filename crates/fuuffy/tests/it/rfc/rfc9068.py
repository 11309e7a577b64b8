"""What Authlib's validator of access tokens (RFC 9068) says of tokens, by what a resource server knows: the keys, the
issuer and its own name. Reads JSON and writes JSON."""

import json
import sys

from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

asked = json.load(sys.stdin)


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return asked["keys"]


def verdict(token):
    validator = Validator(issuer=asked["issuer"], resource_server=asked["resource"])
    try:
        claims = validator.authenticate_token(token)
        validator.validate_token(claims, [asked["scope"]], None)
        return claims["client_id"]
    except (InvalidTokenError, InsufficientScopeError) as error:
        return type(error).__name__


json.dump([verdict(token) for token in asked["tokens"]], sys.stdout)
