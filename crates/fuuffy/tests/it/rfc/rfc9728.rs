//! OAuth 2.0 Protected Resource Metadata.

use serde_json::json;

use super::{FORM, served};
use crate::app::{Place, config, config_with, get, token};
use crate::http1::{Reply, request};
use crate::upstream::{Act, Upstream};

const PATH: &str = "/.well-known/oauth-protected-resource";
const OF_CHALLENGE: &str =
    r#"resource_metadata="https://testing-api-gateway.fuuffy.com/.well-known/oauth-protected-resource/v1""#;

#[test]
fn section_2_the_members() {
    let (_place, server) = served();
    let expected = json!({
        "resource": "https://testing-api-gateway.fuuffy.com/v1",
        "authorization_servers": ["https://testing-api-gateway.fuuffy.com"],
        "scopes_supported": ["orders:read", "orders:write"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "Ed25519"],
    });
    assert_eq!(request(server.testing, "GET", &format!("{PATH}/v1"), &[], "").json(), expected);
    let place = Place::new(&config(Upstream::friendly().address).replace("scopes = {", "#"));
    let bare = request(place.serve().testing, "GET", PATH, &[], "").json();
    assert_eq!(bare.get("scopes_supported"), None, "claims with zero elements are left out (§3.2)");
}

/// "If the resource identifier value contains a path or query component, any terminating slash (/) following the host
/// component MUST be removed before inserting /.well-known/ and the well-known URI path suffix between the host component
/// and the path and/or query components".
#[test]
fn section_3_1_the_name_is_inserted_before_the_path() {
    let (_place, server) = served();
    let document = request(server.testing, "GET", &format!("{PATH}/v1"), &[], "");
    assert_eq!(document.status, 200);
    assert_eq!(request(server.testing, "GET", PATH, &[], "").text(), document.text());
    for path in ["/", "/v2", "/v1/", "/v1/orders", "s"] {
        assert_eq!(request(server.testing, "GET", &format!("{PATH}{path}"), &[], "").code(), "not_found", "{path}");
    }
    let at_root = config_with(Upstream::friendly().address, "base_url = \"https://api.example.com/\"", "");
    let place = Place::new(&at_root);
    let server = place.serve();
    let reply = request(server.testing, "GET", PATH, &[("host", "api.example.com")], "");
    assert_eq!(reply.json()["resource"], "https://api.example.com");
    assert_eq!(request(server.testing, "GET", &format!("{PATH}/v1"), &[], "").status, 404);
}

/// "A successful response MUST use the 200 OK HTTP status code and return a JSON object using the application/json
/// content type".
#[test]
fn section_3_2_the_answer_is_json() {
    let (_place, server) = served();
    let reply = request(server.testing, "GET", &format!("{PATH}/v1"), &[], "");
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("application/json")));
    assert_eq!(reply.field("cache-control"), Some("max-age=3600"));
    let refused = request(server.testing, "POST", &format!("{PATH}/v1"), &[FORM], "x=1");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
}

/// "The resource value returned MUST be identical to the protected resource's resource identifier value into which the
/// well-known URI path suffix was inserted": the configured one, whatever a request says its host is.
#[test]
fn section_3_3_the_resource_is_the_configured_one_whatever_the_host() {
    let place = Place::new(&config_with(Upstream::friendly().address, "hosts = [\"*\"]", ""));
    let server = place.serve();
    let path = format!("{PATH}/v1");
    let misled = request(server.testing, "GET", &path, &[("host", "evil.example")], "");
    assert_eq!(misled.json()["resource"], "https://testing-api-gateway.fuuffy.com/v1");
    let refused = request(server.testing, "GET", "/v1/orders", &[("host", "evil.example")], "");
    assert_eq!(refused.field("www-authenticate"), Some(&*format!("Bearer realm=\"fuuffy\", {OF_CHALLENGE}")));
}

/// "resource_metadata: The URL of the protected resource metadata": in every challenge of ours for
/// a token, with an error or without; never in one that asks for a secret, and never in an upstream's own.
#[test]
fn section_5_1_every_challenge_says_where_it_is() {
    let upstream = Upstream::start(|_, _| {
        let head =
            "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer realm=\"theirs\"\r\ncontent-length: 0\r\n\r\n";
        Act::Answer(head.into())
    });
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let reader = place.client_with("testing", &["--scope", "orders:read"]);
    let token = token(server.testing, &reader);
    let bearer = format!("Bearer {token}");
    let to = server.testing;
    let challenge = |reply: &Reply| reply.field("www-authenticate").unwrap_or_default().to_owned();
    let asked = [
        request(to, "GET", "/v1/orders", &[], ""),
        get(to, "/v1/orders", "sk-short"),
        get(to, "/v1/orders", "sk-00000000000000000000000000000000"),
        request(to, "POST", "/v1/orders", &[("authorization", &bearer)], "{}"),
        request(to, "GET", "/v1/auth/usage", &[], ""),
        request(to, "GET", "/v1/auth/drills", &[], ""),
    ];
    for reply in asked {
        let challenge = challenge(&reply);
        assert!(challenge.starts_with("Bearer realm=\"fuuffy\", "), "{challenge}");
        assert!(challenge.ends_with(OF_CHALLENGE), "{challenge}");
        assert_eq!(challenge.matches("resource_metadata").count(), 1);
    }
    let by_basic =
        request(to, "POST", "/oauth/token", &[FORM, ("authorization", "Basic YTpi")], "grant_type=client_credentials");
    assert_eq!(challenge(&by_basic), "Basic realm=\"fuuffy\"");
    assert_eq!(challenge(&get(to, "/v1/orders", &token)), "Bearer realm=\"theirs\"");
}

/// Routes of an operator's own beside ours go on to work.
#[test]
fn section_3_other_well_known_paths_stay_the_operators() {
    let text = config(Upstream::friendly().address).replace("\"/v1/orders\"", "\"/.well-known\"");
    let place = Place::new(&text);
    let server = place.serve();
    let token = token(server.testing, &place.client("testing"));
    assert_eq!(get(server.testing, "/.well-known/security.txt", &token).status, 200);
    assert_eq!(get(server.testing, PATH, &token).json()["resource"], "https://testing-api-gateway.fuuffy.com/v1");
    assert_eq!(get(server.testing, &format!("{PATH}/v2"), &token).code(), "not_found");
}
