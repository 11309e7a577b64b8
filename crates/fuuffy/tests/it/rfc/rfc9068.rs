//! JSON Web Token (JWT) Profile for OAuth 2.0 Access Tokens.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::post_as;
use crate::app::{Place, Registered, Server, config_with, get, post_form, token, token_form};
use crate::http1::request;
use crate::libraries::installed;
use crate::revocation::revoke_by_command;
use crate::timed::{START, Timed};
use crate::upstream::Upstream;

const ISSUER: &str = "https://testing-api-gateway.fuuffy.com";
const BY_RSA: &str = "token_signing_alg = \"RS256\"";
const RESOURCE: &str = "https://testing-api-gateway.fuuffy.com/v1";

/// Environments whose tokens are JWTs.
fn served() -> (Place, Server) {
    served_with("")
}

/// The same, with further lines for each.
fn served_with(lines: &str) -> (Place, Server) {
    let lines = format!("token_format = \"jwt\"\n{lines}");
    let place = Place::new(&config_with(Upstream::friendly().address, &lines, ""));
    let server = place.serve();
    (place, server)
}

fn timed() -> Timed {
    Timed::serving(config_with(Upstream::friendly().address, "token_format = \"jwt\"", ""))
}

fn keys(address: SocketAddr) -> JwkSet {
    serde_json::from_slice(&request(address, "GET", "/oauth/jwks", &[], "").body).unwrap()
}

/// What a resource server does that knows us by our published keys alone (RFC 9068 §4).
fn verified(token: &str, keys: &JwkSet) -> Option<Value> {
    verified_by(Algorithm::ES256, token, keys)
}

fn verified_by(algorithm: Algorithm, token: &str, keys: &JwkSet) -> Option<Value> {
    let header = decode_header(token).ok().filter(|header| header.typ.as_deref() == Some("at+jwt"))?;
    let key = DecodingKey::from_jwk(keys.find(header.kid.as_deref()?)?).ok()?;
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[RESOURCE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // Its time is looked at by whoever owns the clock.
    validation.validate_exp = false;
    decode::<Value>(token, &key, &validation).ok().map(|decoded| decoded.claims)
}

/// "JWT access tokens MUST be signed"; they "MUST NOT use "none" as the signing algorithm"; "the "typ" value used SHOULD be "at+jwt"".
#[test]
fn section_2_1_the_header() {
    let (place, server) = served();
    let token = token(server.testing, &place.client("testing"));
    let header = decode_header(&token).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::ES256));
    assert!(keys(server.testing).find(&header.kid.unwrap()).is_some(), "the key is published");
}

/// "Authorization servers and resource servers conforming to this specification MUST include RS256 ... among their
/// supported signature algorithms."
#[test]
fn section_2_1_rs256_is_among_the_algorithms() {
    let (place, server) = served_with(BY_RSA);
    let token = token(server.testing, &place.client("testing"));
    let header = decode_header(&token).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::RS256));
    let (testing, production) = (keys(server.testing), keys(server.production));
    assert!(verified_by(Algorithm::RS256, &token, &testing).is_some());
    assert!(verified_by(Algorithm::RS256, &token, &production).is_none(), "each environment has its own");
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
    assert_eq!(get(server.production, "/v1/orders", &token).status, 401);
    let published = serde_json::to_value(testing.find(&header.kid.unwrap()).unwrap()).unwrap();
    let names = ["kty", "alg", "use", "e"].map(|name| published[name].as_str().unwrap());
    assert_eq!(names, ["RSA", "RS256", "sig", "AQAB"]);
    assert_eq!(published["n"].as_str().unwrap().len(), 512, "3072 bits");
    assert!(published.get("d").is_none());
}

