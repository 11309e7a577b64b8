//! Every shape that a token answer comes in, and those that grant nothing.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "sk-418e41a74ca2e7d941fa4456d73dbed7";

fn life(expires_in: &str) -> Option<u64> {
    let body = format!(r#"{{"data":{{"access_token":"{TOKEN}","token_type":"Bearer"{expires_in}}}}}"#);
    TokenGrant::parse(body.as_bytes()).unwrap().expires_in
}

#[test]
fn the_guides_shape_and_the_standards_are_read() {
    let shapes = [
        format!(r#"{{"data":{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":3600}}}}"#),
        format!(r#"{{"access_token":"{TOKEN}","token_type":"bearer","expires_in":3600,"scope":"a b","other":[1]}}"#),
        format!(r#"{{"access_token":"{TOKEN}","expires_in":"3600"}}"#),
    ];
    for shape in shapes {
        let grant = TokenGrant::parse(shape.as_bytes()).unwrap();
        assert_eq!((grant.access_token.reveal(), grant.expires_in), (TOKEN, Some(3600)), "{shape}");
    }
}

#[test]
fn a_life_that_is_none_is_none() {
    assert_eq!(life(r#","expires_in":1"#), Some(1));
    assert_eq!(life(r#","expires_in":1.9"#), Some(1));
    assert_eq!(life(r#","expires_in":1e300"#), Some(u64::MAX));
    for nothing in ["", r#","expires_in":0"#, r#","expires_in":-5"#, r#","expires_in":null"#] {
        assert_eq!(life(nothing), None, "{nothing}");
    }
    for nonsense in [r#","expires_in":"soon""#, r#","expires_in":[3600]"#, r#","expires_in":"NaN""#] {
        assert_eq!(life(nonsense), None, "{nonsense}");
    }
}

#[test]
fn what_grants_nothing_says_why() {
    use TokenGrantFault as F;
    let long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(8193));
    for (body, fault) in [
        ("", F::CutShort),
        (r#"{"data":{"access_token":"sk-41"#, F::CutShort),
        ("<html>sign in</html>", F::NotJson),
        ("{}", F::NoToken),
        ("[]", F::NoToken),
        (r#"{"data":null}"#, F::NoToken),
        (r#"{"data":"x"}"#, F::NoToken),
        (r#"{"access_token":7}"#, F::NoToken),
        (r#"{"access_token":""}"#, F::BadToken),
        (r#"{"access_token":"a b"}"#, F::BadToken),
        (r#"{"access_token":"a\r\nX: y"}"#, F::BadToken),
        (r#"{"access_token":"a=b"}"#, F::BadToken),
        (&long, F::BadToken),
        (r#"{"data":{"access_token":"abc","token_type":"mac"}}"#, F::TokenType),
        (r#"{"data":{"access_token":"abc","token_type":"N_A"}}"#, F::TokenType),
    ] {
        assert_eq!(TokenGrant::parse(body.as_bytes()).unwrap_err(), fault, "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = TokenGrant::parse(&body);
    }
}
