"""What a library did, told as one line of JSON. Never tells a token or a secret."""

import json
import os

NOT_OFFERED = "not offered by the library"
METHOD = os.environ["AUTH_METHOD"]
CLIENT_ID = os.environ["CLIENT_ID"]
# One with a key has no secret.
CLIENT_SECRET = os.environ.get("CLIENT_SECRET")
KEY_ALGORITHM = os.environ.get("KEY_ALGORITHM")
ISSUER = os.environ["ISSUER"]
# One with a certificate has neither.
CERTIFICATE = (os.environ["CLIENT_CERT_FILE"], os.environ["CLIENT_KEY_FILE"]) if "CLIENT_CERT_FILE" in os.environ else None
TOKEN_URL = os.environ["TOKEN_URL"]
REVOKE_URL = os.environ["REVOKE_URL"]
INTROSPECT_URL = os.environ["INTROSPECT_URL"]
API_URL = os.environ["API_URL"]


def client_key():
    """The client's private key."""
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    kind = {"ES256": ECKey, "Ed25519": OKPKey, "EdDSA": OKPKey, "RS256": RSAKey}[KEY_ALGORITHM]
    with open(os.environ["CLIENT_KEY_FILE"], "rb") as file:
        return kind.import_key(file.read())


def tell(**deeds):
    """Does the deeds in their order, and stops at the first that fails. A deed that is None is not offered."""
    told = {"auth_method": METHOD}
    for name, deed in deeds.items():
        told[name] = NOT_OFFERED
        if deed is None:
            continue
        try:
            deed()
            told[name] = "ok"
        except Exception as error:  # Whatever a library raises is what the test is to say.
            told[name] = f"{type(error).__name__}: {error}"
            break
    print(json.dumps(told))
