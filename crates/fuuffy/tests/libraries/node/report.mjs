// What a library did, told as one line of JSON. Never tells a token or a secret.

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { request } from "node:https";

export const { AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, DPOP_ALGORITHM, ISSUER, API_URL } = process.env;

const NOT_OFFERED = "not offered by the library";

/** The client's private key, as Web Crypto has it. */
export async function clientKey() {
  const { CLIENT_KEY_FILE, KEY_ALGORITHM } = process.env;
  const der = createPrivateKey(readFileSync(CLIENT_KEY_FILE)).export({ type: "pkcs8", format: "der" });
  const algorithms = {
    ES256: { name: "ECDSA", namedCurve: "P-256" },
    RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  };
  const algorithm = algorithms[KEY_ALGORITHM] ?? KEY_ALGORITHM;
  return crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

/** A fetch that shows the client's certificate, where it has one; Node's own has no way to. */
export function fetchWithCertificate(url, { method, headers, body }) {
  const { CLIENT_CERT_FILE, CLIENT_KEY_FILE } = process.env;
  const options = { method, headers: Object.fromEntries(new Headers(headers)) };
  Object.assign(options, { cert: readFileSync(CLIENT_CERT_FILE), key: readFileSync(CLIENT_KEY_FILE) });
  return new Promise((resolve, reject) => {
    const asked = request(url, options, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece)).on("error", reject);
      answer.on("end", () =>
        resolve(new Response(Buffer.concat(pieces), { status: answer.statusCode, headers: answer.headers })),
      );
    });
    asked.on("error", reject).end(body?.toString());
  });
}

/** Does the deeds in their order, and stops at the first that fails. A deed that is null is not offered. */
export async function tell(deeds) {
  const told = { auth_method: AUTH_METHOD };
  for (const [name, deed] of Object.entries(deeds)) {
    told[name] = NOT_OFFERED;
    if (deed === null) continue;
    try {
      await deed();
      told[name] = "ok";
    } catch (error) {
      told[name] = `${error.name}: ${error.message}`;
      break;
    }
  }
  console.log(JSON.stringify(told));
}
