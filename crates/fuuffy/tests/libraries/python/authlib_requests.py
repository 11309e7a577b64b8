"""Authlib's session over requests, as https://docs.authlib.org/en/latest/client/oauth2.html shows it."""

from authlib.integrations.requests_client import OAuth2Session

import authlib_deeds
import report


def session(*arguments, **options):
    made = OAuth2Session(*arguments, **options)
    made.cert = report.CERTIFICATE
    return made


authlib_deeds.do_with(session)
