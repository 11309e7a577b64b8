//! What is looked up and what is not, by its looks and its place.

use fuuffy_protocol::SecretKind;
use http::HeaderValue;

use super::*;

const TOKEN: &str = "sk-418e41a74ca2e7d941fa4456d73dbed7";

fn secret() -> String {
    ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]).reveal().to_owned()
}

fn shown(strays: &Strays) -> Vec<(LeakPlace, bool)> {
    strays.iter().map(|(place, stray)| (*place, matches!(stray, Stray::Secret(_)))).collect()
}

fn found(target: &str, authorization: &str, in_clear: bool) -> Vec<(LeakPlace, bool)> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
    shown(&find(&target.parse().unwrap(), &headers, in_clear))
}

#[test]
fn a_url_is_searched_however_it_is_escaped() {
    let (secret, bearer) = (secret(), format!("Bearer {TOKEN}"));
    let (of_secret, of_token) = ((LeakPlace::Url, true), (LeakPlace::Url, false));
    assert_eq!(found(&format!("/v1/orders?key={secret}"), &bearer, false), [of_secret]);
    assert_eq!(found(&format!("/v1/{secret}/orders"), &bearer, false), [of_secret]);
    assert_eq!(found(&format!("/v1/orders?x=sk&key=%66{}", &secret[1..]), &bearer, false), [of_secret]);
    assert_eq!(found(&format!("/v1/orders?access_token={TOKEN}&x=1"), &bearer, false), [of_token]);
    assert_eq!(found(&format!("/{TOKEN}/{secret}/{secret}/{TOKEN}"), &bearer, false), [of_token, of_secret]);
    let own = format!("/v1/ta{TOKEN}");
    for nothing in [&own, "/v1/orders", "/v1/desk-1/task?risk=sk-1&fsk_test_=%20", "/", "/%"] {
        assert_eq!(found(nothing, &bearer, false), [], "{nothing}");
    }
}

#[test]
fn a_token_belongs_into_its_field_and_a_secret_does_not() {
    let secret = secret();
    assert_eq!(found("/v1/orders", &format!("bearer {secret}"), false), [(LeakPlace::Misplaced, true)]);
    assert_eq!(found("/v1/orders", &format!("Bearer {TOKEN}"), true), [(LeakPlace::PlainHttp, false)]);
    assert_eq!(found("/v1/orders", "Bearer fsk_test_wrong", false), []);
    assert_eq!(found("/v1/orders", "Bear", true), []);
}

#[test]
fn in_clear_everything_is_searched_up_to_its_end() {
    let secret = secret();
    let basic =
        format!("GET / HTTP/1.1\r\nAuthorization: Basic {}\r\n\r\n", STANDARD.encode(format!("app_1:{secret}")));
    assert_eq!(shown(&find_in_clear(basic.as_bytes())), [(LeakPlace::PlainHttp, true)]);
    assert_eq!(shown(&find_in_clear(format!("x {TOKEN}").as_bytes())), [(LeakPlace::PlainHttp, false)]);
    assert_eq!(shown(&find_in_clear(b"Basic !")), []);
    let head = "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
    for (text, whole) in [("", false), ("GET / HTTP/1.1\r\n", false), (head, false), ("\u{0}\u{1}", true)] {
        assert_eq!(is_whole(text.as_bytes()), whole, "{text:?}");
    }
    assert!(is_whole(format!("{head}hello").as_bytes()) && is_whole(b"GET / HTTP/1.1\r\n\r\n"));
}
