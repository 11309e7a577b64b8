//! Identifiers of base URLs as operators write them.

use super::*;

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
