//! The OAuth 2.0 Authorization Framework, as far as it binds a server of the client credentials grant.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{FORM, basic, error, post_as, served};
use crate::app::{Registered, post_form, token_form};
use crate::http1::{Reply, request};

const PATH: &str = "/oauth/token";
const GRANT: &str = "grant_type=client_credentials";

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(error(reply), (status, code.to_owned()), "{}", reply.text());
}

/// "The client MUST NOT use more than one authentication method in each request."
#[test]
fn section_2_3_one_authentication_a_request() {
    let (place, server) = served();
    let client = place.client("testing");
    let field = basic(&client);
    let both = request(server.testing, "POST", PATH, &[FORM, ("authorization", &field)], &token_form(&client));
    refused(&both, 400, "invalid_request");
    let twice = [FORM, ("authorization", field.as_str()), ("authorization", field.as_str())];
    refused(&request(server.testing, "POST", PATH, &twice, GRANT), 400, "invalid_request");
    // "A client MAY use the client_id request parameter to identify itself" (§3.2.1): as the same one.
    let named = format!("{GRANT}&client_id={}", client.id);
    assert_eq!(post_as(&client, server.testing, PATH, &named).status, 200);
    refused(&post_as(&client, server.testing, PATH, &format!("{GRANT}&client_id=other")), 400, "invalid_request");
}

/// "The authorization server MUST support the HTTP Basic authentication scheme", with identifier and password encoded
/// as a form's values are; "the authorization server MAY support including the client credentials in the request-body";
/// "The parameters ... MUST NOT be included in the request URI."
#[test]
fn section_2_3_1_a_client_password_by_basic_or_in_the_body_and_never_in_the_uri() {
    let (place, server) = served();
    let client = place.client("testing");
    assert_eq!(post_as(&client, server.testing, PATH, GRANT).status, 200);
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let encoded = format!("basic {}", STANDARD.encode(format!("{}:{}", escape(&client.id), escape(&client.secret))));
    let reply = request(server.testing, "POST", PATH, &[FORM, ("authorization", &encoded)], GRANT);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(post_form(server.testing, PATH, &token_form(&client)).status, 200);
    let in_uri = format!("{PATH}?client_id={}&client_secret={}", client.id, client.secret);
    refused(&request(server.testing, "POST", &in_uri, &[FORM], GRANT), 400, "invalid_request");
}

/// "Since this client authentication method involves a password, the authorization server MUST protect any endpoint
/// utilizing it against brute force attacks."
#[test]
fn section_2_3_1_guessing_is_limited() {
    let (place, server) = served();
    let client = place.client("testing");
    let wrong = Registered { id: client.id.clone(), secret: "wrong".to_owned() };
    // Two endpoints, and one limit.
    for path in [PATH, "/oauth/introspect"].into_iter().cycle().take(300) {
        refused(&post_as(&wrong, server.testing, path, &format!("{GRANT}&token=x")), 401, "invalid_client");
    }
    for path in [PATH, "/oauth/introspect", "/oauth/revoke"] {
        let reply = post_as(&wrong, server.testing, path, &format!("{GRANT}&token=x"));
        refused(&reply, 429, "rate_limit_exceeded");
    }
}

/// "The endpoint URI MAY include an "application/x-www-form-urlencoded" formatted ... query component"; "The client MUST
/// use the HTTP "POST" method"; "Parameters sent without a value MUST be treated as if they were omitted from the request.
/// The authorization server MUST ignore unrecognized request parameters. Request and response parameters MUST NOT be
/// included more than once."
#[test]
fn section_3_2_the_token_endpoint() {
    let (place, server) = served();
    let client = place.client("testing");
    let to = server.testing;
    assert_eq!(request(to, "POST", &format!("{PATH}?tenant=a"), &[FORM], &token_form(&client)).status, 200);
    for method in ["GET", "PUT", "DELETE"] {
        let reply = request(to, method, PATH, &[], "");
        assert_eq!((reply.status, reply.field("allow")), (405, Some("POST")), "{method}");
    }
    assert_eq!(post_as(&client, to, PATH, &format!("{GRANT}&scope=&client_secret=&code=")).status, 200);
    assert_eq!(post_as(&client, to, PATH, &format!("{GRANT}&audience=x&audience=y&state=z")).status, 200);
    for repeated in ["grant_type=client_credentials", "scope=orders:read&scope=orders:read", "client_id=&client_id="] {
        refused(&post_as(&client, to, PATH, &format!("{GRANT}&{repeated}")), 400, "invalid_request");
    }
}

