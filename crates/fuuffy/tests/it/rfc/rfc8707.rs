//! Resource Indicators for OAuth 2.0.

use super::{error, post_as, served};
use crate::app::{get, post_form, token_form};

const BASE: &str = "https://testing-api-gateway.fuuffy.com/v1";

fn asking_for(resources: &[&str]) -> String {
    let mut form = "grant_type=client_credentials".to_owned();
    for resource in resources {
        form.push_str("&resource=");
        form.push_str(&resource.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('#', "%23"));
    }
    form
}

/// "A client MAY indicate the protected resource ... to which it is requesting access by including the following parameter
/// in the request"; "Multiple resource parameters MAY be used to indicate that the requested token is intended to be used at multiple resources":
/// the environment's base URL, and what is below it.
#[test]
fn section_2_2_a_token_is_granted_for_this_api() {
    let (place, server) = served();
    let client = place.client("testing");
    let below = format!("{BASE}/orders");
    for resources in [&[][..], &[BASE], &[&below], &[BASE, &below], &["", BASE]] {
        let reply = post_as(&client, server.testing, "/oauth/token", &asking_for(resources));
        assert_eq!(reply.status, 200, "{resources:?}: {}", reply.text());
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(get(server.testing, "/v1/orders", &token).status, 200);
        // "The authorization server SHOULD audience-restrict issued access tokens".
        let told = post_as(&client, server.testing, "/oauth/introspect", &format!("token={token}")).json();
        assert_eq!(told["aud"], BASE);
    }
}

/// "invalid_target: The requested resource is invalid, missing, unknown, or malformed." Its value "MUST be an absolute
/// URI" and "MUST NOT include a fragment component".
#[test]
fn section_2_any_other_resource_is_an_invalid_target() {
    let (place, server) = served();
    let client = place.client("testing");
    let (fragment, dots) = (format!("{BASE}#orders"), format!("{BASE}/../v2"));
    let elsewhere = [
        "https://api-gateway.fuuffy.com/v1",
        "https://testing-api-gateway.fuuffy.com",
        "https://testing-api-gateway.fuuffy.com/v10",
        "http://testing-api-gateway.fuuffy.com/v1",
        "/v1",
        "nonsense",
        &fragment,
        &dots,
    ];
    for resource in elsewhere {
        for resources in [&[resource][..], &[BASE, resource], &[resource, BASE]] {
            let reply = post_as(&client, server.testing, "/oauth/token", &asking_for(resources));
            assert_eq!(error(&reply), (400, "invalid_target".to_owned()), "{resources:?}");
            assert!(reply.json()["error_description"].is_string());
        }
    }
    let guide = post_form(server.testing, "/v1/auth/token", &format!("{}&resource=nonsense", token_form(&client)));
    assert_eq!((guide.status, guide.code().as_str()), (400, "invalid_target"));
    let stranger = post_form(server.testing, "/oauth/token", &asking_for(&["nonsense"]));
    assert_eq!(error(&stranger), (401, "invalid_client".to_owned()), "only a client is told");
}
