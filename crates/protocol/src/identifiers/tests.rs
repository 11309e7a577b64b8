//! Identifiers of base URLs as operators write them.

use super::*;

#[test]
fn a_resource_is_the_base_url_or_below_it() {
    let here = Identifiers::of("https://api.example.com/v1");
    for below in ["", "/", "/orders", "/orders/7"] {
        assert!(here.cover(&format!("https://api.example.com/v1{below}")), "{below}");
    }
    for elsewhere in [
        "",
        "/v1",
        "v1",
        "https://api.example.com",
        "https://api.example.com/",
        "https://api.example.com/v10",
        "https://api.example.com/v1?x",
        "https://api.example.com/v1/orders?x",
        "https://api.example.com/v1#top",
        "https://api.example.com/v1/orders#top",
        "https://api.example.com/v1/../v2",
        "https://api.example.com/v1/%2e%2e/v2",
        "https://api.example.com/v1/..",
        "https://api.example.com/v1@evil.example",
        "https://api.example.com.evil.example/v1",
        "http://api.example.com/v1",
        "https://API.example.com/v1",
        "https://api.example.com:443/v1",
        "https://api.example.com/v1/\\orders",
    ] {
        assert!(!here.cover(elsewhere), "{elsewhere}");
    }
    let at_root = Identifiers::of("https://api.example.com");
    assert!(at_root.cover("https://api.example.com/v1") && !at_root.cover("https://api.example.com.evil.example"));
    assert!(!at_root.cover("https://api.example.com:8443") && !at_root.cover("https://api.example.com@evil.example"));
}

#[test]
fn the_issuer_is_the_origin() {
    for (base_url, issuer) in [
        ("https://api.example.com/v1", "https://api.example.com"),
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com:8443/a/b", "https://api.example.com:8443"),
        ("http://[::1]:80/v1", "http://[::1]:80"),
    ] {
        let identifiers = Identifiers::of(base_url);
        assert_eq!((identifiers.issuer(), identifiers.resource()), (issuer, base_url));
        assert_eq!(format!("{issuer}{}", identifiers.resource_path()), base_url);
    }
}
