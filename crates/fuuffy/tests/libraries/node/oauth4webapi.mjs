// oauth4webapi, as https://github.com/panva/oauth4webapi/blob/main/examples/client_credentials.ts shows it. It is told
// the issuer alone, and finds the rest in the metadata.

import assert from "node:assert";
import * as oauth from "oauth4webapi";
import { API_URL, AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, ISSUER, tell } from "./report.mjs";

const methods = { client_secret_basic: oauth.ClientSecretBasic, client_secret_post: oauth.ClientSecretPost };
const issuer = new URL(ISSUER);
const client = { client_id: CLIENT_ID };
const method = methods[AUTH_METHOD](CLIENT_SECRET);
let server;
let token;

const call = () => oauth.protectedResourceRequest(token, "GET", new URL(API_URL));

await tell({
  async token() {
    const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
    server = await oauth.processDiscoveryResponse(issuer, found);
    const answer = await oauth.clientCredentialsGrantRequest(server, client, method, new URLSearchParams());
    token = (await oauth.processClientCredentialsResponse(server, client, answer)).access_token;
  },
  async call() {
    assert.strictEqual((await call()).status, 200);
  },
  async introspect() {
    const answer = await oauth.introspectionRequest(server, client, method, token);
    assert.strictEqual((await oauth.processIntrospectionResponse(server, client, answer)).active, true);
  },
  async revoke() {
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, method, token));
    await assert.rejects(call, oauth.WWWAuthenticateChallengeError);
  },
});
