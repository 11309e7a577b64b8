//! What must hold for any bytes that strangers send, a function for each parser of them. `cargo fuzz` looks
//! for inputs that break them; the tests run them over the corpus and over fresh random input.

mod identities;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy::config;
use fuuffy::server::{Framing, HeadLimits, PlainRequest, Progress, RequestLine};
use fuuffy_client::BaseUrl;
use fuuffy_domain::{
    AuditChain, AuditPublicKey, Checkpoint, EnvironmentName, KeyId, Keyring, MatchedPath, NonceUse, ProofRefusal,
    Proofs, Proving, Route, RouteTable, Timestamp,
};
use fuuffy_protocol::{
    AboutToken, AccessToken, Bearer, BearerFault, ClientSecret, Credentials, Form, Identifiers, ProofFault, ProofField,
    Refused, ScopeSet, SecretKind, TokenFlaw, TokenGrant, TokenRequest,
};
use http::{HeaderMap, HeaderValue, Method, Request, header};
use zeroize::Zeroizing;

pub use identities::{assertion, client_cert, client_certificate, key_set, metadata, platform_token};

/// What must hold for an input; panics where it does not.
pub type Body = fn(&[u8]);

/// All bodies by the names of their targets and corpora.
pub const ALL: [(&str, Body); 20] = [
    ("form", form),
    ("authorization", authorization),
    ("token_request", token_request),
    ("about_token", about_token),
    ("proof", proof),
    ("assertion", assertion),
    ("platform_token", platform_token),
    ("key_set", key_set),
    ("metadata", metadata),
    ("client_certificate", client_certificate),
    ("client_cert", client_cert),
    ("scope", scope),
    ("stray", stray),
    ("route", route),
    ("framing", framing),
    ("plain_request", plain_request),
    ("config", config_file),
    ("token_answer", token_answer),
    ("base_url", base_url),
    ("audit_log", audit_log),
];

/// A form is read or refused, and tells the same twice.
pub fn form(data: &[u8]) {
    if let Ok(form) = Form::parse(data) {
        for name in ["grant_type", "client_id", "client_secret", "scope", ""] {
            assert_eq!(form.get(name), form.get(name));
        }
        let is_empty = form.get("client_id").is_ok_and(|value| value.is_some_and(str::is_empty));
        assert!(!is_empty, "an empty value is an omitted one");
    }
}

/// A token has one of two lengths, or is a JWT that is not too long.
fn is_whole(token: &AccessToken) -> bool {
    let text = token.reveal();
    matches!(text.len(), 35 | 67)
        || (text.starts_with(AccessToken::JWT_START) && text.len() <= AccessToken::LONGEST_JWT)
}

/// What is asked for in clear where an authority comes for a challenge: a token, which is plain, or nothing.
pub fn plain_request(data: &[u8]) {
    let PlainRequest { token, host } = PlainRequest::read(data);
    if let Some(token) = token {
        assert!((1..=256).contains(&token.len()) && !token.contains(['/', '.', '%', ' ']));
        assert!(String::from_utf8_lossy(data).contains(&format!("GET /.well-known/acme-challenge/{token}")));
    }
    assert!(host.is_none_or(|host| host.len() <= data.len()));
}

/// `Authorization`, as a bearer token and as client credentials; a token or a secret never prints.
pub fn authorization(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(header::AUTHORIZATION, value);
        }
    }
    match Bearer::parse(&headers) {
        Ok(Bearer::Unverified(token) | Bearer::WithProof(token)) => {
            assert_eq!(format!("{token:?}"), "AccessToken");
            assert_eq!(headers.get_all(header::AUTHORIZATION).iter().count(), 1);
            assert!(is_whole(&token));
        }
        Err(BearerFault::Malformed) => flaw_is_there(&headers),
        Ok(Bearer::Missing) | Err(BearerFault::Repeated) => {}
    }
    let form = Form::parse(b"").expect("an empty form");
    if let Ok(credentials) = Credentials::parse(&headers, &form) {
        assert_eq!(format!("{:?}", credentials.secret), "ClientSecret");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let secret = ClientSecret::presented(text);
        let kinds = [SecretKind::Testing, SecretKind::Production];
        assert!(!kinds.iter().all(|kind| secret.is_well_formed(*kind)), "a secret is of one environment");
    }
}

