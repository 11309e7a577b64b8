"""What a library did, told as one line of JSON. Never tells a token or a secret."""

import json
import os

NOT_OFFERED = "not offered by the library"
METHOD = os.environ["AUTH_METHOD"]
CLIENT_ID = os.environ["CLIENT_ID"]
CLIENT_SECRET = os.environ["CLIENT_SECRET"]
TOKEN_URL = os.environ["TOKEN_URL"]
REVOKE_URL = os.environ["REVOKE_URL"]
INTROSPECT_URL = os.environ["INTROSPECT_URL"]
API_URL = os.environ["API_URL"]


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
