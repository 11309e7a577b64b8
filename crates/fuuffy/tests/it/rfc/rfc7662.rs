//! OAuth 2.0 Token Introspection.

use std::net::SocketAddr;
use std::time::Duration;

use super::{FORM, error, post_as, served};
use crate::app::{Place, Registered, get, post_form, token, token_form};
use crate::explain::happened;
use crate::http1::{Reply, request};
use crate::timed::{START, Timed};

const PATH: &str = "/oauth/introspect";
const INACTIVE: &str = r#"{"active":false}"#;

fn introspect(client: &Registered, address: SocketAddr, token: &str) -> Reply {
    post_as(client, address, PATH, &format!("token={token}"))
}

/// An API that verifies tokens by itself.
fn api(place: &Place) -> Registered {
    place.client_with("testing", &["--scope", "introspect"])
}

/// "The protected resource calls the introspection endpoint using an HTTP POST ... request with parameters sent as
/// "application/x-www-form-urlencoded" data": token is required, token_type_hint is not.
#[test]
fn section_2_1_a_question_is_a_form() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    for hint in ["", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=nonsense"] {
        let reply = post_as(&client, server.testing, PATH, &format!("token={token}{hint}"));
        assert_eq!((reply.status, &reply.json()["active"]), (200, &true.into()), "{hint}");
    }
    let refused = request(server.testing, "GET", &format!("{PATH}?token={token}"), &[], "");
    assert_eq!((refused.status, refused.field("allow")), (405, Some("POST")));
    let json = [("content-type", "application/json")];
    let refused = request(server.testing, "POST", PATH, &json, &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(error(&refused), (400, "invalid_request".to_owned()));
    for form in ["", "token=", "token=x&token=x", "token=%zz"] {
        assert_eq!(error(&post_as(&client, server.testing, PATH, form)), (400, "invalid_request".to_owned()), "{form}");
    }
}

/// "To prevent token scanning attacks, the endpoint MUST also require some form of authorization to access this
/// endpoint": client authentication, as at the token endpoint.
#[test]
fn section_2_1_whoever_asks_authenticates() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    let form = format!("client_id={}&client_secret={}&token={token}", client.id, client.secret);
    assert_eq!(post_form(server.testing, PATH, &form).json()["active"], true);
    assert_eq!(error(&post_form(server.testing, PATH, &format!("token={token}"))), (401, "invalid_client".to_owned()));
    let bearer = format!("Bearer {token}");
    let by_token =
        request(server.testing, "POST", PATH, &[FORM, ("authorization", &bearer)], &format!("token={token}"));
    assert_eq!(error(&by_token), (401, "invalid_client".to_owned()), "a token asks nothing");
    let both = [FORM, ("authorization", &super::basic(&client))];
    assert_eq!(error(&request(server.testing, "POST", PATH, &both, &form)), (400, "invalid_request".to_owned()));
    place.done(&["clients", "suspend", "--environment", "testing", &client.id]);
    let refused = introspect(&client, server.testing, &token);
    assert_eq!(error(&refused), (403, "unauthorized_client".to_owned()));
    assert!(happened(&place, &refused).starts_with("The client is suspended"));
}

