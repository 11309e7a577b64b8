"""A mail server, aiosmtpd, as a test asks for it: STARTTLS, TLS from the first byte, or neither; with or without
signing in. It tells its port in the first line, and then a line of JSON for each letter."""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

ask = json.loads(sys.argv[1])


def tell(what):
    print(json.dumps(what), flush=True)


class Letters:
    async def handle_DATA(self, server, session, envelope):
        tell({
            "tls": session.ssl is not None or ask["tls"] == "implicit",
            "login": getattr(session, "known", None),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "letter": envelope.content.decode("ascii"),
        })
        return "250 taken"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 known"


def authenticate(server, session, envelope, mechanism, data):
    session.known = [mechanism, data.login.decode()]
    known = [data.login.decode(), data.password.decode()] == ask["login"]
    return AuthResult(success=known, handled=False)


async def main():
    context = None
    if ask["tls"] != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(ask["certificate"], ask["key"])
    is_starttls = ask["tls"] == "required"

    def smtp():
        return SMTP(
            Letters(),
            hostname="localhost",
            tls_context=context if is_starttls else None,
            require_starttls=is_starttls,
            auth_required=ask["login"] is not None,
            auth_require_tls=is_starttls,
            authenticator=authenticate,
            auth_exclude_mechanism=ask["without"],
        )

    loop = asyncio.get_running_loop()
    implicit = context if ask["tls"] == "implicit" else None
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=implicit)
    tell(server.sockets[0].getsockname()[1])
    # It ends with the test, which holds the other end of its input.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
