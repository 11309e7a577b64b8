//! Every way in which a token is misspelt has its name, and nothing panics.

use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;

use super::TokenFlaw;

fn found(field: &[u8]) -> TokenFlaw {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
    TokenFlaw::find(&headers)
}

#[test]
fn each_flaw_is_told_from_the_others() {
    let token = "sk-418e41a74ca2e7d941fa4456d73dbed7";
    for (field, flaw) in [
        ("Bearer".to_owned(), TokenFlaw::Empty),
        ("Bearer   ".to_owned(), TokenFlaw::Empty),
        (format!("Bearer bearer {token}"), TokenFlaw::BearerTwice),
        (format!("Bearer \"{token}\""), TokenFlaw::Quoted),
        (format!("Bearer {token} "), TokenFlaw::TrailingSpace),
        (format!("Bearer {token}\t"), TokenFlaw::TrailingSpace),
        (format!("Bearer {token}%0A"), TokenFlaw::TrailingSpace),
        ("Bearer fsk_test_abc".to_owned(), TokenFlaw::TestingSecret),
        ("Bearer 'fsk_live_abc'".to_owned(), TokenFlaw::ProductionSecret),
        ("Bearer eyJhbGciOi".to_owned(), TokenFlaw::Prefix),
        ("Bearer sk-12".to_owned(), TokenFlaw::Length),
        (format!("Bearer {}", token.to_uppercase().replace("SK", "sk")), TokenFlaw::Digits),
    ] {
        assert_eq!(found(field.as_bytes()), flaw, "{field:?}");
    }
    assert_eq!(found(b"Bearer \xff\xfe"), TokenFlaw::NotText);
}

proptest! {
    #[test]
    fn foreign_bytes_have_some_flaw(bytes in proptest::collection::vec(32_u8..=255, 0..80)) {
        if let Ok(field) = HeaderValue::from_bytes(&bytes) {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, field);
            let (happened, advice) = TokenFlaw::find(&headers).words();
            prop_assert!(!happened.is_empty() && !advice.is_empty());
        }
    }
}