/// What is said to be wrong with a malformed token is in the field, and its words have nothing of the field.
fn flaw_is_there(headers: &HeaderMap) {
    let field = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(field).to_ascii_lowercase();
    let flaw = TokenFlaw::find(headers);
    let is_there = match flaw {
        TokenFlaw::Empty => !text.contains("sk-") && !text.contains("fsk_"),
        TokenFlaw::NotText => field.iter().any(|byte| !matches!(byte, b'\t' | b' '..=b'~')),
        TokenFlaw::BearerTwice => text.matches("bearer").count() >= 2,
        TokenFlaw::Quoted => text.contains(['"', '\'', '`']),
        TokenFlaw::TestingSecret => text.contains("fsk_test_"),
        TokenFlaw::ProductionSecret => text.contains("fsk_live_"),
        TokenFlaw::TrailingSpace => {
            text.trim_end().len() < text.len() || text.ends_with("\\n") || text.ends_with("%0a")
        }
        TokenFlaw::Prefix | TokenFlaw::Length | TokenFlaw::Digits => text.len() > "bearer ".len(),
    };
    assert!(is_there, "{flaw:?}");
    let (happened, advice) = flaw.words();
    assert!(!happened.is_empty() && !advice.is_empty());
}

/// What is taken for a resource of ours is read by other software as a path below the base URL, too.
fn resource_is_here(wanted: &str) {
    if Identifiers::of("https://a.example/v1").cover(wanted) {
        let uri: http::Uri = wanted.parse().expect("a URI");
        assert_eq!((uri.scheme_str(), uri.host(), uri.query()), (Some("https"), Some("a.example"), None));
        assert!(uri.path().starts_with("/v1") && uri.port().is_none() && !wanted.contains('#'));
    }
}

/// A JWT whose header is the first line, its claims the second, and its signature the rest.
fn jwt(data: &[u8]) -> String {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || URL_SAFE_NO_PAD.encode(lines.next().unwrap_or_default());
    [next(), next(), next()].join(".")
}

/// A proof of possession: the first line is its header, the second its claims, the rest its signature; or it is none of
/// that. Nobody here could have signed one.
pub fn proof(data: &[u8]) {
    let key = [(KeyId(1), Zeroizing::new([1; 32]))];
    let keyring = Keyring::derive(EnvironmentName::Testing, &key).expect("a key");
    let start = Timestamp::from_unix_millis(0);
    let proofs = Proofs::new("https://a.example/v1", Arc::new(keyring), NonceUse::WhereNeeded, start);
    let joined = jwt(data);
    for text in [Ok(joined.as_str()), std::str::from_utf8(data)].into_iter().flatten() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let asked = Proving { method: &Method::GET, path: "/v1/orders", token: None, now };
        match proofs.prove(ProofField::Unverified(text), asked) {
            Err(ProofRefusal::Fault(fault)) => assert!(ProofFault::ALL.contains(&fault)),
            Err(ProofRefusal::UseNonce(nonce)) => assert_eq!(nonce.len(), 32),
            Ok(used) => panic!("{used:?}"),
        }
    }
}

/// A request to revoke or to introspect a token: the first line is `Authorization`, the rest the body.
pub fn about_token(data: &[u8]) {
    let (field, body) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Ok(value) = HeaderValue::from_bytes(field)
        && !field.is_empty()
    {
        headers.insert(header::AUTHORIZATION, value);
    }
    match AboutToken::parse(&headers, body.strip_prefix(b"\n").unwrap_or(body)) {
        Ok(AboutToken { token: Some(token), .. }) => assert!(is_whole(&token)),
        Ok(AboutToken { token: None, .. }) => {}
        Err(refusal) => {
            let answer = refusal.to_response(fuuffy_protocol::BodyShape::Standard);
            assert!(answer.status().is_client_error() && !answer.body().is_empty());
        }
    }
}

