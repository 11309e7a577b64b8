"""Authlib's client over httpx, as https://docs.authlib.org/en/latest/client/httpx.html shows it."""

import functools
import ssl

from authlib.integrations.httpx_client import OAuth2Client

import authlib_deeds
import report

speaking = ssl.create_default_context()
if report.CERTIFICATE:
    speaking.load_cert_chain(*report.CERTIFICATE)
authlib_deeds.do_with(functools.partial(OAuth2Client, verify=speaking))
