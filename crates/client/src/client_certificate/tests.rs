//! What is read from a pair, and what is said where it is none.

use proptest::prelude::*;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ED25519, SanType, SignatureAlgorithm, date_time_ymd,
};

use super::*;

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, "Acme");
        params.distinguished_name.push(DnType::CommonName, name);
    }
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
    params
}

fn signed(params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    (params.self_signed(&key).unwrap(), key)
}

/// A pair as PEM, and the certificate itself.
fn pair(name: &str) -> (String, String, Vec<u8>) {
    let (certificate, key) = signed(&params(name), &PKCS_ECDSA_P256_SHA256);
    (certificate.pem(), key.serialize_pem(), certificate.der().to_vec())
}

fn refused(chain: &str, key: &str) -> String {
    let error = ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
    let secret: String = key.lines().filter(|line| !line.starts_with("---")).take(1).collect();
    assert!(secret.is_empty() || !format!("{error} {error:?}").contains(&secret), "{error}");
    error.to_string()
}

#[test]
fn a_pair_tells_whose_it_is_and_until_when() {
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let (certificate, key) = signed(&params("orders"), algorithm);
        let (pem, key) = (certificate.pem(), key.serialize_pem());
        let read = ClientCertificate::from_pem(pem.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(read.subject(), "O=Acme, CN=orders");
        assert_eq!(read.thumbprint(), URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der())));
        let year = read.ends_at().duration_since(read.starts_at()).unwrap();
        assert_eq!(year, Duration::from_secs(365 * 86_400));
        assert_eq!(read.starts_at(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600));
        assert!(!format!("{read:?}").contains("PRIVATE") && format!("{read:?}").contains(read.thumbprint()));
    }
}

/// RFC 8705 has the whole chain shown; whatever else is in the files is not.
#[test]
fn the_chain_goes_along_and_nothing_else_does() {
    let ((own, key, _), (other, other_key, _)) = (pair("orders"), pair("authority"));
    let chain = format!("Subject: orders\n{own}{other_key}\n{other}");
    let read = ClientCertificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let labels: Vec<&str> = read.reveal_pem().lines().filter(|line| line.starts_with("-----BEGIN")).collect();
    assert_eq!(labels, ["-----BEGIN PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"]);
    let again = ClientCertificate::from_pem(read.reveal_pem().as_bytes(), read.reveal_pem().as_bytes()).unwrap();
    assert_eq!(again.thumbprint(), read.thumbprint());
    assert!(read.reveal_pem().lines().all(|line| line.len() <= LINE), "{own}");
}

#[test]
fn whoever_has_no_subject_is_called_by_another_name() {
    let mut workload = params("");
    workload.subject_alt_names = vec![SanType::URI("spiffe://acme.test/orders".try_into().unwrap())];
    for (params, called) in [(workload, "spiffe://acme.test/orders"), (params(""), "no name")] {
        let (certificate, key) = signed(&params, &PKCS_ECDSA_P256_SHA256);
        let read = ClientCertificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert!(read.subject().contains(called), "{}", read.subject());
    }
}

#[test]
fn what_is_wrong_is_said_and_nothing_of_the_key() {
    let ((own, key, der), (_, other_key, _)) = (pair("orders"), pair("other"));
    let no_x509 = own.replace(&own.lines().nth(1).unwrap()[..8], "AAAAAAAA");
    let cut = &own[..own.len() / 2];
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let nonsense = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let binary = String::from_utf8_lossy(&der).into_owned();
    for (chain, key, words) in [
        (own.as_str(), other_key.as_str(), "the key is not that of the client's certificate"),
        ("", &key, "the client's certificate is not there"),
        (&key, &key, "the client's certificate is not there"),
        (&binary, &key, "the client's certificate is not there"),
        (cut, &key, "the client's certificate is broken PEM"),
        (&no_x509, &key, "the first one is no X.509"),
        (&own, "", "the key of the client's certificate is not there"),
        (&own, &own, "the key of the client's certificate is not there"),
        (&own, &encrypted, "not encrypted"),
        (&own, nonsense, "is none that TLS can use"),
    ] {
        let said = refused(chain, key);
        assert!(said.contains(words), "{words}: {said}");
    }
}

proptest! {
    /// Whatever is in the files, there is an answer.
    #[test]
    fn no_bytes_are_too_foreign(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (own, key, mut der) = pair("orders");
        let index = at.index(der.len());
        der[index] = byte;
        let broken = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&der));
        let _ = ClientCertificate::from_pem(broken.as_bytes(), key.as_bytes());
        let mut text = format!("{own}{key}").into_bytes();
        let index = at.index(text.len());
        text[index] = byte;
        let _ = ClientCertificate::from_pem(&text, &text);
        let _ = ClientCertificate::from_pem(&text[..cut.index(text.len())], &text);
    }
}
