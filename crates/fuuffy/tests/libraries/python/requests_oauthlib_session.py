"""requests-oauthlib's workflow for backend applications, as its documentation shows it:
https://requests-oauthlib.readthedocs.io/en/latest/oauth2_workflow.html"""

from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

import report

session = OAuth2Session(client=BackendApplicationClient(client_id=report.CLIENT_ID))


def token():
    if report.METHOD == "client_secret_basic":
        session.fetch_token(report.TOKEN_URL, auth=HTTPBasicAuth(report.CLIENT_ID, report.CLIENT_SECRET))
    elif report.CERTIFICATE:
        session.fetch_token(report.TOKEN_URL, include_client_id=True, cert=report.CERTIFICATE)
    else:
        session.fetch_token(report.TOKEN_URL, client_secret=report.CLIENT_SECRET, include_client_id=True)


def call():
    session.get(report.API_URL, cert=report.CERTIFICATE).raise_for_status()


report.tell(token=token, call=call, introspect=None, revoke=None)
