// openid-client, as https://github.com/panva/openid-client/blob/main/README.md shows it. It is told the issuer alone,
// and finds the rest in the metadata.

import assert from "node:assert";
import * as client from "openid-client";
import { API_URL, AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, DPOP_ALGORITHM, ISSUER } from "./report.mjs";
import { clientKey, fetchWithCertificate, tell } from "./report.mjs";

const methods = {
  client_secret_basic: () => client.ClientSecretBasic(CLIENT_SECRET),
  client_secret_post: () => client.ClientSecretPost(CLIENT_SECRET),
  private_key_jwt: async () => client.PrivateKeyJwt(await clientKey()),
  tls_client_auth: () => client.TlsClientAuth(),
  self_signed_tls_client_auth: () => client.TlsClientAuth(),
};
const byCertificate = AUTH_METHOD.endsWith("tls_client_auth") ? { [client.customFetch]: fetchWithCertificate } : {};
let config;
let token;
let DPoP;

const call = () => client.fetchProtectedResource(config, token, new URL(API_URL), "GET", undefined, undefined, { DPoP });

await tell({
  async token() {
    const method = await methods[AUTH_METHOD]();
    const options = { algorithm: "oauth2", ...byCertificate };
    config = await client.discovery(new URL(ISSUER), CLIENT_ID, undefined, method, options);
    if (DPOP_ALGORITHM) DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair(DPOP_ALGORITHM));
    token = (await client.clientCredentialsGrant(config, {}, { DPoP })).access_token;
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
