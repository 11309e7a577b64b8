//! The `Authorization` reader against its rules and against arbitrary bytes.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "sk-418e41a74ca2e7d941fa4456d73dbed7";

fn headers(fields: &[&str]) -> HeaderMap {
    fields.iter().map(|field| (header::AUTHORIZATION, HeaderValue::from_str(field).unwrap())).collect()
}

#[test]
fn the_scheme_has_no_case_and_any_number_of_spaces() {
    for field in [format!("Bearer {TOKEN}"), format!("bearer {TOKEN}"), format!("BEARER   {TOKEN}")] {
        let Ok(Bearer::Unverified(token)) = Bearer::parse(&headers(&[&field])) else {
            panic!("refused a good field");
        };
        assert_eq!(token.reveal(), TOKEN);
    }
    for field in [format!("DPoP {TOKEN}"), format!("dpop   {TOKEN}")] {
        let Ok(Bearer::WithProof(token)) = Bearer::parse(&headers(&[&field])) else {
            panic!("refused a good field");
        };
        assert_eq!(token.reveal(), TOKEN);
    }
}

#[test]
fn other_schemes_carry_no_token() {
    for field in ["Basic YTpi", "Bearerx", "DPoPx", "MAC x", ""] {
        assert!(matches!(Bearer::parse(&headers(&[field])), Ok(Bearer::Missing)), "{field:?}");
    }
}

#[test]
fn malformed_and_repeated_fields_are_refused() {
    for field in ["Bearer", "Bearer ", "DPoP", "DPoP x", "Bearer Bearer sk-1", "Bearer sk-1,sk-2"] {
        assert_eq!(Bearer::parse(&headers(&[field])).err(), Some(BearerFault::Malformed), "{field:?}");
    }
    let twice = headers(&[&format!("Bearer {TOKEN}"), "Basic YTpi"]);
    assert_eq!(Bearer::parse(&twice).err(), Some(BearerFault::Repeated));
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let mut map = HeaderMap::new();
            map.insert(header::AUTHORIZATION, value);
            let _ = Bearer::parse(&map);
        }
    }
}
