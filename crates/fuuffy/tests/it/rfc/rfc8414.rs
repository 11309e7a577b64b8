//! OAuth 2.0 Authorization Server Metadata.

use fuuffy::server::Sources;
use fuuffy_domain::TimeSource as _;
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::{FORM, basic, served};
use crate::app::{Place, config_with};
use crate::http1::{exchange, request};
use crate::signing_client::{SigningClient, form as signed};
use crate::upstream::Upstream;

const PATH: &str = "/.well-known/oauth-authorization-server";

/// All members that are required, and of the others those that are so.
#[test]
fn section_2_the_members() {
    let (_place, server) = served();
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ["ES256", "EdDSA", "Ed25519", "RS256"];
    let expected = json!({
        "issuer": "https://testing-api-gateway.fuuffy.com",
        "token_endpoint": "https://testing-api-gateway.fuuffy.com/oauth/token",
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": "https://testing-api-gateway.fuuffy.com/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": "https://testing-api-gateway.fuuffy.com/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_signing_alg_values_supported": ["EdDSA"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "Ed25519"],
        "jwks_uri": "https://testing-api-gateway.fuuffy.com/oauth/jwks",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": ["orders:read", "orders:write"],
        "protected_resources": ["https://testing-api-gateway.fuuffy.com/v1"],
    });
    assert_eq!(request(server.testing, "GET", PATH, &[], "").json(), expected);
    let production = request(server.production, "GET", PATH, &[], "").json();
    assert_eq!(production["issuer"], "https://api-gateway.fuuffy.com", "each environment has its own");
}

/// What it says is so: whoever is told the issuer alone finds a token endpoint that takes the methods named.
#[test]
fn section_2_what_it_says_is_there() {
    let (place, server) = served();
    let client = place.client("testing");
    let signing = SigningClient::registered(&place, Algorithm::EdDSA);
    let told = request(server.testing, "GET", PATH, &[], "").json();
    let issuer = told["issuer"].as_str().unwrap();
    let path = |name: &str| told[name].as_str().unwrap().strip_prefix(issuer).unwrap().to_owned();
    let forms = [
        ("token_endpoint", "grant_type=client_credentials"),
        ("revocation_endpoint", "token=x"),
        ("introspection_endpoint", "token=x"),
    ];
    for (name, form) in forms {
        for method in told[format!("{name}_auth_methods_supported")].as_array().unwrap() {
            let reply = match method.as_str().unwrap() {
                "client_secret_basic" => {
                    let fields = [FORM, ("authorization", &basic(&client))];
                    request(server.testing, "POST", &path(name), &fields, form)
                }
                "client_secret_post" => {
                    let form = format!("{form}&client_id={}&client_secret={}", client.id, client.secret);
                    request(server.testing, "POST", &path(name), &[FORM], &form)
                }
                "private_key_jwt" => {
                    let assertion = signing.assertion(Sources::system().time.wall(), name);
                    request(server.testing, "POST", &path(name), &[FORM], &format!("{form}&{}", signed(&assertion)))
                }
                other => panic!("{other} is not tried"),
            };
            assert_eq!(reply.status, 200, "{name} {method}");
        }
    }
}

/// "Authorization servers supporting metadata MUST make a JSON document containing metadata ... available at a path
/// formed by inserting a well-known URI string": one, for the issuer has no path.
#[test]
fn section_3_1_it_is_at_one_path_and_got_by_get() {
    let (_place, server) = served();
    let whole = request(server.testing, "GET", PATH, &[], "");
    let head = request(server.testing, "HEAD", PATH, &[], "");
    assert_eq!((head.status, head.field("content-length")), (200, whole.field("content-length")));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let refused = request(server.testing, method, PATH, &[], "");
        assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for path in ["/v1", "/", "/x"] {
        assert_eq!(request(server.testing, "GET", &format!("{PATH}{path}"), &[], "").code(), "not_found", "{path}");
    }
    assert_eq!(request(server.testing, "GET", &format!("{PATH}s"), &[], "").code(), "not_found");
    assert_eq!(request(server.testing, "GET", &format!("{PATH}?x=1"), &[], "").status, 200);
}

/// "A successful response MUST use the 200 OK HTTP status code and return a JSON object using the application/json
/// content type".
#[test]
fn section_3_2_the_answer_is_json() {
    let (_place, server) = served();
    let reply = request(server.testing, "GET", PATH, &[], "");
    assert_eq!((reply.status, reply.field("content-type")), (200, Some("application/json")));
    assert_eq!(reply.field("cache-control"), Some("max-age=3600"));
    assert!(reply.field("x-request-id").is_some());
}

/// "The "issuer" value returned MUST be identical to the authorization server's issuer identifier value into which the
/// well-known URI string was inserted": whatever a request says its host is.
#[test]
fn section_3_3_the_issuer_is_the_configured_one_whatever_the_host() {
    let (_place, server) = served();
    let foreign = [("host", "evil.example")];
    assert_eq!(request(server.testing, "GET", PATH, &foreign, "").status, 421);
    let place = Place::new(&config_with(Upstream::friendly().address, "hosts = [\"*\"]", ""));
    let server = place.serve();
    let ordinary = request(server.testing, "GET", PATH, &[], "");
    assert_eq!(ordinary.json()["issuer"], "https://testing-api-gateway.fuuffy.com");
    let misled = [
        request(server.testing, "GET", PATH, &foreign, ""),
        request(server.testing, "GET", PATH, &[("forwarded", "host=evil.example;proto=http")], ""),
        request(
            server.testing,
            "GET",
            PATH,
            &[("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http")],
            "",
        ),
        exchange(server.testing, format!("GET http://evil.example{PATH} HTTP/1.1\r\nhost: evil.example\r\n\r\n")),
    ];
    for reply in misled {
        assert_eq!((reply.status, reply.text()), (200, ordinary.text()));
    }
}

/// A reload changes what scopes there are.
#[test]
fn section_2_scopes_follow_the_routes() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config_with(upstream.address, "", ""));
    let server = place.serve();
    place.write_config(&config_with(upstream.address, "", "").replace("orders:write", "orders:change"));
    server.signal("HUP");
    let scopes = || request(server.testing, "GET", PATH, &[], "").json()["scopes_supported"].clone();
    let changed = json!(["orders:change", "orders:read"]);
    assert!((0..20_000).any(|_| scopes() == changed), "the server reloads");
}
