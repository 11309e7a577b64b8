//! The form reader against its rules, against arbitrary bytes, and against an encoder.

use proptest::prelude::*;

use super::*;

#[test]
fn an_empty_value_is_an_omitted_one() {
    let form = Form::parse(b"scope=&client_id=a").unwrap();
    assert_eq!(form.get("scope"), Ok(None));
    assert!(form.mentions("scope"));
    assert_eq!(form.get("client_id"), Ok(Some("a")));
}

#[test]
fn a_repeated_parameter_is_refused_even_when_empty() {
    let form = Form::parse(b"scope=a&scope=").unwrap();
    assert_eq!(form.get("scope"), Err(FormFault::Repeated));
}

#[test]
fn broken_escapes_and_foreign_bytes_are_refused() {
    for body in [&b"a=%"[..], b"a=%2", b"a=%zz", b"a=%ff", b"\xff=1", b"%c3%28=1"] {
        assert_eq!(Form::parse(body).err(), Some(FormFault::Malformed), "{body:?}");
    }
}

#[test]
fn a_form_of_thousands_of_fields_is_refused() {
    let body = "a=1&".repeat(65);
    assert_eq!(Form::parse(body.as_bytes()).err(), Some(FormFault::TooManyFields));
}

proptest! {
    #[test]
    fn foreign_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(form) = Form::parse(&body) {
            let _ = form.get("client_id");
        }
    }

    #[test]
    fn what_was_encoded_is_read_back(value in "\\PC{1,40}") {
        let encoded: String = value.bytes().map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        }).collect();
        let form = Form::parse(format!("x={encoded}").as_bytes()).unwrap();
        prop_assert_eq!(form.get("x"), Ok(Some(value.as_str())));
    }
}
