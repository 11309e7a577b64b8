//! Assertions as good and bad libraries send them, before anything of them is checked.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::FormFault;

const KIND: &str = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

fn read(authorization: Option<&'static str>, body: &str) -> Result<ClientAuthentication, CredentialsFault> {
    let headers = authorization.map(|field| (header::AUTHORIZATION, HeaderValue::from_static(field)));
    ClientAuthentication::parse(&headers.into_iter().collect(), &Form::parse(body.as_bytes()).unwrap())
}

fn claimed(body: &str) -> String {
    match read(None, body) {
        Ok(ClientAuthentication::Assertion(claimed)) => claimed.client_id,
        other => panic!("{other:?}"),
    }
}

fn jwt(payload: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))
}

#[test]
fn the_form_says_whose_an_assertion_is_or_its_subject_does() {
    let assertion = jwt(r#"{"sub":"app_1"}"#);
    assert_eq!(claimed(&format!("{KIND}&client_assertion={assertion}")), "app_1");
    assert_eq!(claimed(&format!("{KIND}&client_assertion={assertion}&client_id=app_2")), "app_2");
    for nobody in [jwt("{}"), jwt(r#"{"sub":7}"#), "nonsense".to_owned(), "a..b".to_owned()] {
        assert_eq!(claimed(&format!("{KIND}&client_assertion={nobody}")), "", "{nobody}");
    }
}

#[test]
fn one_method_at_a_time() {
    let body = format!("{KIND}&client_assertion={}", jwt("{}"));
    assert_eq!(read(Some("Basic YTpi"), &body).unwrap_err(), CredentialsFault::Several);
    assert_eq!(read(None, &format!("{body}&client_secret=b")).unwrap_err(), CredentialsFault::Several);
    assert_eq!(read(None, &format!("{body}&client_assertion=x")).unwrap_err(), FormFault::Repeated.into());
}

#[test]
fn an_assertion_of_another_type_is_none() {
    let saml = "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer&client_assertion=x";
    for body in [saml, "client_assertion=x"] {
        assert_eq!(read(None, body).unwrap_err(), CredentialsFault::UnsupportedAssertion, "{body}");
    }
    assert_eq!(read(None, KIND).unwrap_err(), CredentialsFault::Missing);
}

/// RFC 8705 §2: "the client MUST include the client_id parameter", and the connection says the rest.
#[test]
fn a_name_alone_is_for_the_connection_to_prove() {
    let named = read(None, "client_id=app_1&grant_type=client_credentials").unwrap();
    assert!(matches!(&named, ClientAuthentication::Name(id) if id == "app_1"));
    assert_eq!(named.client_id(), "app_1");
    for (field, more) in [(None, "&client_secret=b"), (Some("Basic YXBwXzE6Yg=="), "")] {
        let known = read(field, &format!("client_id=app_1{more}")).unwrap();
        assert!(matches!(known, ClientAuthentication::Secret(_)), "{more}");
    }
    assert_eq!(read(Some("Bearer a"), "client_id=app_1").unwrap_err(), CredentialsFault::MalformedBasic);
    assert_eq!(read(None, "client_secret=b").unwrap_err(), CredentialsFault::Missing);
}

#[test]
fn an_assertion_does_not_print() {
    let assertion = jwt(r#"{"sub":"app_1"}"#);
    let printed = format!("{:?}", read(None, &format!("{KIND}&client_assertion={assertion}")).unwrap());
    assert!(!printed.contains(&assertion) && printed.contains("UnverifiedAssertion"), "{printed}");
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(text in "\\PC{0,200}") {
        let assertion = UnverifiedAssertion(Zeroizing::new(text));
        let _ = assertion.claimed_subject();
    }
}
