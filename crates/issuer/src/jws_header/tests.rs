//! What a header may say, and what not.

use super::*;

fn read(header: &str) -> Result<UnverifiedHeader, HeaderFault> {
    UnverifiedHeader::read(&format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header)))
}

#[test]
fn a_member_that_asks_for_more_is_seen_whatever_it_is() {
    assert!(!read(r#"{"alg":"ES256","typ":"JWT","kid":"a","x5t":"AAAA","else":[1]}"#).unwrap().asks_for_more());
    for member in ["jku", "jwk", "x5u", "x5c", "crit", "cty", "enc", "zip"] {
        for value in ["\"a\"", "1", "{}", "[]", "false"] {
            let header = read(&format!(r#"{{"alg":"ES256","{member}":{value}}}"#)).unwrap();
            assert!(header.asks_for_more(), "{member} {value}");
        }
    }
}

#[test]
fn an_algorithm_is_told_by_its_exact_name_and_once() {
    for (name, algorithm) in [
        ("RS256", Algorithm::RS256),
        ("ES256", Algorithm::ES256),
        ("EdDSA", Algorithm::EdDSA),
        ("Ed25519", Algorithm::EdDSA),
    ] {
        assert_eq!(read(&format!(r#"{{"alg":"{name}"}}"#)).unwrap().alg, algorithm);
    }
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"Ed448"}"#,
        r#"{"alg":"ed25519"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":null}"#,
        "{}",
        "[]",
        "",
    ] {
        assert_eq!(read(header).err(), Some(HeaderFault::Algorithm), "{header}");
    }
    for jwt in ["", ".", "e30.e30", "e30.e30.e30.e30", "!.e30.AAAA"] {
        assert_eq!(UnverifiedHeader::read(jwt).err(), Some(HeaderFault::Malformed), "{jwt}");
    }
}
