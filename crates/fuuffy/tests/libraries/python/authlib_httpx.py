"""Authlib's client over httpx, as https://docs.authlib.org/en/latest/client/httpx.html shows it."""

from authlib.integrations.httpx_client import OAuth2Client

import authlib_deeds

authlib_deeds.do_with(OAuth2Client)
