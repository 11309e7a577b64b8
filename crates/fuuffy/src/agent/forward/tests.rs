//! Which paths go to the API.

use super::{Refusal, check_path};

fn outcome(path: &str) -> &'static str {
    match check_path(path, "/v1") {
        Ok(()) => "passes",
        Err(Refusal::TokenEndpoint) => "token endpoint",
        Err(Refusal::DotSegments) => "dot segments",
        Err(Refusal::Outside(_)) => "outside",
        Err(_) => "other",
    }
}

#[test]
fn only_paths_of_the_api_pass() {
    for (path, expected) in [
        ("/v1", "passes"),
        ("/v1/", "passes"),
        ("/v1/orders/a%2Fb;c=1", "passes"),
        ("/v1/auth", "passes"),
        ("/v1/auth/tokens", "passes"),
        ("/v1/oauth", "passes"),
        ("/v1/a..b/.c/...", "passes"),
        ("/", "outside"),
        ("*", "outside"),
        ("/v2/orders", "outside"),
        ("/v10/orders", "outside"),
        ("/V1/orders", "outside"),
        ("/v1/auth/token", "token endpoint"),
        ("/v1/auth/token/", "token endpoint"),
        ("/v1//auth/%74oken", "token endpoint"),
        ("/v1%2Fauth%2Ftoken", "token endpoint"),
        ("/oauth/token", "token endpoint"),
        ("/oauth", "token endpoint"),
        ("/%6Fauth/introspect", "token endpoint"),
        ("/v1/../oauth/token", "dot segments"),
        ("/v1/%2e%2E/oauth/token", "dot segments"),
        ("/v1/..;x/admin", "dot segments"),
        ("/v1/a%2f..%2f..%2fadmin", "dot segments"),
        ("/v1/.", "dot segments"),
    ] {
        assert_eq!(outcome(path), expected, "{path}");
    }
}

#[test]
fn a_base_url_without_a_path_has_all_paths_but_the_token_endpoints() {
    assert!(check_path("/orders", "").is_ok() && check_path("/", "").is_ok());
    assert!(check_path("/auth/token", "").is_err() && check_path("/oauth/token", "").is_err());
}
