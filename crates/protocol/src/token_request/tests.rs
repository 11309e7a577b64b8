//! Token requests as good and bad callers send them.

use http::{HeaderValue, header};
use proptest::prelude::*;

use super::*;

fn parse(content_type: &str, body: &str) -> Result<TokenRequest, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    TokenRequest::parse(&headers, body.as_bytes())
}

const FORM: &str = "application/x-www-form-urlencoded";
const GOOD: &str = "grant_type=client_credentials&client_id=a&client_secret=b";

#[test]
fn the_guides_request_is_read() {
    let request = parse("Application/X-WWW-Form-Urlencoded; charset=utf-8", GOOD).unwrap();
    assert_eq!(request.authentication.client_id(), "a");
    assert_eq!(request.scope, None);
    assert!(parse(FORM, &format!("{GOOD}&scope=&surprise=1")).unwrap().scope.is_none());
}

#[test]
fn resources_may_be_repeated() {
    let request = parse(FORM, &format!("{GOOD}&resource=https%3A%2F%2Fa&resource=&resource=b")).unwrap();
    assert_eq!(request.resources, ["https://a", "b"]);
}

#[test]
fn each_mistake_has_its_refusal() {
    use RequestFault as F;
    let cases = [
        ("application/json", GOOD.to_owned(), Refusal::InvalidRequest(F::ContentType)),
        (FORM, String::new(), Refusal::InvalidRequest(F::MissingGrantType)),
        (FORM, "grant_type=".to_owned(), Refusal::InvalidRequest(F::MissingGrantType)),
        (FORM, "grant_type=password".to_owned(), Refusal::UnsupportedGrantType),
        (FORM, format!("{GOOD}&client_id=a"), Refusal::InvalidRequest(F::RepeatedParameter)),
        (FORM, format!("{GOOD}&x=%"), Refusal::InvalidRequest(F::MalformedForm)),
        (FORM, format!("{GOOD}&scope=a%22"), Refusal::InvalidScope),
        (FORM, "grant_type=client_credentials".to_owned(), Refusal::InvalidClient(None)),
    ];
    for (content_type, body, refusal) in cases {
        assert_eq!(parse(content_type, &body).err(), Some(refusal), "{body}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        let _ = TokenRequest::parse(&headers, &body);
    }
}