/// A whole token request: the first line is `Authorization`, the second the query, the rest the body.
pub fn token_request(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (field, query, body) = (next(), next(), next());
    let mut request = Request::post("/").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Ok(value) = HeaderValue::from_bytes(field)
        && !field.is_empty()
    {
        request = request.header(header::AUTHORIZATION, value);
    }
    if let Ok(uri) = http::Uri::try_from([b"/v1/auth/token?", query].concat().as_slice()) {
        request = request.uri(uri);
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let (parts, ()) = request.into_parts();
    let _ = TokenRequest::has_credentials_in_query(&parts);
    match TokenRequest::parse(&parts.headers, body) {
        Ok(request) => request.resources.iter().for_each(|wanted| resource_is_here(wanted)),
        Err(refusal) => {
            let answer = refusal.to_response(fuuffy_protocol::BodyShape::Guide);
            assert!(answer.status().is_client_error() && !answer.body().is_empty());
        }
    }
}

/// A secret or a token among foreign bytes is one by all its rules, and its mask shows little of it.
pub fn stray(data: &[u8]) {
    for at in 0..data.len() {
        if let Some((secret, kind)) = ClientSecret::at_start_of(&data[at..]) {
            assert!(secret.is_well_formed(kind) && data[at..].starts_with(secret.reveal().as_bytes()));
            assert!(secret.masked().len() < kind.prefix().len() + 8);
        }
        if let Some(token) = AccessToken::at_start_of(&data[at..]) {
            assert!(AccessToken::parse(token.reveal()).is_some() && data[at..].starts_with(token.reveal().as_bytes()));
            assert!(token.masked().len() < 11);
        }
    }
}

/// A scope that is read can be written and read again, and covers itself.
pub fn scope(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(scope) = ScopeSet::parse(text) {
        let again = ScopeSet::parse(&scope.to_string()).expect("what we write we read");
        assert!(scope == again && scope.covers(&again));
    }
}

/// A path that matches a route begins with its prefix, in whole segments, however it is spelt.
pub fn route(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let route =
        |prefix: &str| Route { prefix: prefix.to_owned(), read: ScopeSet::default(), write: ScopeSet::default() };
    // What is a prefix at all may also come from a configuration.
    let own = RouteTable::new(vec![route(text)]).is_ok();
    let prefixes = ["/v1/orders", "/v1/orders/special", "/v1"];
    let table = RouteTable::new(prefixes.map(route).to_vec()).expect("three routes");
    let Ok(path) = MatchedPath::check(text) else {
        assert!(!own, "a prefix is a plain path");
        return;
    };
    assert!(!text.split('/').any(|segment| segment == ".."), "no way up");
    if let Some(found) = table.find(&Method::GET, path) {
        let rest = text.strip_prefix(found.prefix()).expect("its prefix");
        assert!(rest.is_empty() || rest.starts_with('/'));
        assert!(prefixes.iter().all(|other| {
            other.len() <= found.prefix().len()
                || !text.strip_prefix(other).is_some_and(|it| it.is_empty() || it.starts_with('/'))
        }));
    }
}

/// How the bytes came in pieces changes nothing: as many pass, and the end is the same. What is kept of a first line is
/// plain text, without the query.
pub fn framing(data: &[u8]) {
    let RequestLine { method, path } = RequestLine::read(data);
    assert!([&method, &path].iter().all(|text| text.bytes().all(|byte| byte.is_ascii_graphic())), "{method} {path}");
    assert!(path.is_empty() || path.starts_with('/') && !path.contains(['?', '#']), "{path}");
    let whole = judge(data, data.len());
    for piece in [1, 7] {
        let pieces = judge(data, piece);
        assert_eq!(whole, pieces, "in pieces of {piece}");
    }
}

/// How a stream of messages ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All of it is fine so far.
    Open,
    /// After so many bytes a head was refused. Which of its mistakes is told depends on the pieces.
    Refused(usize),
    /// A body had a mistake. How much of it passed before depends on the pieces.
    Broken,
}

