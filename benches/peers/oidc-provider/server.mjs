// node-oidc-provider as it comes, with a client for each method of the client credentials grant. It keeps its tokens
// in memory.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const [port, tlsPort, tls] = process.argv.slice(2);
const client = {
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: 'orders:read orders:write',
};
const clients = [{
  ...client,
  client_id: 'bench',
  client_secret: process.env.BENCH_SECRET,
  token_endpoint_auth_method: 'client_secret_post',
}];
const { BENCH_JWK, BENCH_CERTIFICATE } = process.env;
if (BENCH_JWK) {
  const jwks = { keys: [JSON.parse(BENCH_JWK)] };
  clients.push({ ...client, client_id: 'bench-key', token_endpoint_auth_method: 'private_key_jwt', jwks });
}
if (BENCH_CERTIFICATE) {
  const jwks = { keys: [{ ...JSON.parse(BENCH_JWK), x5c: [BENCH_CERTIFICATE] }] };
  const token_endpoint_auth_method = 'self_signed_tls_client_auth';
  clients.push({ ...client, client_id: 'bench-tls', token_endpoint_auth_method, jwks });
}
const provider = new Provider(`http://localhost:${port}`, {
  clients,
  scopes: ['orders:read', 'orders:write'],
  clientAuthMethods: ['client_secret_post', 'private_key_jwt', 'self_signed_tls_client_auth'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true },
    mTLS: {
      enabled: true,
      selfSignedTlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate(),
    },
  },
});
provider.listen(port, '127.0.0.1', () => console.log('ready'));
if (tls) {
  const [cert, key] = ['cert', 'key'].map((name) => readFileSync(`${tls}/${name}.pem`));
  createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, provider.callback()).listen(tlsPort, '127.0.0.1');
}
