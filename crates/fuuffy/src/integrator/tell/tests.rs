//! Which code a challenge tells, and which it only seems to.

use super::*;

#[test]
fn the_code_of_a_challenge_is_its_own_parameter() {
    for (field, code) in [
        (
            r#"Bearer realm="fuuffy", error="invalid_token", error_description="The access token expired""#,
            Some("invalid_token"),
        ),
        (r#"Bearer error="insufficient_scope",scope="a""#, Some("insufficient_scope")),
        (r#"Bearer realm="x",error="invalid_token""#, Some("invalid_token")),
        (r#"Bearer realm="fuuffy""#, None),
        (r#"Bearer my_error="invalid_token""#, None),
        (r#"Bearer realm="say \"error=\"invalid_token""#, None),
        (r#"Bearer error="invalid_token"#, None),
        (r#"error="#, None),
        ("", None),
    ] {
        assert_eq!(code_of_challenge(field), code, "{field}");
    }
}

#[test]
fn a_way_is_told_for_an_id_and_a_code_of_the_gateway_alone() {
    let id = "0196f2d4-8c1e-7b3a-9d2f-3f6a8f1f2c4e";
    assert!(way_to_reason("invalid_token", Some(id)).is_some_and(|way| way.ends_with(id)));
    for (code, request) in
        [("sold_out", Some(id)), ("", Some(id)), ("invalid_token", None), ("invalid_token", Some("$(x)"))]
    {
        assert_eq!(way_to_reason(code, request), None, "{code}");
    }
}