fn judge(data: &[u8], piece: usize) -> End {
    let mut framing = Framing::new(HeadLimits { uri: 200, bytes: 400, fields: 8 });
    let (mut passed, mut seen) = (0, 0);
    loop {
        match framing.advance(&data[passed..seen]) {
            Progress::Passed(0) | Progress::Incomplete if seen == data.len() => return End::Open,
            Progress::Passed(0) | Progress::Incomplete => seen = (seen + piece.max(1)).min(data.len()),
            Progress::Passed(count) => passed += count,
            Progress::Refused(_) => return End::Refused(passed),
            Progress::Broken => return End::Broken,
        }
    }
}

/// A configuration is read or refused with reasons; what is read can be written and read again.
pub fn config_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match config::parse(text, Path::new("/")) {
        Ok(read) => {
            let again = config::parse(&read.to_toml(), Path::new("/")).expect("what we write we read");
            assert!(read == again);
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
}

/// An answer to a token request: what grants can stand in a header field, what refuses can be shown.
pub fn token_answer(data: &[u8]) {
    if let Ok(grant) = TokenGrant::parse(data) {
        let field = HeaderValue::from_str(&format!("Bearer {}", grant.access_token.reveal()));
        assert!(field.is_ok(), "a granted token fits into Authorization");
        assert_eq!(format!("{:?}", grant.access_token), "AccessToken");
        assert_ne!(grant.expires_in, Some(0));
    }
    if let Some(refused) = Refused::parse(data) {
        for words in [refused.code, refused.message, refused.details] {
            assert!(!words.chars().any(char::is_control), "words never command a terminal");
        }
    }
}

/// A base URL, and on the next line a path: whatever they are, a secret goes in clear to loopback alone, and
/// the path leads to the same origin.
pub fn base_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (url, path) = text.split_once('\n').unwrap_or((text, "/orders"));
    let Ok(url) = BaseUrl::parse(url) else {
        return;
    };
    let is_loopback = url.host().eq_ignore_ascii_case("localhost")
        || url.host().parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    assert!(url.is_https() || is_loopback);
    if let Ok(joined) = url.join(path) {
        assert_eq!(joined.authority(), Some(url.authority()));
        assert!(joined.path().starts_with(url.path()));
    }
}

/// Lines of an audit log: checkpoints, and records in their order. None is proven that the key did not sign.
pub fn audit_log(data: &[u8]) {
    // The base point of the curve: a key that signed nothing here.
    let nobody = AuditPublicKey::parse("5866666666666666666666666666666666666666666666666666666666666666");
    let keys: Vec<AuditPublicKey> = nobody.into_iter().collect();
    assert_eq!(keys.len(), 1);
    let Ok(mut chain) = AuditChain::start(EnvironmentName::Testing, keys.clone(), &[], true) else {
        return;
    };
    let (mut records, mut is_tampered) = (0, false);
    for line in String::from_utf8_lossy(data).lines() {
        let followed = match Checkpoint::parse(line) {
            Some(checkpoint) => {
                assert_eq!(Checkpoint::parse(&checkpoint.to_line()).as_ref(), Some(&checkpoint));
                assert!(!checkpoint.is_signed_by(&keys));
                chain.checkpoint(&checkpoint)
            }
            None => {
                records += 1;
                chain.record(records, line, &[0; 32])
            }
        };
        is_tampered |= followed.is_err();
    }
    let proof = chain.end();
    assert!(is_tampered || proof.is_err() || records == 0);
}