/// All members that are known: "active" is required, the others say what the token is good for.
#[test]
fn section_2_2_an_active_token_is_described() {
    let timed = Timed::start("");
    let request = token_form(&timed.client) + "&scope=orders:read";
    timed.time.pass(Duration::from_millis(1_999));
    let token =
        post_form(timed.testing(), "/oauth/token", &request).json()["access_token"].as_str().unwrap().to_owned();
    let reply = introspect(&timed.client, timed.testing(), &token);
    let began = START.unix_millis() / 1000 + 1;
    let expected = serde_json::json!({
        "active": true,
        "scope": "orders:read",
        "client_id": timed.client.id,
        "token_type": "Bearer",
        "exp": began + 3600,
        "iat": began,
        "sub": timed.client.id,
        "aud": "https://testing-api-gateway.fuuffy.com/v1",
        "iss": "https://testing-api-gateway.fuuffy.com",
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.field("content-type"), Some("application/json"));
    assert_eq!(reply.field("cache-control"), Some("no-store"));
}

/// What a token was issued with is known after a restart as well.
#[test]
fn section_2_2_it_is_described_alike_after_a_restart() {
    let mut timed = Timed::start("");
    let token = token(timed.testing(), &timed.client);
    let before = introspect(&timed.client, timed.testing(), &token).json();
    assert_eq!(before["active"], true);
    timed.restart();
    assert_eq!(introspect(&timed.client, timed.testing(), &token).json(), before);
}

/// "If the introspection call is properly authorized but the token is not active, does not exist on this server, or the
/// protected resource is not allowed to introspect this particular token, then the authorization server MUST return an
/// introspection response with the "active" field set to "false". ... SHOULD NOT include any additional information".
#[test]
fn section_2_2_what_is_not_active_is_exactly_that() {
    let (place, server) = served();
    let (client, other, api) = (place.client("testing"), place.client("testing"), api(&place));
    let tokens: Vec<String> = (0..2).map(|_| token(server.testing, &client)).collect();
    post_as(&client, server.testing, "/oauth/revoke", &format!("token={}", tokens[0]));
    let elsewhere = token(server.production, &place.client("production"));
    let same = introspect(&api, server.testing, "sk-00000000000000000000000000000000");
    let names = |reply: &Reply| reply.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let check = |what: &str, reply: &Reply| {
        assert_eq!((reply.status, reply.text().as_str()), (200, INACTIVE), "{what}");
        assert_eq!(names(reply), names(&same), "{what}");
    };
    check("unknown", &same);
    check("revoked", &introspect(&api, server.testing, &tokens[0]));
    check("of the other environment", &introspect(&api, server.testing, &elsewhere));
    check("malformed", &introspect(&api, server.testing, "eyJhbGciOiJub25lIn0.e30."));
    check("a secret", &introspect(&api, server.testing, &client.secret));
    check("another client's", &introspect(&other, server.testing, &tokens[1]));
    assert_eq!(introspect(&api, server.testing, &tokens[1]).json()["active"], true);
    place.done(&["tokens", "revoke", "--environment", "testing", "--client", &client.id]);
    check("revoked with all of its client's", &introspect(&api, server.testing, &tokens[1]));
    let last = token(server.testing, &client);
    place.done(&["clients", "suspend", "--environment", "testing", &client.id]);
    check("of a suspended client", &introspect(&api, server.testing, &last));
}

/// "If the token can expire, the authorization server MUST determine whether or not the token has expired": to the second in which the gateway refuses it.
#[test]
fn section_4_an_expired_token_is_not_active() {
    let timed = Timed::start("");
    let token = token(timed.testing(), &timed.client);
    timed.time.pass(Duration::from_millis(3_599_999));
    assert_eq!(introspect(&timed.client, timed.testing(), &token).json()["active"], true);
    assert_eq!(get(timed.testing(), "/v1/orders", &token).status, 200);
    timed.time.pass(Duration::from_millis(1));
    assert_eq!(introspect(&timed.client, timed.testing(), &token).text(), INACTIVE);
    assert_eq!(get(timed.testing(), "/v1/orders", &token).status, 401);
}

/// "If the protected resource uses OAuth 2.0 client credentials to authenticate to the introspection endpoint and its
/// credentials are invalid, the authorization server responds with an HTTP 401": §5.2 of RFC 6749. The same limit on
/// wrong ones holds as at the token endpoint.
#[test]
fn section_2_3_wrong_credentials_are_401_and_limited() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    let wrong = Registered { id: client.id.clone(), secret: "wrong".to_owned() };
    let refused = introspect(&wrong, server.testing, &token);
    assert_eq!(error(&refused), (401, "invalid_client".to_owned()));
    assert_eq!(refused.field("www-authenticate"), Some("Basic realm=\"fuuffy\""));
    for _ in 0..300 {
        introspect(&wrong, server.testing, &token);
    }
    let refused = introspect(&wrong, server.testing, &token);
    assert_eq!(error(&refused), (429, "rate_limit_exceeded".to_owned()));
    assert!(refused.field("retry-after").is_some());
    assert_eq!(introspect(&client, server.testing, &token).json()["active"], true);
}

/// An introspection is no use of the token: it takes nothing from the limits of its client, and is counted for whoever
/// asked.
#[test]
fn section_2_asking_uses_nothing_up() {
    let (place, server) = served();
    let (client, api) = (place.client("testing"), api(&place));
    let token = token(server.testing, &client);
    for _ in 0..120 {
        assert_eq!(introspect(&api, server.testing, &token).json()["active"], true);
    }
    let reply = get(server.testing, "/v1/orders", &token);
    assert_eq!((reply.status, reply.field("x-ratelimit-remaining")), (200, Some("99")));
    let of =
        |who: &Registered| place.done(&["usage", "--environment", "testing", "--client", &who.id, "--by", "route"]);
    let (by_owner, by_api) = (of(&client).to_string(), of(&api).to_string());
    assert!(!by_owner.contains(PATH) && by_api.contains(PATH), "{by_owner} {by_api}");
}

/// Whoever asks authenticates, and so its secret is in use: one that is to go when nobody uses it stays.
#[test]
fn section_2_1_a_secret_that_only_asks_is_in_use() {
    let timed = Timed::start("");
    let path = format!("/admin/v1/testing/clients/{}/secrets", timed.client.id);
    let first = timed.shown(&path)["data"][0]["secret_id"].as_str().unwrap().to_owned();
    timed.operate(&path, "{}");
    let retiring = timed.operate(&format!("{path}/{first}/retire"), r#"{"when_unused_for":"2h"}"#);
    assert_eq!(retiring["data"]["status"], "retiring");
    let last = || timed.shown(&path)["data"][0]["last_used_at"].clone();
    for _ in 0..3 {
        timed.time.pass(Duration::from_secs(3600));
        assert_eq!(introspect(&timed.client, timed.testing(), "x").text(), INACTIVE);
        // Nobody waits for the note; the next deed is after it.
        timed.operate(&path, "{}");
        assert_eq!(last(), timed.now().to_string());
        timed.pass_minute();
    }
    timed.time.pass(Duration::from_secs(7200));
    timed.pass_minute();
    assert_eq!(error(&introspect(&timed.client, timed.testing(), "x")), (401, "invalid_client".to_owned()));
}

/// "The server MUST support Transport Layer Security (TLS) 1.2": and nothing less is of use.
#[test]
fn section_4_the_introspection_endpoint_is_there_over_tls_alone() {
    super::is_there_over_tls_alone("/oauth/introspect", "token=sk-0");
}
