// What a library did, told as one line of JSON. Never tells a token or a secret.

import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";

export const { AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, DPOP_ALGORITHM, ISSUER, API_URL } = process.env;

const NOT_OFFERED = "not offered by the library";

/** The client's private key, as Web Crypto has it. */
export async function clientKey() {
  const { CLIENT_KEY_FILE, KEY_ALGORITHM } = process.env;
  const der = createPrivateKey(readFileSync(CLIENT_KEY_FILE)).export({ type: "pkcs8", format: "der" });
  const algorithm = KEY_ALGORITHM === "ES256" ? { name: "ECDSA", namedCurve: "P-256" } : KEY_ALGORITHM;
  return crypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
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
