// simple-oauth2, as https://github.com/lelylan/simple-oauth2/blob/master/README.md shows it.

import assert from "node:assert";
import { ClientCredentials } from "simple-oauth2";
import { API_URL, AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, ISSUER, tell } from "./report.mjs";

const client = new ClientCredentials({
  client: { id: CLIENT_ID, secret: CLIENT_SECRET },
  auth: { tokenHost: ISSUER },
  options: { authorizationMethod: AUTH_METHOD === "client_secret_basic" ? "header" : "body" },
});
let token;

const call = () => fetch(API_URL, { headers: { authorization: `Bearer ${token.token.access_token}` } });

await tell({
  async token() {
    token = await client.getToken({});
  },
  async call() {
    assert.strictEqual((await call()).status, 200);
  },
  introspect: null,
  async revoke() {
    await token.revoke("access_token");
    assert.strictEqual((await call()).status, 401);
  },
});