/// "scope = scope-token *( SP scope-token )": "case-sensitive strings", whose "order does not matter"; "If the issued
/// access token scope is different from the one requested by the client, the authorization server MUST include the
/// "scope" response parameter"; "If the client omits the scope parameter ..., the authorization server MUST either
/// process the request using a pre-defined default value or fail the request": all that the client has.
#[test]
fn section_3_3_scopes() {
    let (place, server) = served();
    let client = place.client("testing");
    let granted = |scope: &str| post_as(&client, server.testing, PATH, &format!("{GRANT}&scope={scope}"));
    let scope_of = |reply: &Reply| {
        let form = format!("token={}", reply.json()["access_token"].as_str().unwrap());
        let told = post_as(&client, server.testing, "/oauth/introspect", &form).json();
        let scope: HashSet<String> = told["scope"].as_str().unwrap().split(' ').map(str::to_owned).collect();
        scope
    };
    let both = HashSet::from(["orders:read".to_owned(), "orders:write".to_owned()]);
    for asked in ["orders:read+orders:write", "orders:write+orders:read", "orders:write%20orders:read"] {
        assert_eq!(scope_of(&granted(asked)), both, "{asked}");
    }
    assert_eq!(scope_of(&post_as(&client, server.testing, PATH, GRANT)), both);
    let narrow = granted("orders:read");
    assert_eq!(scope_of(&narrow), HashSet::from(["orders:read".to_owned()]));
    assert_eq!(narrow.json().get("scope"), None, "it is the one asked for");
    for asked in
        ["Orders:read", "orders:read++orders:write", "+orders:read", "orders:read%09orders:write", "a%22", "%C3%A4"]
    {
        refused(&granted(asked), 400, "invalid_scope");
    }
}

/// "The client makes a request to the token endpoint by adding the following parameters": grant_type "MUST be set to
/// client_credentials", and "The client MUST authenticate with the authorization server".
#[test]
fn section_4_4_2_the_access_token_request() {
    let (place, server) = served();
    let client = place.client("testing");
    assert_eq!(post_as(&client, server.testing, PATH, GRANT).status, 200);
    refused(&post_form(server.testing, PATH, GRANT), 401, "invalid_client");
    refused(&post_form(server.testing, PATH, &format!("{GRANT}&client_id={}", client.id)), 401, "invalid_client");
}

/// "A refresh token SHOULD NOT be included."
#[test]
fn section_4_4_3_no_refresh_token() {
    let (place, server) = served();
    let client = place.client("testing");
    let granted = post_as(&client, server.testing, PATH, GRANT).json();
    let names: Vec<&String> = granted.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "token_type", "expires_in"]);
}

/// "The parameters are included in the entity-body of the HTTP response using the "application/json" media type";
/// "The authorization server MUST include the HTTP "Cache-Control" response header field with a value of "no-store" in
/// any response containing tokens, ... as well as the "Pragma" response header field with a value of "no-cache"."
#[test]
fn section_5_1_a_successful_response() {
    let (place, server) = served();
    let client = place.client("testing");
    for path in [PATH, "/v1/auth/token"] {
        let reply = post_as(&client, server.testing, path, GRANT);
        assert_eq!((reply.status, reply.field("content-type")), (200, Some("application/json")));
        assert_eq!(
            (reply.field("cache-control"), reply.field("pragma")),
            (Some("no-store"), Some("no-cache")),
            "{path}"
        );
    }
    let granted = post_as(&client, server.testing, PATH, GRANT).json();
    assert_eq!((&granted["token_type"], &granted["expires_in"]), (&Value::from("Bearer"), &Value::from(3600)));
}

