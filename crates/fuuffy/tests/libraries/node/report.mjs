// What a library did, told as one line of JSON. Never tells a token or a secret.

export const { AUTH_METHOD, CLIENT_ID, CLIENT_SECRET, ISSUER, API_URL } = process.env;

const NOT_OFFERED = "not offered by the library";

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