/// iss, exp, aud, sub, client_id, iat and jti are "REQUIRED"; the subject of a grant without a resource owner
/// "SHOULD correspond to an identifier the authorization server uses to indicate the client application"; and §2.2.3:
/// "If an authorization request includes a scope parameter, the corresponding issued JWT access token SHOULD include a
/// "scope" claim".
#[test]
fn section_2_2_the_claims() {
    let timed = timed();
    let form = format!("{}&scope=orders:read", token_form(&timed.client));
    let granted = post_form(timed.testing(), "/oauth/token", &form).json();
    let token = granted["access_token"].as_str().unwrap().to_owned();
    let claims = verified(&token, &keys(timed.testing())).expect("a signature that holds");
    let (now, id) = (START.unix_seconds(), &timed.client.id);
    let jti = claims["jti"].as_str().unwrap();
    assert!(jti.len() == 32 && jti.bytes().all(|byte| byte.is_ascii_hexdigit()), "{jti}");
    let expected = json!({
        "iss": ISSUER, "sub": id, "aud": RESOURCE, "client_id": id, "iat": now, "exp": now + 3600, "jti": jti,
        "scope": "orders:read",
    });
    assert_eq!(claims, expected);
    let other = post_form(timed.testing(), "/oauth/token", &form).json();
    let other = verified(other["access_token"].as_str().unwrap(), &keys(timed.testing())).unwrap();
    assert_ne!(other["jti"], claims["jti"]);
}

/// "the authorization server MUST use ... a default resource indicator in the "aud" claim", or the one that was asked for,
/// which is that or within it.
#[test]
fn section_3_the_audience() {
    let (place, server) = served();
    let client = place.client("testing");
    for resource in ["", "&resource=https%3A%2F%2Ftesting-api-gateway.fuuffy.com%2Fv1"] {
        let granted = post_form(server.testing, "/oauth/token", &(token_form(&client) + resource)).json();
        let claims = verified(granted["access_token"].as_str().unwrap(), &keys(server.testing)).unwrap();
        assert_eq!(claims["aud"], RESOURCE, "{resource}");
    }
}