/// Of invalid_client: "If the client attempted to authenticate via the "Authorization" request header field, the
/// authorization server MUST respond with an HTTP 401 (Unauthorized) status code and include the "WWW-Authenticate"
/// response header field matching the authentication scheme used by the client."
#[test]
fn section_5_2_a_failed_authentication_by_a_field_is_challenged_by_its_scheme() {
    let (place, server) = served();
    let client = place.client("testing");
    let wrong = Registered { id: client.id, secret: "wrong".to_owned() };
    let reply = post_as(&wrong, server.testing, PATH, GRANT);
    refused(&reply, 401, "invalid_client");
    assert!(reply.field("www-authenticate").unwrap().starts_with("Basic "));
    for field in ["Basic", "Basic nonsense!", "Basic YQ=="] {
        let reply = request(server.testing, "POST", PATH, &[FORM, ("authorization", field)], GRANT);
        refused(&reply, 401, "invalid_client");
        assert!(reply.field("www-authenticate").unwrap().starts_with("Basic "), "{field}");
    }
}

/// "The authorization server responds with an HTTP 400 (Bad Request) status code (unless specified otherwise)" with one
/// of the registered codes; `error_description` "MUST NOT include characters outside the set %x20-21 / %x23-5B /
/// %x5D-7E". A suspended client is told so with 403, which the guide's contract specifies.
#[test]
fn section_5_2_an_error_response() {
    let (place, server) = served();
    let (client, suspended) = (place.client("testing"), place.client("testing"));
    place.done(&["clients", "suspend", "--environment", "testing", &suspended.id]);
    let of = |form: &str| post_as(&client, server.testing, PATH, form);
    let cases = [
        (of("scope=orders:read"), 400, "invalid_request"),
        (of("grant_type=authorization_code&code=x"), 400, "unsupported_grant_type"),
        (of("grant_type=password&username=a&password=b"), 400, "unsupported_grant_type"),
        (of(&format!("{GRANT}&scope=orders:delete")), 400, "invalid_scope"),
        (post_as(&suspended, server.testing, PATH, GRANT), 403, "unauthorized_client"),
        (post_form(server.testing, PATH, GRANT), 401, "invalid_client"),
    ];
    for (reply, status, code) in cases {
        refused(&reply, status, code);
        assert_eq!(reply.field("content-type"), Some("application/json"));
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        let body = reply.json();
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["error", "error_description"]);
        let words = body["error_description"].as_str().unwrap();
        assert!(words.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{words}");
    }
}

/// "The probability of an attacker guessing generated tokens ... MUST be less than or equal to 2^(-128)": 128 bits at
/// least, no two alike, and no bit that never changes.
#[test]
fn section_10_10_tokens_are_128_random_bits() {
    let (place, server) = served();
    let client = place.client("testing");
    let (mut seen, mut ones, mut zeros) = (HashSet::new(), 0_u128, 0_u128);
    for _ in 0..200 {
        let reply = post_as(&client, server.testing, PATH, GRANT).json();
        let token = reply["access_token"].as_str().unwrap().to_owned();
        let bits = u128::from_str_radix(token.strip_prefix("sk-").unwrap(), 16).unwrap();
        ones |= bits;
        zeros |= !bits;
        assert!(seen.insert(token));
    }
    assert_eq!((ones, zeros), (u128::MAX, u128::MAX));
}

/// "the authorization server MUST require the use of TLS as described in Section 1.6 when sending requests to the token
/// endpoint."
#[test]
fn section_3_2_the_token_endpoint_is_there_over_tls_alone() {
    super::is_there_over_tls_alone("/oauth/token", "scope=orders:read");
}
