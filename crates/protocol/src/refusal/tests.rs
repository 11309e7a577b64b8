//! The words that the guide fixes, and the shape of all the others.

use super::*;

fn text(refusal: &Refusal, shape: BodyShape) -> String {
    String::from_utf8(refusal.to_response(shape).body().to_vec()).unwrap()
}

#[test]
fn an_expired_token_gets_the_guides_words() {
    assert_eq!(
        text(&Refusal::InvalidToken(TokenFault::Expired), BodyShape::Guide),
        r#"{"error":{"code":"invalid_token","message":"The access token expired","details":"Please request a new access token"}}"#
    );
}

#[test]
fn a_challenge_has_no_error_where_no_credentials_were_sent() {
    let challenge = |refusal: Refusal| {
        let response = refusal.to_response(BodyShape::Guide);
        response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge(Refusal::MissingToken), r#"Bearer realm="fuuffy""#);
    assert_eq!(challenge(Refusal::InvalidClient(Some(AuthMethod::ClientSecretBasic))), r#"Basic realm="fuuffy""#);
    assert_eq!(
        challenge(Refusal::InvalidToken(TokenFault::Unknown)),
        r#"Bearer realm="fuuffy", error="invalid_token", error_description="The access token is invalid""#
    );
}

#[test]
fn both_shapes_are_json() {
    for refusal in [Refusal::InvalidScope, Refusal::NotFound, Refusal::InvalidRequest(RequestFault::ContentType)] {
        let guide: serde_json::Value = serde_json::from_str(&text(&refusal, BodyShape::Guide)).unwrap();
        let standard: serde_json::Value = serde_json::from_str(&text(&refusal, BodyShape::Standard)).unwrap();
        assert_eq!(guide["error"]["code"], standard["error"]);
        assert_eq!(guide["error"]["message"], standard["error_description"]);
    }
}
