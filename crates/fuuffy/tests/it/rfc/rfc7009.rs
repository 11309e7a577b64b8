//! OAuth 2.0 Token Revocation.

use super::{FORM, error, post_as, served};
use crate::app::{Place, Registered, config, get, post_form, token};
use crate::explain::happened;
use crate::faults::Shim;
use crate::http1::{Reply, request};
use crate::upstream::Upstream;

const PATH: &str = "/oauth/revoke";
const NOBODYS: &str = "sk-00000000000000000000000000000000";

fn revoke(client: &Registered, address: std::net::SocketAddr, token: &str) -> Reply {
    post_as(client, address, PATH, &format!("token={token}"))
}

/// "The client constructs the request by including the following parameters using the
/// application/x-www-form-urlencoded format": token, token_type_hint, and its authentication by either method.
#[test]
fn section_2_1_a_token_is_revoked_by_post_and_form() {
    let (place, server) = served();
    let client = place.client("testing");
    let (first, second, kept) =
        (token(server.testing, &client), token(server.testing, &client), token(server.testing, &client));
    assert_eq!(revoke(&client, server.testing, &first).status, 200);
    let form = format!("client_id={}&client_secret={}&token={second}", client.id, client.secret);
    assert_eq!(post_form(server.testing, PATH, &form).status, 200);
    for (token, status) in [(&first, 401), (&second, 401), (&kept, 200)] {
        assert_eq!(get(server.testing, "/v1/orders", token).status, status);
    }
    let refused = request(server.testing, "GET", PATH, &[], "");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("POST")));
    assert_eq!(error(&request(server.testing, "POST", PATH, &[("content-type", "application/json")], "{}")), {
        (400, "invalid_request".to_owned())
    });
    for form in ["", "token=", "token=x&token=x", "token=%zz"] {
        assert_eq!(error(&post_as(&client, server.testing, PATH, form)), (400, "invalid_request".to_owned()), "{form}");
    }
}

/// "An invalid token type hint value is ignored by the authorization server and does not influence the revocation
/// response" (§2.2), and one of another type must not keep the token from being found (§2.1).
#[test]
fn section_2_1_a_hint_changes_nothing() {
    let (place, server) = served();
    let client = place.client("testing");
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let token = token(server.testing, &client);
        let form = format!("token={token}&token_type_hint={hint}");
        assert_eq!(post_as(&client, server.testing, PATH, &form).status, 200);
        assert_eq!(get(server.testing, "/v1/orders", &token).status, 401, "{hint}");
    }
}

/// "The authorization server first validates the client credentials": whoever has none, or wrong ones, revokes
/// nothing, and is limited as at the token endpoint.
#[test]
fn section_2_1_a_client_authenticates() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    let wrong = Registered { id: client.id.clone(), secret: "wrong".to_owned() };
    let refused = revoke(&wrong, server.testing, &token);
    assert_eq!(error(&refused), (401, "invalid_client".to_owned()));
    assert_eq!(refused.field("www-authenticate"), Some("Basic realm=\"fuuffy\""));
    assert!(happened(&place, &refused).contains("secret is none of that client's"));
    assert_eq!(error(&post_form(server.testing, PATH, &format!("token={token}"))), (401, "invalid_client".to_owned()));
    let bearer = format!("Bearer {token}");
    let by_token =
        request(server.testing, "POST", PATH, &[FORM, ("authorization", &bearer)], &format!("token={token}"));
    assert_eq!(error(&by_token), (401, "invalid_client".to_owned()), "a token revokes nothing");
    let elsewhere = place.client("production");
    assert_eq!(error(&revoke(&elsewhere, server.testing, &token)), (401, "invalid_client".to_owned()));
    let in_query = format!("{PATH}?client_id={}&client_secret={}", client.id, client.secret);
    let refused = request(server.testing, "POST", &in_query, &[FORM], &format!("token={token}"));
    assert_eq!(error(&refused), (400, "invalid_request".to_owned()));
    for _ in 0..300 {
        revoke(&wrong, server.testing, &token);
    }
    assert_eq!(revoke(&wrong, server.testing, &token).status, 429);
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
    assert_eq!(revoke(&client, server.testing, &token).status, 200, "the right secret is not locked out");
    place.done(&["clients", "suspend", "--environment", "testing", &client.id]);
    let refused = revoke(&client, server.testing, &token);
    assert_eq!(error(&refused), (403, "unauthorized_client".to_owned()));
    assert!(happened(&place, &refused).starts_with("The client is suspended"));
}

