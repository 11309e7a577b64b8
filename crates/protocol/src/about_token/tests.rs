//! Requests about tokens as good and bad callers send them.

use http::{HeaderValue, header};
use proptest::prelude::*;

use super::*;

const GOOD: &str = "client_id=a&client_secret=b&token=sk-418e41a74ca2e7d941fa4456d73dbed7";

fn parse(body: &[u8]) -> Result<AboutToken, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    AboutToken::parse(&headers, body)
}

#[test]
fn the_token_is_read_whatever_the_hint_says() {
    for hint in ["", "&token_type_hint=access_token", "&token_type_hint=refresh_token", "&token_type_hint=%00"] {
        let request = parse(format!("{GOOD}{hint}&surprise=1").as_bytes()).unwrap();
        assert_eq!(request.token.unwrap().reveal(), "sk-418e41a74ca2e7d941fa4456d73dbed7");
        assert_eq!(request.authentication.client_id(), "a");
    }
}

#[test]
fn what_is_no_token_of_ours_is_one_that_nobody_knows() {
    for token in ["x", "sk-", "sk-418E41A74CA2E7D941FA4456D73DBED7", "eyJhbGciOiJub25lIn0.e30."] {
        assert!(parse(format!("client_id=a&client_secret=b&token={token}").as_bytes()).unwrap().token.is_none());
    }
}

#[test]
fn each_mistake_has_its_refusal() {
    use RequestFault as F;
    let cases = [
        ("client_id=a&client_secret=b", Refusal::InvalidRequest(F::MissingTokenParameter)),
        ("client_id=a&client_secret=b&token=", Refusal::InvalidRequest(F::MissingTokenParameter)),
        ("client_id=a&client_secret=b&token=x&token=x", Refusal::InvalidRequest(F::RepeatedParameter)),
        ("client_id=a&client_secret=b&token=x&token_type_hint=&token_type_hint=", {
            Refusal::InvalidRequest(F::RepeatedParameter)
        }),
        ("token=x", Refusal::InvalidClient(None)),
        ("client_secret=b&token=x", Refusal::InvalidClient(None)),
        ("token=%zz", Refusal::InvalidRequest(F::MalformedForm)),
    ];
    for (body, refusal) in cases {
        assert_eq!(parse(body.as_bytes()).err(), Some(refusal), "{body}");
    }
    assert_eq!(
        AboutToken::parse(&HeaderMap::new(), GOOD.as_bytes()).err(),
        Some(Refusal::InvalidRequest(F::ContentType))
    );
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&body);
    }
}
