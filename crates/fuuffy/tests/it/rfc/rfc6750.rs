//! Bearer Token Usage.

use super::{FORM, served};
use crate::app::{get, token};
use crate::http1::{Reply, request};

fn challenge(reply: &Reply) -> &str {
    reply.field("www-authenticate").unwrap_or_default()
}

/// "Resource servers MUST support this method": the `Authorization` field, whose scheme is case-insensitive.
#[test]
fn section_2_1_the_authorization_field() {
    let (place, server) = served();
    let token = token(server.testing, &place.client("testing"));
    for field in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER   {token}")] {
        let reply = request(server.testing, "GET", "/v1/orders", &[("authorization", &field)], "");
        assert_eq!(reply.status, 200, "{field}");
    }
    for field in [token.clone(), format!("Token {token}"), format!("Bearer:{token}"), format!("Bearer {token},x")] {
        let reply = request(server.testing, "GET", "/v1/orders", &[("authorization", &field)], "");
        assert_eq!(reply.status, 401, "{field}");
    }
}

/// A token in the body or in the query "SHOULD NOT be used"; "resource servers MAY support" either, and this one does
/// not, so none that is there counts.
#[test]
fn section_2_2_and_2_3_a_token_elsewhere_is_none() {
    let (place, server) = served();
    let token = token(server.testing, &place.client("testing"));
    let in_body = request(server.testing, "POST", "/v1/orders", &[FORM], &format!("access_token={token}"));
    assert_eq!((in_body.status, in_body.code().as_str()), (401, "missing_token"));
    let in_query = request(server.testing, "GET", &format!("/v1/orders?access_token={token}"), &[], "");
    assert_eq!((in_query.status, in_query.code().as_str()), (401, "missing_token"));
}

/// "If the protected resource request does not include authentication credentials or does not contain an access token
/// that enables access to the protected resource, the resource server MUST include the HTTP "WWW-Authenticate" response
/// header field ... All challenges defined by this specification MUST use the auth-scheme value "Bearer". This scheme
/// MUST be followed by one or more auth-param values", none of them twice.
#[test]
fn section_3_every_refusal_of_a_token_is_a_challenge() {
    let (place, server) = served();
    let to = server.testing;
    let reader = format!("Bearer {}", token(to, &place.client_with("testing", &["--scope", "orders:read"])));
    let twice = [("authorization", reader.as_str()), ("authorization", reader.as_str())];
    let replies = [
        request(to, "GET", "/v1/orders", &[], ""),
        request(to, "GET", "/v1/orders", &[("authorization", "Basic YTpi")], ""),
        get(to, "/v1/orders", "nonsense"),
        get(to, "/v1/orders", "sk-00000000000000000000000000000000"),
        request(to, "GET", "/v1/orders", &twice, ""),
        request(to, "POST", "/v1/orders", &[("authorization", &reader)], "{}"),
    ];
    for reply in &replies {
        let challenges = http_auth::parse_challenges(challenge(reply)).unwrap();
        assert_eq!(challenges.len(), 1, "{}", challenge(reply));
        assert_eq!(challenges[0].scheme, "Bearer");
        let mut names: Vec<&str> = challenges[0].params.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        assert!(names.contains(&"realm"));
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for (name, value) in &challenges[0].params {
            let text = value.to_unescaped();
            assert!(text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{name}: {text}");
        }
    }
}

/// "invalid_request ... The resource server SHOULD respond with the HTTP 400", "invalid_token ... 401",
/// "insufficient_scope ... 403 ... and MAY include the "scope" attribute".
#[test]
fn section_3_1_the_error_codes() {
    let (place, server) = served();
    let to = server.testing;
    let client = place.client_with("testing", &["--scope", "orders:read"]);
    let bearer = format!("Bearer {}", token(to, &client));
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    let repeated = request(to, "GET", "/v1/orders", &twice, "");
    assert_eq!(repeated.status, 400);
    assert!(challenge(&repeated).contains(r#"error="invalid_request""#), "{}", challenge(&repeated));
    for unusable in ["nonsense", "sk-00000000000000000000000000000000"] {
        let reply = get(to, "/v1/orders", unusable);
        assert_eq!(reply.status, 401);
        assert!(challenge(&reply).contains(r#"error="invalid_token""#));
    }
    let lacking = request(to, "POST", "/v1/orders", &[("authorization", &bearer)], "{}");
    assert_eq!(lacking.status, 403);
    assert!(challenge(&lacking).contains(r#"error="insufficient_scope""#));
    assert!(challenge(&lacking).contains(r#"scope="orders:write""#));
}

/// "If the request lacks any authentication information ..., the resource server SHOULD NOT include an error code or
/// other error information."
#[test]
fn section_3_1_no_error_where_nothing_was_sent() {
    let (_place, server) = served();
    let reply = request(server.testing, "GET", "/v1/orders", &[], "");
    assert_eq!(reply.status, 401);
    assert!(!challenge(&reply).contains("error"), "{}", challenge(&reply));
}

/// "Bearer tokens SHOULD NOT be passed in page URLs", and whoever does it nonetheless finds none in the server's log.
#[test]
fn section_5_3_no_token_of_a_url_is_logged() {
    let (place, server) = served();
    let token = token(server.testing, &place.client("testing"));
    request(server.testing, "GET", &format!("/v1/orders?access_token={token}"), &[], "");
    request(server.testing, "GET", &format!("/v1/orders/{token}"), &[], "");
    assert!(server.stop().success());
    assert!(!place.log().contains(&token));
}
