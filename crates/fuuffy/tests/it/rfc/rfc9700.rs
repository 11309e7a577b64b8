//! Best Current Practice for OAuth 2.0 Security, as far as it binds a server of the client credentials grant.

use super::{error, post_as, served};
use crate::app::{Place, config, get, token};
use crate::http1::request;
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
