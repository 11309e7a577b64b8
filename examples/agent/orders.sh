#!/bin/sh
# Lists orders and makes one, through the agent on this machine. There are no credentials here.
set -eu

api="${FUUFFY_AGENT:-http://127.0.0.1:7443}/v1"

curl --silent --show-error --fail-with-body "$api/orders?per_page=2"
echo
curl --silent --show-error --fail-with-body "$api/orders" \
    -H "Content-Type: application/json" \
    -d '{"item":"Teapot","quantity":2}'
echo
