//! What must hold for whatever clients and platforms say of themselves: assertions, platforms' tokens, published keys and
//! metadata, and certificates.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::{ClientCertificate, PlatformToken, PrivateKey};
use fuuffy_domain::{
    AssertionFault, DistinguishedName, IdentityFault, KeySetFault, Lifetime, Presented, ReadCertificate, Timestamp,
    TrustedIssuer,
};
use fuuffy_gateway::take_client_cert;
use fuuffy_issuer::{KeySet, ReadAssertion, UnverifiedToken, keys_in};
use fuuffy_protocol::{ClientAuthentication, Form, UnverifiedAssertion};
use http::{HeaderMap, HeaderValue};

use super::jwt;

const ISSUER: &str = "https://a.example";
const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

/// The same text as a token request brings it: as a JWT of the lines, and as it is.
fn asserted(data: &[u8]) -> impl Iterator<Item = UnverifiedAssertion> {
    [jwt(data).into_bytes(), data.to_vec()].into_iter().filter_map(|text| {
        let mut form = format!("client_assertion_type={}&client_assertion=", ClientAuthentication::ASSERTION_TYPE);
        for byte in text {
            let _ = write!(form, "%{byte:02x}");
        }
        let form = Form::parse(form.as_bytes()).ok()?;
        match ClientAuthentication::parse(&HeaderMap::new(), &form).ok()? {
            ClientAuthentication::Assertion(claimed) => Some(claimed.assertion),
            ClientAuthentication::Secret(_) | ClientAuthentication::Name(_) => None,
        }
    })
}

/// A client's assertion: the first line is its header, the second its claims, the rest its signature; or it is none of that.
/// What is taken for good ends soon, and has a name to be used once by.
pub fn assertion(data: &[u8]) {
    for assertion in asserted(data) {
        let read = match ReadAssertion::read(&assertion) {
            Ok(read) => read,
            Err(fault) => {
                assert!(AssertionFault::ALL.contains(&fault));
                continue;
            }
        };
        let _ = read.is_signed_by(None);
        match read.check("app", ISSUER, NOW) {
            Ok(checked) => {
                let left = checked.expires_at.since(NOW);
                assert!(checked.expires_at > NOW && left <= Duration::from_secs(330), "{checked:?}");
                assert!((1..=128).contains(&checked.jti.len()), "{checked:?}");
            }
            Err(fault) => assert!(AssertionFault::ALL.contains(&fault)),
        }
    }
}

/// A platform's token, alike: what is taken for good in time has not ended.
pub fn platform_token(data: &[u8]) {
    let trusted = TrustedIssuer {
        issuer: Arc::from("https://platform.example"),
        audience: ISSUER.to_owned(),
        binding_claims: vec!["sub".to_owned()],
        longest_life: Lifetime::parse("1d").expect("a day"),
    };
    for assertion in asserted(data) {
        match UnverifiedToken::read(&assertion).and_then(|token| token.check(&trusted, NOW).map(|()| token)) {
            Ok(token) => {
                let later = NOW.after(trusted.longest_life.duration()).after(Duration::from_secs(31));
                assert_eq!(token.check(&trusted, later), Err(IdentityFault::Expired), "it lives a day at most");
            }
            Err(fault) => assert!(IdentityFault::ALL.contains(&fault)),
        }
    }
    if let Ok(token) = std::str::from_utf8(data).map_err(drop).and_then(|text| PlatformToken::parse(text).map_err(drop))
    {
        assert_eq!(format!("{token:?}"), "PlatformToken");
    }
}

/// A set of keys that somebody publishes: what is taken from it is public, and called by names of its own.
pub fn key_set(data: &[u8]) {
    match KeySet::parse(data, NOW) {
        Ok(set) => {
            let keys = set.of_clients();
            let names: Vec<&str> = keys.iter().filter_map(|key| key.kid.as_deref()).collect();
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
            for key in keys {
                let members: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&key.jwk).expect("what we write we read");
                assert!(
                    members.keys().all(|name| ["kty", "crv", "x", "y", "n", "e"].contains(&name.as_str())),
                    "{members:?}"
                );
            }
        }
        Err(fault) => assert!(KeySetFault::ALL.contains(&fault)),
    }
}

/// What an issuer says of itself: where its keys are is its own word, and nowhere in clear.
pub fn metadata(data: &[u8]) {
    match keys_in(data, "https://platform.example") {
        Ok(uri) => {
            assert!(uri.starts_with("https://"));
            let text = String::from_utf8_lossy(data);
            assert!(text.contains("issuer") || text.contains('\\'), "{text}");
        }
        Err(fault) => assert!(KeySetFault::ALL.contains(&fault)),
    }
}

/// What a proxy says of a certificate: the first line is `Client-Cert`, each other one `Client-Cert-Chain`. Both are taken out
/// whatever they say. A subject that is read is written so that it is read as the same.
pub fn client_cert(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (number, line) in data.split(|byte| *byte == b'\n').enumerate() {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(if number == 0 { "client-cert" } else { "client-cert-chain" }, value);
        }
    }
    let is_there = headers.contains_key("client-cert");
    let presented = take_client_cert(&mut headers);
    assert!(headers.is_empty() && presented.is_some() == is_there);
    if let Some(Presented::Certificate(certificate)) = &presented {
        assert!(!certificate.own().is_empty() && certificate.others().count() < 8);
        subject_is_read_again(certificate.own());
    }
    subject_is_read_again(data);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(name) = DistinguishedName::parse(text)
    {
        assert_eq!(DistinguishedName::parse(&name.to_string()).as_ref(), Ok(&name));
    }
}

fn subject_is_read_again(der: &[u8]) {
    if let Ok(ReadCertificate { subject: Some(subject), .. }) = ReadCertificate::read(der) {
        assert_eq!(DistinguishedName::parse(&subject.to_string()).as_ref(), Ok(&subject));
    }
}

/// An integrator's files: a chain, and after a line of dashes its key. Whatever is said of them has nothing of the key.
pub fn client_certificate(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (chain, key) = text.split_once("\n--\n").unwrap_or((&text, &text));
    match ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()) {
        Ok(certificate) => {
            assert_eq!(certificate.thumbprint().len(), 43);
            assert!(!format!("{certificate:?}").contains("PRIVATE"));
            let pem = certificate.reveal_pem().as_bytes();
            let again = ClientCertificate::from_pem(pem, pem).expect("what we write we read");
            assert_eq!(again.thumbprint(), certificate.thumbprint());
        }
        Err(error) => assert!(error.to_string().len() < 300, "{error}"),
    }
    let _ = PrivateKey::from_pem(key.as_bytes());
}
