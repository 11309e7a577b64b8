#!/usr/bin/env python3
"""Lists orders and makes one, through the agent on this machine. There are no credentials here."""

import json
import os
import sys
import urllib.error
import urllib.request

API = os.environ.get("FUUFFY_AGENT", "http://127.0.0.1:7443") + "/v1"


def call(path, order=None):
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(API + path, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


try:
    page = call("/orders?per_page=2")
    print(len(page["data"]), "of", page["pagination"]["total"], "orders")
    print("made", call("/orders", {"item": "Teapot", "quantity": 2})["data"]["id"])
except urllib.error.HTTPError as refusal:
    error = json.load(refusal)["error"]
    sys.exit(f"{refusal.code} {error['code']}: {error['message']}. {error['details']}")
