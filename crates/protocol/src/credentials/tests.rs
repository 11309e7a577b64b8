//! Both authentication methods, as good and bad libraries write them.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn read(authorization: &[&str], body: &str) -> Result<(String, String), CredentialsFault> {
    let headers =
        authorization.iter().map(|field| (header::AUTHORIZATION, HeaderValue::from_str(field).unwrap())).collect();
    let credentials = Credentials::parse(&headers, &Form::parse(body.as_bytes()).unwrap())?;
    Ok((credentials.client_id, credentials.secret.reveal().to_owned()))
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

#[test]
fn basic_is_read_encoded_and_raw() {
    let expected = Ok(("app-1".to_owned(), "fsk_test_x".to_owned()));
    for pair in ["app-1:fsk_test_x", "app%2D1:fsk%5Ftest%5Fx"] {
        assert_eq!(read(&[&basic(pair)], ""), expected);
    }
    assert_eq!(read(&[&basic("a:100%")], ""), Ok(("a".to_owned(), "100%".to_owned())));
}

#[test]
fn one_method_at_a_time() {
    let field = basic("a:b");
    assert_eq!(read(&[&field], "client_secret=b"), Err(CredentialsFault::Several));
    assert_eq!(read(&[&field, &field], ""), Err(CredentialsFault::Several));
    assert_eq!(read(&[&field], "client_id=other"), Err(CredentialsFault::Several));
    assert!(read(&[&field], "client_id=a&client_secret=").is_ok());
}

#[test]
fn half_credentials_are_none() {
    for body in ["", "client_id=a", "client_secret=b", "client_id=a&client_secret="] {
        assert_eq!(read(&[], body), Err(CredentialsFault::Missing), "{body}");
    }
}

#[test]
fn malformed_basic_is_refused() {
    for field in ["Basic", "Basic !", "Basic YQ==", "Bearer x", "Basic /w=="] {
        assert_eq!(read(&[field], ""), Err(CredentialsFault::MalformedBasic), "{field}");
    }
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_basic(&bytes);
        let _ = parse_basic(basic(&String::from_utf8_lossy(&bytes)).as_bytes());
    }
}
