//! OAuth 2.0 Mutual-TLS Client Authentication and Certificate-Bound Access Tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jsonwebtoken::Algorithm;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use super::error;
use crate::app::token_form;
use crate::http1::{Connection, Reply, message};
use crate::mutual::{HOST, Mutual, Shown, for_orders, lasting, over};
use crate::prover::Prover;
use crate::tls::Authority;
use crate::upstream::{Act, Upstream};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

fn invalid_request() -> (u16, String) {
    (400, "invalid_request".to_owned())
}

/// The members of a client, with a certificate to be known by.
fn known_by(kind: &str, text: &str) -> Value {
    json!({"certificate": {kind: text}})
}

/// What an API is told of a token by whoever asks with a secret.
fn introspected(mutual: &Mutual, token: &str) -> Value {
    let form = format!("token={token}&{}", token_form(&mutual.timed.client));
    let path = format!("/admin/v1/testing/clients/{}", mutual.timed.client.id);
    mutual.timed.patch(&path, r#"{"scope":"introspect orders:read orders:write"}"#);
    mutual.post(None, "/oauth/introspect", &form).json()
}

/// "tls_client_auth_subject_dn … tls_client_auth_san_dns … san_uri … san_ip … san_email": each tells which certificate is the
/// client's, of all that a trusted authority has signed.
#[test]
fn section_2_1_2_each_kind_of_name_is_a_clients() {
    let mutual = Mutual::start();
    let shown = Shown::of(&mutual.clients, &for_orders());
    for (kind, text) in [
        ("subject_dn", "CN=orders, O=Acme\\, Inc., C=DE"),
        ("san_dns", "orders.EXAMPLE.com"),
        ("san_uri", "spiffe://example.com/orders"),
        ("san_ip", "192.0.2.7"),
        ("san_email", "orders@example.com"),
    ] {
        let client = mutual.register(&known_by(kind, text));
        let token = mutual.token(&shown, &client);
        assert_eq!(mutual.get(Some(&shown), &token).status, 200, "{kind}");
        let granted =
            mutual.post(Some(&shown), "/v1/auth/token", &format!("grant_type=client_credentials&client_id={client}"));
        assert_eq!((granted.status, &granted.json()["data"]["token_type"]), (200, &json!("Bearer")), "{kind}");
        let listed = mutual.timed.shown(&format!("/admin/v1/testing/clients/{client}/certificates"))["data"].clone();
        assert_eq!((&listed[0]["kind"], &listed[0]["method"]), (&json!(kind), &json!("tls_client_auth")));
        assert_eq!((&listed[0]["use_count"], &listed[0]["last_used_at"]), (&json!(2), &json!(mutual.timed.now())));
    }
}

/// "the certificate chain is validated and … the subject … matches": what is wrong with one is told to its owner alone, and
/// to the operator. "If the presented certificate doesn't match, the authorization server returns … invalid_client" (§2).
#[test]
fn section_2_1_what_nobody_vouches_for_is_refused() {
    let mutual = Mutual::start();
    let (client, stranger) = (mutual.orders(), Authority::named("Those of clients"));
    let of = |params: CertificateParams| Shown::of(&mutual.clients, &params);
    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = for_orders();
        change(&mut params);
        of(params)
    };
    let named = |values: &[(DnType, &str)]| {
        with(&|params| {
            params.distinguished_name = DistinguishedName::new();
            values.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        })
    };
    let trusted = "which an authority that is trusted has signed";
    let (owner, nobody) = (json!(client), Value::Null);
    for (shown, whose, told) in [
        (of(lasting(for_orders(), (1975, 2026))), &owner, "certificate's time was over"),
        (of(lasting(for_orders(), (2028, 4096))), &owner, "time had not come"),
        (Shown::of(&stranger, &for_orders()), &nobody, "nobody among the configured authorities has signed it"),
        (Shown::self_signed(&for_orders()), &nobody, "nobody among the configured authorities has signed it"),
        (
            Shown::of(&stranger, &lasting(for_orders(), (1975, 2026))),
            &nobody,
            "nobody among the configured authorities",
        ),
        (named(&[(DnType::CommonName, "orders")]), &nobody, trusted),
        (named(&[(DnType::CommonName, "orders,O=Acme\\, Inc.,C=DE")]), &nobody, trusted),
        (
            named(&[
                (DnType::CommonName, "orders"),
                (DnType::OrganizationName, "Acme, Inc."),
                (DnType::CountryName, "DE"),
            ]),
            &nobody,
            trusted,
        ),
        (
            with(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            &nobody,
            "not for the authentication of clients",
        ),
        (
            with(&|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
            &nobody,
            "chain to its authority was not what it must be",
        ),
    ] {
        let refused = mutual.ask(Some(&shown), &client);
        assert_eq!(error(&refused), invalid_client(), "{told}");
        let (of_client, happened) = mutual.explained(&refused);
        assert!(happened.contains(told), "{told}: {happened}");
        assert_eq!(of_client, *whose, "{happened}");
        assert!(refused.field("www-authenticate").unwrap().contains("error=\"invalid_client\""));
    }
    let unknown = mutual.ask(Some(&of(for_orders())), "app_none");
    assert_eq!(error(&unknown), invalid_client());
    assert!(mutual.explained(&unknown).1.contains("The client is not known by the certificate of"));
    assert_eq!(mutual.ask(Some(&of(for_orders())), &client).status, 200, "none of these locks anybody out");
}

/// A certificate may come with others that lead to the authority, in any order, and as many as a chain has.
#[test]
fn section_2_1_a_chain_leads_to_the_authority_and_is_bounded() {
    let mutual = Mutual::start();
    let client = mutual.orders();
    let (between, its_own) = mutual.clients.below("Between");
    let mut shown = Shown::of(&between, &for_orders());
    let alone = mutual.ask(Some(&shown), &client);
    assert!(mutual.explained(&alone).1.contains("nobody among the configured authorities has signed it"));
    shown.chain.push(its_own.clone());
    assert_eq!(mutual.ask(Some(&shown), &client).status, 200);
    shown.chain.splice(1..1, (0..6).map(|_| Shown::self_signed(&for_orders()).chain[0].clone()));
    assert_eq!(mutual.ask(Some(&shown), &client).status, 200, "eight");
    shown.chain.push(its_own);
    let long = mutual.ask(Some(&shown), &client);
    assert_eq!(error(&long), invalid_client());
    assert!(mutual.explained(&long).1.contains("more than 8 certificates"));
}

/// "the certificate is … self-signed … the client registers its certificate": that very one, of which there may be several,
/// so that one can be replaced while the other works.
#[test]
fn section_2_2_a_registered_certificate_is_its_clients_until_it_is_taken_away() {
    let mut mutual = Mutual::start();
    let params = || lasting(for_orders(), (1975, 2028));
    let (first, second) = (Shown::self_signed(&params()), Shown::self_signed(&params()));
    let client = mutual.register(&known_by("certificate", &first.pem()));
    let path = format!("/admin/v1/testing/clients/{client}");
    assert_eq!(mutual.ask(Some(&first), &client).status, 200);
    let refused = mutual.ask(Some(&second), &client);
    assert_eq!(error(&refused), invalid_client(), "of the same name");
    let happened = mutual.explained(&refused).1;
    assert!(happened.contains("CN=orders,O=Acme") && happened.contains("whoever has signed it"), "{happened}");
    let added =
        mutual.timed.operate(&format!("{path}/certificates"), &json!({"certificate": second.pem()}).to_string());
    assert_eq!(added["data"]["value"], json!(second.thumbprint()), "{added}");
    mutual.timed.restart();
    for shown in [&first, &second] {
        assert_eq!(mutual.ask(Some(shown), &client).status, 200);
    }
    let token = mutual.token(&first, &client);
    let listed = mutual.timed.shown(&format!("{path}/certificates"))["data"].clone();
    assert_eq!(
        (listed[0]["expires_at"].as_str(), &listed[0]["use_count"]),
        (Some("2028-01-01T00:00:01.000Z"), &json!(3))
    );
    let id = listed[0]["certificate_id"].as_str().unwrap();
    assert_eq!(mutual.timed.delete(&format!("{path}/certificates/{id}"))["data"]["certificate_id"], id);
    assert_eq!(error(&mutual.ask(Some(&first), &client)), invalid_client());
    assert_eq!(mutual.get(Some(&first), &token).status, 200, "what was got by it lives on, as with a secret");
    mutual.timed.operate(&format!("{path}/suspend"), "");
    assert_eq!(mutual.ask(Some(&second), &client).status, 403);
    assert_eq!(mutual.get(Some(&first), &token).code(), "invalid_token");
    mutual.timed.operate(&format!("{path}/resume"), "");
    // Its time ends here, too, though nobody vouches for it.
    mutual.timed.time.pass(Duration::from_secs(350 * 86_400));
    assert_eq!(mutual.ask(Some(&second), &client).status, 200);
    mutual.timed.time.pass(Duration::from_secs(2 * 86_400));
    let over = mutual.ask(Some(&second), &client);
    let (owner, happened) = mutual.explained(&over);
    assert_eq!((error(&over), owner), (invalid_client(), json!(client)));
    assert!(happened.contains("time was over"), "{happened}");
    mutual.timed.delete(&path);
    assert!(mutual.explained(&mutual.ask(Some(&second), &client)).1.contains("or there is no such client"));
}

/// "the client … prove[s] possession of the private key": by the handshake, with which it ends where that fails.
#[test]
fn section_2_whoever_has_a_certificate_and_not_its_key_does_not_get_in() {
    let mutual = Mutual::start();
    let (right, other) = (Shown::of(&mutual.clients, &for_orders()), Shown::self_signed(&for_orders()));
    let stolen = right.with_the_key_of(&other);
    for version in [&TLS12, &TLS13] {
        let spoken = mutual.speaking(Some(&stolen), &[version], "http/1.1");
        let told = mutual.connect(&spoken).and_then(|mut session| {
            // In TLS 1.3 the server's no comes after the client's part of the handshake is done.
            std::io::Write::write_all(&mut session, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")?;
            std::io::Read::read_exact(&mut session, &mut [0; 12])
        });
        assert!(told.is_err(), "{version:?}");
        let spoken = mutual.speaking(Some(&right), &[version], "http/1.1");
        let fields = [FORM];
        let form = format!("grant_type=client_credentials&client_id={}", mutual.orders());
        assert_eq!(over(mutual.connect(&spoken).unwrap(), ("POST", "/oauth/token"), &fields, &form).status, 200);
    }
}

/// "the client MUST include the client_id parameter", and alone it is nothing: "invalid_client" as for whoever sends none.
#[test]
fn section_2_a_name_without_a_certificate_is_nothing_and_other_credentials_decide() {
    let mutual = Mutual::start();
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let nothing = mutual.ask(None, &client);
    assert_eq!(error(&nothing), invalid_client());
    assert_eq!(nothing.field("www-authenticate").map(|field| field.contains("error=")), Some(false));
    assert_eq!(error(&mutual.post(Some(&shown), "/oauth/token", "grant_type=client_credentials")), invalid_client());
    let wrong = format!("grant_type=client_credentials&client_id={client}&client_secret=fsk_test_wrong");
    assert_eq!(
        error(&mutual.post(Some(&shown), "/oauth/token", &wrong)),
        invalid_client(),
        "whatever the certificate says"
    );
    let both = mutual.request(
        Some(&shown),
        ("POST", "/oauth/token"),
        &[FORM, ("authorization", "Basic YTpi")],
        &format!("grant_type=client_credentials&client_id={client}"),
    );
    assert_ne!(both.status, 200);
    let by_secret = mutual.post(Some(&shown), "/oauth/token", &token_form(&mutual.timed.client));
    assert_eq!(by_secret.status, 200);
    let token = by_secret.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(mutual.get(None, &token).status, 200, "a certificate binds nothing that nobody asked for");
    assert_eq!(introspected(&mutual, &token)["cnf"], Value::Null);
}

/// "the protected resource … MUST … verify that the certificate matches the certificate associated with the access token …
/// HTTP 401 … invalid_token".
#[test]
fn section_3_a_token_is_of_use_with_its_certificate_alone() {
    let mut mutual = Mutual::start();
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let twin = Shown::of(&mutual.clients, &for_orders());
    let token = mutual.token(&shown, &client);
    for _ in 0..2 {
        assert_eq!(mutual.get(Some(&shown), &token).status, 200);
        for (thief, told) in
            [(None, "No client certificate was shown"), (Some(&twin), "bound to another client certificate")]
        {
            let refused = mutual.get(thief, &token);
            let challenge = refused.field("www-authenticate").unwrap().to_owned();
            assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_token"));
            assert!(challenge.starts_with(r#"Bearer realm="fuuffy", error="invalid_token""#), "{challenge}");
            assert!(challenge.contains("resource_metadata="), "{challenge}");
            let (owner, happened) = mutual.explained(&refused);
            assert!(owner == json!(client) && happened.contains(told), "{owner}: {happened}");
        }
        // Bound for good, whatever happens to the server.
        mutual.timed.restart();
    }
    let bearer = format!("Bearer {token}");
    for path in ["/v1/auth/usage", "/v1/auth/drills"] {
        let ask = |shown| mutual.request(shown, ("GET", path), &[("authorization", &bearer)], "");
        assert_eq!((ask(Some(&shown)).status, ask(None).code()), (200, "invalid_token".to_owned()), "{path}");
    }
    let plain = mutual.post(None, "/oauth/token", &token_form(&mutual.timed.client));
    let plain = plain.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        mutual.get(Some(&twin), &plain).status,
        200,
        "a token that is bound to nothing goes over any connection"
    );
    let proof = Prover::new(Algorithm::ES256);
    mutual.timed.time.pass(Duration::from_secs(11));
    let proof = proof.sign(&proof.claims_with(&token, mutual.timed.now()));
    let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &proof)];
    let refused = mutual.request(Some(&shown), ("GET", "/v1/orders"), &fields, "");
    assert_eq!(refused.code(), "invalid_token", "a proof is no certificate");
}

/// "x5t#S256 … the base64url-encoded SHA-256 hash … of the DER encoding of the X.509 certificate" (§3.1), "in the introspection
/// response" (§3.2), to whoever asks by certificate too.
#[test]
fn section_3_1_and_3_2_the_thumbprint_is_told() {
    let mutual = Mutual::with("token_format = \"jwt\"", "");
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let token = mutual.token(&shown, &client);
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let expected = json!({"x5t#S256": shown.thumbprint()});
    assert_eq!(claims["cnf"], expected);
    assert_eq!(mutual.get(Some(&shown), &token).status, 200);
    assert_eq!(mutual.get(None, &token).code(), "invalid_token");
    let told = introspected(&mutual, &token);
    assert_eq!((&told["active"], &told["token_type"], &told["cnf"]), (&json!(true), &json!("Bearer"), &expected));
    let about = format!("token={token}&client_id={client}");
    let signed = mutual.request(
        Some(&shown),
        ("POST", "/oauth/introspect"),
        &[FORM, ("accept", "application/token-introspection+jwt")],
        &about,
    );
    let payload = signed.text().split('.').nth(1).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(claims["token_introspection"]["cnf"], expected);
    assert_eq!(error(&mutual.post(None, "/oauth/introspect", &about)), invalid_client());
    assert_eq!(error(&mutual.post(None, "/oauth/revoke", &about)), invalid_client());
    assert_eq!(mutual.post(Some(&shown), "/oauth/revoke", &about).status, 200);
    assert_eq!(mutual.get(Some(&shown), &token).code(), "invalid_token");
}

/// "tls_client_certificate_bound_access_tokens … indicates the client's intention to use mutual-TLS client
/// certificate-bound access tokens", however it proves itself.
#[test]
fn section_3_4_a_client_may_be_registered_to_get_bound_tokens_alone() {
    let mutual = Mutual::start();
    let shown = Shown::self_signed(&for_orders());
    let client = &mutual.timed.client;
    let path = format!("/admin/v1/testing/clients/{}", client.id);
    let (form, before) = (token_form(client), mutual.post(None, "/oauth/token", &token_form(client)).json());
    let changed = mutual.timed.patch(&path, r#"{"tls_client_certificate_bound_access_tokens":true}"#);
    assert_eq!(changed["data"]["tls_client_certificate_bound_access_tokens"], true, "{changed}");
    assert_eq!(mutual.get(None, before["access_token"].as_str().unwrap()).code(), "invalid_token", "revoked with it");
    let told = |refused: &Reply, words: &str| {
        assert_eq!(error(refused), invalid_request(), "{words}");
        let (owner, happened) = mutual.explained(refused);
        assert!(owner == json!(client.id) && happened.contains(words), "{happened}");
    };
    told(&mutual.post(None, "/oauth/token", &form), "No client certificate was shown");
    let over = Shown::self_signed(&lasting(for_orders(), (1975, 2026)));
    told(&mutual.post(Some(&over), "/oauth/token", &form), "time was over");
    let granted = mutual.post(Some(&shown), "/oauth/token", &form);
    assert_eq!(granted.status, 200, "any that is good now: the secret says whose it is: {}", granted.text());
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!((mutual.get(Some(&shown), &token).status, mutual.get(None, &token).status), (200, 401));
    let (prover, now) = (Prover::new(Algorithm::EdDSA), mutual.timed.now());
    let proof = prover.sign(&prover.claims("POST", "/oauth/token", now));
    let two = mutual.request(Some(&shown), ("POST", "/oauth/token"), &[FORM, ("dpop", &proof)], &form);
    told(&two, "a DPoP proof came besides");
    // A token is bound to one thing.
    let both = r#"{"tls_client_certificate_bound_access_tokens":true,"dpop_bound_access_tokens":true}"#;
    assert_eq!(mutual.timed.patch(&path, both)["error"]["code"], "invalid_request");
    let changed = mutual.timed.patch(&path, r#"{"dpop_bound_access_tokens":true}"#);
    assert_eq!(changed["data"]["tls_client_certificate_bound_access_tokens"], false, "one takes the other's place");
    mutual.timed.patch(&path, r#"{"dpop_bound_access_tokens":false}"#);
    assert_eq!(mutual.post(None, "/oauth/token", &form).status, 200);
    let made = mutual.register(&json!({"tls_client_certificate_bound_access_tokens": true}));
    let shown = mutual.timed.shown(&format!("/admin/v1/testing/clients/{made}"))["data"].clone();
    assert_eq!(shown["tls_client_certificate_bound_access_tokens"], true);
}

/// Whoever proves a key besides has asked for tokens that are bound to that (RFC 9449 §5).
#[test]
fn section_3_a_proof_of_a_key_binds_before_the_certificate_does() {
    let mutual = Mutual::start();
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    mutual.timed.time.pass(Duration::from_secs(11));
    let (prover, now) = (Prover::new(Algorithm::ES256), mutual.timed.now());
    let proof = prover.sign(&prover.claims("POST", "/oauth/token", now));
    let form = format!("grant_type=client_credentials&client_id={client}&scope=orders:write");
    let granted = mutual.request(Some(&shown), ("POST", "/oauth/token"), &[FORM, ("dpop", &proof)], &form);
    assert_eq!(granted.json()["token_type"], "DPoP", "{}", granted.text());
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(introspected(&mutual, &token)["cnf"], json!({"jkt": prover.key.thumbprint()}));
    let proof = prover.sign(&prover.claims_with(&token, now));
    let fields = [("authorization", &*format!("DPoP {token}")), ("dpop", &proof)];
    // RFC 9449 §7.1: what such a token lacks is said by the scheme that it is used with.
    let lacks = mutual.request(None, ("GET", "/v1/orders"), &fields, "");
    let challenge = lacks.field("www-authenticate").unwrap();
    assert_eq!(lacks.code(), "insufficient_scope");
    assert!(challenge.starts_with(r#"DPoP realm="fuuffy", error="insufficient_scope""#), "{challenge}");
    assert!(challenge.contains(r#"scope="orders:read""#) && challenge.contains("algs="), "{challenge}");
}

/// "tls_client_certificate_bound_access_tokens … Boolean value indicating server support" (§3.3), and the methods of §2.
#[test]
fn section_3_3_the_metadata_says_so() {
    let mutual = Mutual::start();
    let told = |path: &str| mutual.request(None, ("GET", path), &[], "").json();
    let server = told("/.well-known/oauth-authorization-server");
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = server[format!("{endpoint}_endpoint_auth_methods_supported")].as_array().unwrap();
        for method in ["tls_client_auth", "self_signed_tls_client_auth"] {
            assert!(methods.contains(&json!(method)), "{endpoint}: {methods:?}");
        }
    }
    assert_eq!(server["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!(told("/.well-known/oauth-protected-resource/v1")["tls_client_certificate_bound_access_tokens"], true);
}

/// §7.4 warns of what resumption loses: here it keeps the certificate, by either version.
#[test]
fn section_7_a_session_that_goes_on_keeps_its_certificate() {
    let mutual = Mutual::start();
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let form = format!("grant_type=client_credentials&client_id={client}");
    for version in [&TLS12, &TLS13] {
        let spoken = mutual.speaking(Some(&shown), &[version], "http/1.1");
        for resumed in [false, true] {
            let session = mutual.connect(&spoken).unwrap();
            assert_eq!(session.conn.handshake_kind() == Some(HandshakeKind::Resumed), resumed, "{version:?}");
            assert_eq!(over(session, ("POST", "/oauth/token"), &[FORM], &form).status, 200, "{version:?}");
        }
    }
    // One that began without a certificate has none later.
    let spoken = mutual.speaking(None, &[&TLS13], "http/1.1");
    for _ in 0..2 {
        let session = mutual.connect(&spoken).unwrap();
        assert_eq!(error(&over(session, ("POST", "/oauth/token"), &[FORM], &form)), invalid_client());
    }
}

/// All requests of a connection are by its certificate, also where it was idle in between, and by HTTP/2.
#[test]
fn section_3_by_every_version_of_http() {
    let mutual = Mutual::with("limits = { header_timeout = \"150ms\" }", "");
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let token = mutual.token(&shown, &client);
    let bearer = format!("Bearer {token}");
    let mut connection = Connection::over(mutual.connect(&mutual.caller(Some(&shown))).unwrap());
    for _ in 0..3 {
        let fields = [("host", HOST), ("authorization", bearer.as_str())];
        connection.send(message(mutual.timed.testing(), "GET", "/v1/orders", &fields, ""));
        assert_eq!(connection.reply().unwrap().status, 200);
        // Another caller is let go after the header timeout: longer than the connection stays with whoever parses it.
        assert!(Connection::open(mutual.timed.testing()).is_closed());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (certificate, expected) in [(Some(&shown), 200), (None, 401)] {
            let connector = tokio_rustls::TlsConnector::from(mutual.speaking(certificate, &[&TLS13], "h2"));
            let stream = tokio::net::TcpStream::connect(mutual.timed.testing()).await.unwrap();
            let stream = connector.connect(HOST.try_into().unwrap(), stream).await.unwrap();
            let (mut sender, driver) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            let driver = tokio::spawn(driver);
            for _ in 0..2 {
                let request = http::Request::get(format!("https://{HOST}/v1/orders")).header("authorization", &bearer);
                let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
                let response = sender.send_request(request).await.unwrap();
                assert_eq!(response.status(), expected);
                response.into_body().collect().await.unwrap();
            }
            drop(sender);
            driver.abort();
        }
    });
}

/// What is upgraded was authorised like any other request.
#[test]
fn section_3_a_websocket_is_opened_by_its_certificate() {
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let upstream = Upstream::start(move |_, _| Act::Echo(switching.to_vec()));
    let mutual = Mutual::before(upstream, "", "websocket = true");
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let bearer = format!("Bearer {}", mutual.token(&shown, &client));
    let fields =
        [("host", HOST), ("authorization", bearer.as_str()), ("connection", "upgrade"), ("upgrade", "websocket")];
    let head = message(mutual.timed.testing(), "GET", "/v1/orders", &fields, "");
    let open = |shown| {
        let mut connection = Connection::over(mutual.connect(&mutual.caller(shown)).unwrap());
        connection.send(&head);
        let status = connection.reply().unwrap().status;
        (connection, status)
    };
    let (mut socket, status) = open(Some(&shown));
    assert_eq!(status, 101);
    socket.send("\x00 not http");
    assert_eq!(socket.bytes(10), b"\x00 not http");
    assert_eq!(open(None).1, 401);
}

/// Whatever is shown, and however often, costs little and locks nobody out.
#[test]
fn section_7_a_flood_of_wrong_certificates_locks_nobody_out() {
    let mutual = Mutual::start();
    let (client, right) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let wrong = Shown::of(&Authority::named("Those of clients"), &for_orders());
    let form = format!("grant_type=client_credentials&client_id={client}");
    let fields = [("host", HOST), FORM];
    let head = message(mutual.timed.testing(), "POST", "/oauth/token", &fields, &form);
    let mut connection = Connection::over(mutual.connect(&mutual.caller(Some(&wrong))).unwrap());
    let statuses: Vec<u16> = (0..301)
        .map(|_| {
            connection.send(&head);
            connection.reply().unwrap().status
        })
        .collect();
    assert!(statuses[..300].iter().all(|status| *status == 401) && statuses[300] == 429, "{statuses:?}");
    assert_eq!(mutual.ask(Some(&right), &client).status, 200);
}
