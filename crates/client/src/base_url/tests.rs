//! Which base URLs there are, and where paths below them lead.

use proptest::prelude::*;

use super::*;

#[test]
fn parts_are_told() {
    let url = BaseUrl::parse("https://api-gateway.fuuffy.com/v1/").unwrap();
    assert_eq!((url.to_string().as_str(), url.path()), ("https://api-gateway.fuuffy.com/v1", "/v1"));
    assert_eq!((url.host(), url.port(), url.is_https()), ("api-gateway.fuuffy.com", 443, true));
    let url = BaseUrl::parse("http://[::1]").unwrap();
    assert_eq!((url.host(), url.port(), url.path()), ("::1", 80, ""));
}

#[test]
fn paths_are_joined_below() {
    let url = BaseUrl::parse("http://127.0.0.1:8080/v1").unwrap();
    for (path, joined) in [
        ("/orders", "http://127.0.0.1:8080/v1/orders"),
        ("orders?page=2", "http://127.0.0.1:8080/v1/orders?page=2"),
        ("/orders?next=http://x/", "http://127.0.0.1:8080/v1/orders?next=http://x/"),
        ("//other/x", "http://127.0.0.1:8080/v1//other/x"),
    ] {
        assert_eq!(url.join(path).unwrap(), joined);
    }
    assert!(url.join("https://other/orders").is_err());
    assert!(url.join("/a b").is_err());
    for path in ["/../oauth/token", "..", "/a/./b", "/a/%2E%2e/b", "/a\\.%2e", "/..?page=2"] {
        assert!(url.join(path).unwrap_err().to_string().contains("segment"), "{path}");
    }
    assert!(url.join("/a..b/...?up=../..").is_ok());
}

proptest! {
    #[test]
    fn no_path_leads_to_another_origin(path in ".{0,40}") {
        let url = BaseUrl::parse("http://127.0.0.1:8080/v1").unwrap();
        if let Ok(joined) = url.join(&path) {
            prop_assert_eq!(joined.authority().unwrap().as_str(), "127.0.0.1:8080");
            prop_assert!(joined.path().starts_with("/v1"));
        }
    }

    #[test]
    fn plain_http_is_loopback_whatever_is_written(text in "http://[a-z0-9.:@\\[\\]/-]{0,30}") {
        if let Ok(url) = BaseUrl::parse(&text) {
            prop_assert!(is_loopback(url.host()));
        }
    }
}
