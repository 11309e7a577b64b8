// openid-client, as https://github.com/panva/openid-client/blob/main/README.md shows it. It is told the issuer alone,
// and finds the rest in the metadata.

import assert from "node:assert";
import * as client from "openid-client";
import { API_URL, AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, ISSUER, tell } from "./report.mjs";

const methods = { client_secret_basic: client.ClientSecretBasic, client_secret_post: client.ClientSecretPost };
let config;
let token;

const call = () => client.fetchProtectedResource(config, token, new URL(API_URL), "GET");

await tell({
  async token() {
    const method = methods[AUTH_METHOD](CLIENT_SECRET);
    config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, method, { algorithm: "oauth2" });
    token = (await client.clientCredentialsGrant(config)).access_token;
  },
  async call() {
    assert.strictEqual((await call()).status, 200);
  },
  async introspect() {
    assert.strictEqual((await client.tokenIntrospection(config, token)).active, true);
  },
  async revoke() {
    await client.tokenRevocation(config, token);
    await assert.rejects(call, client.WWWAuthenticateChallengeError);
  },
});
