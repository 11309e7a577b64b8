//! Both shapes of a refusal, and what is neither.

use super::*;

#[test]
fn both_shapes_are_read() {
    let guide = Refused::parse(
        br#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please"}}"#,
    );
    let expected =
        Refused { code: "invalid_token".into(), message: "The access token expired".into(), details: "Please".into() };
    assert_eq!(guide.unwrap(), expected);
    let standard = Refused::parse(br#"{"error":"invalid_client","error_description":"No"}"#).unwrap();
    assert_eq!((&*standard.code, &*standard.message, &*standard.details), ("invalid_client", "No", ""));
}

#[test]
fn anything_else_is_no_refusal() {
    for body in ["", "{}", "<html>", "[]", r#"{"error":7}"#, r#"{"error":{"code":7}}"#, "null"] {
        assert_eq!(Refused::parse(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn a_refusal_can_be_shown_on_a_terminal() {
    let body = format!(r#"{{"error":{{"code":"a\u001b[2Jb","message":"{}"}}}}"#, "x".repeat(9000));
    let refused = Refused::parse(body.as_bytes()).unwrap();
    assert_eq!(refused.code, "a[2Jb");
    assert_eq!(refused.message.len(), LONGEST);
}
