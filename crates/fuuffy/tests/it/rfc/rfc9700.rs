//! Best Current Practice for OAuth 2.0 Security, as far as it binds a server of the client credentials grant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{error, post_as, served};
use crate::app::{Place, config, config_with, get, post_form, token, token_form};
use crate::http1::request;
use crate::mutual::{HOST, Mutual, Shown, for_orders};
use crate::timed::Timed;
use crate::upstream::Upstream;

/// "The privileges associated with an access token SHOULD be restricted to the minimum required"; "access tokens SHOULD
/// be audience-restricted": to what was asked for, and to one environment.
#[test]
fn section_2_3_a_token_is_good_for_what_was_asked_and_nowhere_else() {
    let (place, server) = served();
    let client = place.client("testing");
    let form = "grant_type=client_credentials&scope=orders:read";
    let narrow = post_as(&client, server.testing, "/oauth/token", form).json();
    let narrow = narrow["access_token"].as_str().unwrap();
    assert_eq!(get(server.testing, "/v1/orders", narrow).status, 200);
    let bearer = format!("Bearer {narrow}");
    assert_eq!(request(server.testing, "POST", "/v1/orders", &[("authorization", &bearer)], "{}").status, 403);
    assert_eq!(get(server.production, "/v1/orders", narrow).code(), "invalid_token");
}

/// "Authorization and resource servers SHOULD use mechanisms for sender-constraining access tokens, such as mutual TLS for
/// OAuth 2.0 or OAuth 2.0 Demonstrating Proof of Possession (DPoP)" (also §4.10.1): both, and whoever stole such a token has
/// nothing.
#[test]
fn section_2_2_1_a_stolen_token_is_of_no_use_where_it_is_bound() {
    let mutual = Mutual::start();
    let metadata = mutual.request(None, ("GET", "/.well-known/oauth-authorization-server"), &[], "").json();
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    assert!(metadata["dpop_signing_alg_values_supported"].as_array().unwrap().contains(&"ES256".into()));
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let token = mutual.token(&shown, &client);
    assert_eq!(mutual.get(Some(&shown), &token).status, 200);
    for thief in [None, Some(&Shown::self_signed(&for_orders()))] {
        assert_eq!(mutual.get(thief, &token).code(), "invalid_token");
    }
}

/// "Authorization servers SHOULD enforce client authentication if it is feasible"; "It is RECOMMENDED to use asymmetric
/// cryptography for client authentication, such as mutual TLS for OAuth 2.0 or signed JWTs".
#[test]
fn section_2_5_clients_authenticate_and_can_by_keys() {
    let mutual = Mutual::start();
    let metadata = mutual.request(None, ("GET", "/.well-known/oauth-authorization-server"), &[], "").json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = metadata[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap();
        for method in ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"] {
            assert!(methods.contains(&method.into()), "{endpoint}: {methods:?}");
        }
        assert!(!methods.contains(&"none".into()), "{endpoint}");
    }
    let client = &mutual.timed.client;
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        let form = format!("grant_type=client_credentials&token=sk-0&client_id={}", client.id);
        assert_eq!(error(&mutual.post(None, path, &form)), (401, "invalid_client".to_owned()), "{path}");
    }
}

/// "It is therefore RECOMMENDED that authorization servers publish OAuth Authorization Server Metadata"; "It is RECOMMENDED to
/// use end-to-end TLS".
#[test]
fn section_2_6_metadata_is_published_and_leads_to_tls() {
    let mutual = Mutual::with(&format!("base_url = \"https://{HOST}/v1\""), "");
    let metadata = mutual.request(None, ("GET", "/.well-known/oauth-authorization-server"), &[], "").json();
    let urls: Vec<&str> = metadata.as_object().unwrap().values().filter_map(|value| value.as_str()).collect();
    assert!(urls.len() >= 5 && urls.iter().all(|url| url.starts_with("https://")), "{urls:?}");
}

/// "The resource owner password credentials grant MUST NOT be used."
#[test]
fn section_2_4_there_is_no_password_grant() {
    let (place, server) = served();
    let client = place.client("testing");
    let form = "grant_type=password&username=somebody&password=something";
    let refused = post_as(&client, server.testing, "/oauth/token", form);
    assert_eq!(error(&refused), (400, "unsupported_grant_type".to_owned()));
}

/// "The resource server MUST treat access tokens like other sensitive secrets and not store or transfer them in
/// plaintext" (§4.9.3): an upstream never sees one, and neither file nor log has it.
#[test]
fn section_4_9_an_upstream_never_sees_the_token() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let token = token(server.testing, &place.client("testing"));
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
    let seen = format!("{:?}", upstream.last());
    assert!(!seen.contains(&token) && !seen.to_ascii_lowercase().contains("authorization"), "{seen}");
    assert!(server.stop().success());
    assert!(!place.log().contains(&token));
}

/// "It is therefore paramount that reverse proxies sanitize any inbound requests to ensure the authenticity and
/// integrity of all header values relevant for the security of the application servers."
#[test]
fn section_4_13_nobody_says_who_they_are_but_by_a_token() {
    let upstream = Upstream::friendly();
    let place = Place::new(&config(upstream.address));
    let server = place.serve();
    let client = place.client("testing");
    let bearer = format!("Bearer {}", token(server.testing, &client));
    let claims = [
        ("authorization", bearer.as_str()),
        ("X-Client-Id", "app_somebody"),
        ("x-environment", "production"),
        ("x-scopes", "admin"),
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
    ];
    assert_eq!(request(server.testing, "GET", "/v1/orders", &claims, "").status, 200);
    let seen = upstream.last();
    assert_eq!(seen.field("x-client-id"), Some(client.id.as_str()));
    assert_eq!(seen.field("x-environment"), Some("testing"));
    assert_eq!(seen.field("x-scopes"), Some("orders:read orders:write"));
    assert!(!format!("{seen:?}").contains("203.0.113.7"));
}

/// "Authorization servers SHOULD NOT allow clients to influence their client_id or any other claim that could cause confusion
/// with a genuine resource owner" (§4.15.1): ids are made by the server, and begin as no user's does.
#[test]
fn section_4_15_a_client_does_not_choose_its_id() {
    let timed = Timed::serving(config_with(Upstream::friendly().address, "token_format = \"jwt\"", ""));
    let chosen = r#"{"name":"Acme","scope":"orders:read","client_id":"ada@example.com"}"#;
    let refused = timed.operate("/admin/v1/testing/clients", chosen);
    assert_eq!(refused["error"]["code"], "invalid_request", "{refused}");
    assert!(timed.client.id.starts_with("app_"));
    let form = format!("sub=ada%40example.com&{}", token_form(&timed.client));
    let granted = post_form(timed.testing(), "/oauth/token", &form).json();
    let token = granted["access_token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["sub"], &claims["client_id"]),
        (&timed.client.id.as_str().into(), &timed.client.id.as_str().into())
    );
}