/// "The resource server MUST validate the signature": what was changed passes neither there nor here, and a token of one
/// environment is nothing in the other.
#[test]
fn section_4_what_was_changed_is_not_taken() {
    let (place, server) = served();
    let client = place.client("testing");
    let token = token(server.testing, &client);
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
    assert!(verified(&token, &keys(server.production)).is_none());
    assert_eq!(get(server.production, "/v1/orders", &token).status, 401);
    let parts: Vec<&str> = token.split('.').collect();
    let turned = parts[2].chars().rev().collect::<String>();
    for forged in [
        format!("{}.{}.{turned}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[1].to_uppercase(), parts[2]),
        format!("{token}.{}", parts[2]),
        format!("eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJub25lIn0.{}.", parts[1]),
        format!("{}.{}.{}", parts[0], "a".repeat(8_000), parts[2]),
    ] {
        assert!(verified(&forged, &keys(server.testing)).is_none());
        let reply = get(server.testing, "/v1/orders", &forged);
        assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_token"), "{forged}");
        // "If the token has been signed, the authorization server MUST validate the signature" (RFC 7662 §4).
        let told = post_as(&client, server.testing, "/oauth/introspect", &format!("token={forged}"));
        let expected = if forged.len() > 8_000 { (413, Value::Null) } else { (200, json!(false)) };
        assert_eq!((told.status, told.json()["active"].clone()), expected, "{forged}");
    }
}

/// It ends here as any token does: at its time, and at once where it is revoked; and introspection knows it.
#[test]
fn section_5_it_is_revoked_and_expires_as_any_token() {
    let timed = timed();
    let (one, other) = (timed.token(), timed.token());
    let ask =
        |token: &str| post_as(&timed.client, timed.testing(), "/oauth/introspect", &format!("token={token}")).json();
    assert_eq!((&ask(&one)["active"], &ask(&one)["aud"]), (&true.into(), &RESOURCE.into()));
    assert_eq!(post_as(&timed.client, timed.testing(), "/oauth/revoke", &format!("token={one}")).status, 200);
    assert_eq!((ask(&one), timed.get(&one).status), (json!({"active": false}), 401));
    assert!(timed.accepts(&other));
    timed.time.pass(Duration::from_secs(3600));
    assert!(!timed.accepts(&other));
}

/// An operator revokes one that is long by giving it, too, and is told where it is more than a token.
#[test]
fn section_5_a_long_one_is_revoked_by_command() {
    let (place, server) = served_with(BY_RSA);
    let scopes = format!("orders:read orders:write {}:read", "reports".repeat(8));
    let token = token(server.testing, &place.client_with("testing", &["--scope", &scopes]));
    assert!(token.len() > 1024, "{} characters", token.len());
    let (status, words) = revoke_by_command(&place, &"x".repeat(10_000));
    assert!(status == Some(1) && words.contains("longer than any token"), "{words}");
    let (status, words) = revoke_by_command(&place, &format!("{token}\n"));
    assert_eq!(status, Some(0), "{words}");
    assert_eq!(get(server.testing, "/v1/orders", &token).status, 401);
}

/// A key that was rotated away verifies what it signed for as long as any of that is good.
#[test]
fn section_4_keys_rotate_and_stay_published() {
    let (place, server) = served();
    let client = place.client("testing");
    let before = token(server.testing, &client);
    place.done(&["keys", "rotate"]);
    let after = token(server.testing, &client);
    let published = keys(server.testing);
    assert_eq!(published.keys.len(), 4, "two of answers and two of tokens");
    for token in [&before, &after] {
        assert!(verified(token, &published).is_some());
        assert_eq!(get(server.testing, "/v1/orders", token).status, 200);
    }
    assert_ne!(decode_header(&before).unwrap().kid, decode_header(&after).unwrap().kid);
    let refused = place.command(&["keys", "retire", "1"]);
    assert_eq!(refused.status.code(), Some(1), "a token needs it");
}

/// The same of RSA keys, which are kept: over a kill and a restart, for as long as their key is in the file, whatever
/// signs by then.
#[test]
fn section_4_rsa_keys_rotate_and_are_kept() {
    let (place, server) = served_with(BY_RSA);
    let client = place.client("testing");
    let before = token(server.testing, &client);
    place.done(&["keys", "rotate"]);
    let after = token(server.testing, &client);
    server.kill();
    let text = std::fs::read_to_string(place.config_file()).unwrap();
    place.write_config(&text.replace(BY_RSA, ""));
    let server = place.serve();
    let published = keys(server.testing);
    assert_eq!(published.keys.len(), 6, "two of each kind");
    for token in [&before, &after] {
        assert!(verified_by(Algorithm::RS256, token, &published).is_some());
        assert_eq!(get(server.testing, "/v1/orders", token).status, 200);
    }
    assert_ne!(decode_header(&before).unwrap().kid, decode_header(&after).unwrap().kid);
    assert!(verified(&token(server.testing, &client), &published).is_some(), "signed as it is configured now");
    place.done(&["keys", "retire", "1", "--force"]);
    let published = keys(server.testing);
    assert!(verified_by(Algorithm::RS256, &before, &published).is_none());
    assert!(verified_by(Algorithm::RS256, &after, &published).is_some());
    assert!(server.stop().success());
    place.done(&["keys", "rotate"]);
    place.write_config(&text);
    let server = place.serve();
    let last = token(server.testing, &client);
    assert!(verified_by(Algorithm::RS256, &last, &keys(server.testing)).is_some(), "made where none was");
}

/// Who has the store alone cannot sign: a private key is in it sealed. One that was changed is told of, and replaced.
#[test]
fn section_5_an_rsa_key_is_kept_sealed() {
    let (place, server) = served_with(BY_RSA);
    let client = place.client("testing");
    let before = token(server.testing, &client);
    assert!(server.stop().success());
    let path = place.path("data/testing.sqlite3");
    let store = rusqlite::Connection::open(&path).unwrap();
    let sealed: Vec<u8> = store.query_row("SELECT sealed FROM rsa_keys WHERE key = 1", [], |row| row.get(0)).unwrap();
    assert!(sealed.len() > 1_700, "3072 bits, with all that makes it fast");
    let looks_clear = [&b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"[..], b"\x02\x03\x01\x00\x01"];
    assert!(looks_clear.iter().all(|part| memchr::memmem::find(&sealed, part).is_none()));
    let mut changed = sealed;
    changed[1000] ^= 1;
    store.execute("UPDATE rsa_keys SET sealed = ?1", [changed]).unwrap();
    drop(store);
    let server = place.serve();
    let after = token(server.testing, &client);
    assert!(verified_by(Algorithm::RS256, &after, &keys(server.testing)).is_some());
    assert_ne!(decode_header(&before).unwrap().kid, decode_header(&after).unwrap().kid);
    assert_eq!(get(server.testing, "/v1/orders", &before).status, 200, "the gateway looks it up");
    let told = place.log();
    assert!(told.contains("The RSA key that is kept beside this key was not sealed by it"), "{told}");
}

/// A backup has them, so that another machine verifies and signs by the same.
#[test]
fn section_4_rsa_keys_are_in_a_backup() {
    let (place, server) = served_with(BY_RSA);
    let token = token(server.testing, &place.client("testing"));
    let backup = place.path("backup");
    place.done(&["backup", "--to", backup.to_str().unwrap()]);
    let other = Place::new(&std::fs::read_to_string(place.config_file()).unwrap());
    std::fs::create_dir(other.path("data")).unwrap();
    for file in ["data/pepper.key", "data/audit.key"] {
        std::fs::copy(place.path(file), other.path(file)).unwrap();
    }
    other.done(&["restore", "--from", backup.to_str().unwrap()]);
    let restored = other.serve();
    assert!(verified_by(Algorithm::RS256, &token, &keys(restored.testing)).is_some());
    assert_eq!(keys(restored.testing), keys(server.testing));
}

/// §5: a token that leaks is known by how it begins, and one that is in a URL is revoked where an operator wants that.
#[test]
fn section_5_one_that_leaks_is_recognised() {
    for lines in ["", BY_RSA] {
        one_that_leaks_is_recognised(lines);
    }
}

fn one_that_leaks_is_recognised(lines: &str) {
    let (place, server) = served_with(&format!("leaks = {{ url = \"revoke\" }}\n{lines}"));
    let client: Registered = place.client("testing");
    let leaked = token(server.testing, &client);
    assert_eq!(get(server.testing, "/v1/orders", &leaked).status, 200);
    request(server.testing, "GET", &format!("/v1/orders?access_token={leaked}"), &[], "");
    assert_eq!(get(server.testing, "/v1/orders", &leaked).status, 401);
}

/// §4, by a resource server that is not ours: Authlib takes what is good, and nothing else.
#[test]
fn section_4_authlib_takes_what_is_good_and_nothing_else() {
    for lines in ["", BY_RSA] {
        authlib_takes_what_is_good_and_nothing_else(lines);
    }
}

fn authlib_takes_what_is_good_and_nothing_else(lines: &str) {
    let (place, server) = served_with(lines);
    let client = place.client("testing");
    let [good, other] = [server.testing, server.production].map(|address| {
        let whose = if address == server.testing { client.clone() } else { place.client("production") };
        token(address, &whose)
    });
    let unscoped = token(server.testing, &place.client_with("testing", &[]));
    let parts: Vec<&str> = good.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], unscoped.split('.').nth(1).unwrap(), parts[2]);
    let asked = json!({
        "keys": request(server.testing, "GET", "/oauth/jwks", &[], "").json(),
        "issuer": ISSUER,
        "resource": RESOURCE,
        "scope": "orders:read",
        "tokens": [good, other, unscoped, forged],
    });
    let mut child = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rfc/rfc9068.py"))
        .env("PYTHONPATH", installed("python", "requirements.txt"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let said: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(said, json!([client.id, "InvalidTokenError", "InsufficientScopeError", "InvalidTokenError"]));
}
