// oauth4webapi, as https://github.com/panva/oauth4webapi/blob/main/examples/client_credentials.ts and dpop.ts beside it
// show it. It is told where the API is, whose metadata names the token service, and finds the rest in that one's.

import assert from "node:assert";
import * as oauth from "oauth4webapi";
import { API_URL, AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, DPOP_ALGORITHM, ISSUER } from "./report.mjs";
import { clientKey, fetchWithCertificate, tell } from "./report.mjs";

const methods = {
  client_secret_basic: () => oauth.ClientSecretBasic(CLIENT_SECRET),
  client_secret_post: () => oauth.ClientSecretPost(CLIENT_SECRET),
  private_key_jwt: async () => oauth.PrivateKeyJwt(await clientKey()),
  tls_client_auth: () => oauth.TlsClientAuth(),
  self_signed_tls_client_auth: () => oauth.TlsClientAuth(),
};
const resource = new URL("/v1", API_URL);
const client = { client_id: CLIENT_ID };
const method = await methods[AUTH_METHOD]();
const DPoP = DPOP_ALGORITHM ? oauth.DPoP(client, await oauth.generateKeyPair(DPOP_ALGORITHM)) : undefined;
const byCertificate = AUTH_METHOD.endsWith("tls_client_auth") ? { [oauth.customFetch]: fetchWithCertificate } : {};
const options = { DPoP, ...byCertificate };
let server;
let token;

/** Does it again where the server wants a nonce of its own in the proof. */
const withNonce = (deed) => deed().catch((error) => (oauth.isDPoPNonceError(error) ? deed() : Promise.reject(error)));

const grant = async () => {
  const answer = await oauth.clientCredentialsGrantRequest(server, client, method, new URLSearchParams(), options);
  return oauth.processClientCredentialsResponse(server, client, answer);
};
const call = () =>
  withNonce(() => oauth.protectedResourceRequest(token, "GET", new URL(API_URL), undefined, undefined, options));

await tell({
  async token() {
    const api = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource));
    assert.deepStrictEqual(api.authorization_servers, [ISSUER]);
    const issuer = new URL(api.authorization_servers[0]);
    const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2" });
    server = await oauth.processDiscoveryResponse(issuer, found);
    token = (await withNonce(grant)).access_token;
  },
  async call() {
    assert.strictEqual((await call()).status, 200);
  },
  async introspect() {
    const answer = await oauth.introspectionRequest(server, client, method, token, byCertificate);
    assert.strictEqual((await oauth.processIntrospectionResponse(server, client, answer)).active, true);
  },
  async revoke() {
    const answer = await oauth.revocationRequest(server, client, method, token, byCertificate);
    await oauth.processRevocationResponse(answer);
    await assert.rejects(call, oauth.WWWAuthenticateChallengeError);
  },
});