/// "... and then verifies whether the token was issued to the client making the revocation request. If this validation
/// fails, the request is refused": nothing is revoked, and the answer does not say whether there is such a token.
#[test]
fn section_2_1_another_clients_token_is_as_one_that_nobody_knows() {
    let (place, server) = served();
    let (owner, other) = (place.client("testing"), place.client("testing"));
    let token = token(server.testing, &owner);
    let (of_another, of_nobody) = (revoke(&other, server.testing, &token), revoke(&other, server.testing, NOBODYS));
    for reply in [&of_another, &of_nobody] {
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
    }
    let names = |reply: &Reply| reply.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&of_another), names(&of_nobody));
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
}

/// "The authorization server responds with HTTP status code 200 if the token has been revoked successfully or if the
/// client submitted an invalid token. ... The content of the response body is ignored by the client": it is an object
/// without members, for libraries that parse every answer.
#[test]
fn section_2_2_revoked_and_invalid_tokens_are_both_200() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    for presented in [token.as_str(), token.as_str(), NOBODYS, "nonsense", "sk-", "%F0%9F%8C%8D"] {
        let reply = revoke(&client, server.testing, presented);
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{presented}");
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        assert_eq!(reply.field("content-type"), Some("application/json"));
    }
}

/// "The invalidation takes place immediately, and the token cannot be used again after the revocation": when it is answered it holds, and over a kill too. The log names the
/// client, once.
#[test]
fn section_2_1_the_answer_says_that_it_holds_and_stays() {
    let (place, server) = served();
    let client = place.client("testing");
    let (lost, kept) = (token(server.testing, &client), token(server.testing, &client));
    let done = revoke(&client, server.testing, &lost);
    assert_eq!(done.status, 200);
    let refused = get(server.testing, "/v1/orders", &lost);
    assert!(happened(&place, &refused).starts_with("The token had been revoked; by the client itself"));
    revoke(&client, server.testing, &lost);
    server.kill();
    let server = place.serve();
    assert_eq!(get(server.testing, "/v1/orders", &lost).code(), "invalid_token");
    assert_eq!(get(server.testing, "/v1/orders", &kept).status, 200);
    let log = place.done(&["audit", "list", "--environment", "testing", "--client", &client.id]);
    let revoked = |row: &&serde_json::Value| row["record"]["deed"] == "token.revoked";
    let records: Vec<_> = log.as_array().unwrap().iter().filter(revoked).collect();
    assert_eq!(records.len(), 1, "{log}");
    assert_eq!(records[0]["record"]["actor"], serde_json::json!({"kind": "client", "client_id": client.id}));
    assert_eq!(records[0]["record"]["request_id"].as_str(), done.field("x-request-id"));
    assert!(!place.log().contains(&lost) && !log.to_string().contains(&lost));
}

/// "If the server responds with HTTP status code 503, the client must assume the token still exists and may retry after
/// a reasonable delay. The server may include a Retry-After header".
#[test]
fn section_2_2_1_a_store_that_cannot_write_is_503() {
    let shim = Shim::build();
    let place = Place::new(&config(Upstream::friendly().address));
    let client = place.client("testing");
    let server = shim.serve(&place);
    let token = token(server.testing, &client);
    std::fs::write(place.path("fault"), "1").unwrap();
    let refused = revoke(&client, server.testing, &token);
    assert_eq!(error(&refused), (503, "service_unavailable".to_owned()));
    assert_eq!(refused.field("retry-after"), Some("30"));
    assert!(happened(&place, &refused).starts_with("The store could not write"));
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200, "it was not revoked");
}

/// "the authorization server MUST use Transport Layer Security (TLS)".
#[test]
fn section_2_the_revocation_endpoint_is_there_over_tls_alone() {
    super::is_there_over_tls_alone("/oauth/revoke", "token=sk-0");
}
