"""What schemathesis must know of the operators' API that no schema can say: which client it must leave alone, and
which values only the configuration and the clock can judge."""

import os
import re
import zlib

import schemathesis

CLIENTS = [line.split() for line in os.environ["ADMIN_CLIENTS"].splitlines()]
OPERATOR = os.environ["ADMIN_OPERATOR"]
# The configuration has this plan alone, no token lives for more than a day, each window of a limit has a unit of its
# own, and a time may have passed. What is not well-formed stays as it is, to be refused.
KNOWN = {
    "plan": (r"[A-Za-z0-9_-]{1,64}", "standard"),
    "limits": (r"[1-9][0-9]{0,7}/(s|min|h|d)( [1-9][0-9]{0,7}/(s|min|h|d))*", "200/min 5000/h"),
    "token_lifetime": (r"[0-9]{1,6}[smhd]", "15m"),
    "expires_at": (r"\d{4}-\d\d-\d\d[Tt].*", "2100-01-01T00:00:00Z"),
    "for": (r"[0-9]{1,6}[smhd]", "4h"),
    "when_unused_for": (r"[0-9]{1,6}[smhd]", "24h"),
    "jwks_uri": (r"https://[!-~]{1,492}", "https://client.example.com/jwks.json"),
}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    # Ids that there are; most of those that are made up lead nowhere.
    drawn = (path_parameters or {}).get("client")
    if isinstance(drawn, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", drawn):
        client, secret = CLIENTS[zlib.crc32(drawn.encode()) % len(CLIENTS)]
        known = {"client": client, "secret": secret}
        return {name: known.get(name, value) for name, value in path_parameters.items()}
    return path_parameters


@schemathesis.hook
def filter_case(context, case):
    # Who cuts off the own branch finds out nothing more.
    return (case.path_parameters or {}).get("client") != OPERATOR


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.body, dict):
        # A client proves itself by one of these.
        given = [member for member in ("jwk", "jwks_uri", "identity", "certificate") if case.body.get(member) is not None]
        for member in given[1:]:
            del case.body[member]
        for member, (form, known) in KNOWN.items():
            value = case.body.get(member)
            if isinstance(value, str) and re.fullmatch(form, value):
                case.body[member] = known
