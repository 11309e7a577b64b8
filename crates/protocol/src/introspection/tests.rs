//! Answers to the byte.

use super::*;

#[test]
fn an_inactive_token_is_exactly_that() {
    assert_eq!(Introspection::Inactive.to_response().body(), r#"{"active":false}"#);
}

#[test]
fn a_signed_answer_is_asked_for_by_its_media_type_alone() {
    let wants = |fields: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::ACCEPT, HeaderValue::from_static(field));
        }
        Introspection::is_wanted_signed(&headers)
    };
    for field in [
        "application/token-introspection+jwt",
        "Application/Token-Introspection+JWT;q=0.5",
        "application/json, application/token-introspection+jwt ; q=1",
    ] {
        assert!(wants(&[field]), "{field}");
    }
    assert!(wants(&["application/json", "application/token-introspection+jwt"]));
    for field in ["", "*/*", "application/*", "application/json", "application/token-introspection+jwt;q=0.000"] {
        assert!(!wants(&[field]), "{field}");
    }
    assert!(!wants(&[]));
}

#[test]
fn a_token_without_scopes_has_no_scope_member() {
    let token = ActiveToken {
        scope: ScopeSet::parse("b a").unwrap(),
        client_id: "app".to_owned(),
        issued_at: 1,
        expires_at: 2,
        issuer: "https://a.example".to_owned(),
        audience: "https://a.example/v1".to_owned(),
        confirmation: None,
    };
    let text = |token: ActiveToken| {
        let body = Introspection::Active(token).to_response().into_body();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let rest = r#""client_id":"app","token_type":"Bearer","exp":2,"iat":1,"sub":"app","aud":"https://a.example/v1","iss":"https://a.example"}"#;
    assert_eq!(text(token.clone()), format!(r#"{{"active":true,"scope":"a b",{rest}"#));
    let without = ActiveToken { scope: ScopeSet::default(), ..token.clone() };
    assert_eq!(text(without), format!(r#"{{"active":true,{rest}"#));
    let bound = |confirmation| text(ActiveToken { confirmation: Some(confirmation), ..token.clone() });
    let dpop = bound(Confirmation::DpopKey("abc".to_owned()));
    assert!(dpop.contains(r#""token_type":"DPoP""#) && dpop.ends_with(r#","cnf":{"jkt":"abc"}}"#), "{dpop}");
    let certificate = bound(Confirmation::Certificate("abc".to_owned()));
    assert!(certificate.contains(r#""token_type":"Bearer""#), "{certificate}");
    assert!(certificate.ends_with(r#","cnf":{"x5t#S256":"abc"}}"#), "{certificate}");
}
