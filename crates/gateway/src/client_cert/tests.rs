//! The fields of RFC 9440 as proxies write them, well and badly.

use proptest::prelude::*;

use super::*;

fn taken(fields: &[(&'static str, &str)]) -> Option<Presented> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let taken = take_client_cert(&mut headers);
    assert!(headers.is_empty(), "none is left: {headers:?}");
    taken
}

fn chain_of(fields: &[(&'static str, &str)]) -> Vec<Vec<u8>> {
    match taken(fields) {
        Some(Presented::Certificate(it)) => std::iter::once(it.own()).chain(it.others()).map(<[u8]>::to_vec).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_certificate_is_bytes_between_colons() {
    assert_eq!(chain_of(&[("client-cert", ":b3du:")]), [b"own"]);
    assert_eq!(
        chain_of(&[("client-cert", ":b3du:;q=1"), ("client-cert-chain", ":YQ==:, :Yg==:")]),
        [&b"own"[..], b"a", b"b"]
    );
    let divided = [("client-cert", ":b3du:"), ("client-cert-chain", ":YQ==:"), ("client-cert-chain", ":Yg==:")];
    assert_eq!(chain_of(&divided), [&b"own"[..], b"a", b"b"]);
    assert!(taken(&[]).is_none() && taken(&[("client-cert-chain", ":YQ==:")]).is_none(), "a chain alone is nobody's");
}

#[test]
fn what_cannot_be_read_is_no_certificate() {
    for fields in [
        &[("client-cert", "")][..],
        &[("client-cert", "::")],
        &[("client-cert", "b3du")],
        &[("client-cert", "\"b3du\"")],
        &[("client-cert", ":b3du")],
        &[("client-cert", ":b3du:, :b3du:")],
        &[("client-cert", ":b3du:"), ("client-cert", ":b3du:")],
        &[("client-cert", ":-----BEGIN CERTIFICATE-----:")],
        &[("client-cert", "%2D%2D%2D")],
        &[("client-cert", ":b3du:"), ("client-cert-chain", "a")],
        &[("client-cert", ":b3du:"), ("client-cert-chain", "(:YQ==:)")],
    ] {
        assert!(matches!(taken(fields), Some(Presented::Unusable(CertificateFault::Field))), "{fields:?}");
    }
    let many = [":YQ==:"; 8].join(", ");
    let long = taken(&[("client-cert", ":b3du:"), ("client-cert-chain", &many)]);
    assert!(matches!(long, Some(Presented::Unusable(CertificateFault::TooLong))));
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(own in "[ -~]{0,40}", chain in "[ -~]{0,40}") {
        let _ = taken(&[("client-cert", &own), ("client-cert-chain", &chain)]);
        let _ = taken(&[("client-cert", ":b3du:"), ("client-cert-chain", &chain)]);
    }
}
