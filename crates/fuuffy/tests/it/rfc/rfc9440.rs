//! Client-Cert HTTP Header Field: what a proxy that speaks TLS says of the certificate that it was shown.

use serde_json::{Value, json};

use super::error;
use crate::app::{config_with, token_form};
use crate::http1::{Reply, request};
use crate::mutual::{Mutual, Shown, explained, for_orders, lasting};
use crate::timed::Timed;
use crate::tls::Authority;
use crate::upstream::Upstream;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const TERMINATED: &str = "tls = \"terminated\"\ntrusted_proxies = [\"127.0.0.1\"]\n";

/// A server behind a proxy, which the test is.
struct Behind {
    timed: Timed,
    clients: Authority,
    upstream: Upstream,
    _folder: tempfile::TempDir,
}

impl Behind {
    fn a_proxy() -> Self {
        let (clients, upstream, folder) =
            (Authority::named("Those of clients"), Upstream::friendly(), tempfile::tempdir().unwrap());
        let file = folder.path().join("clients.pem");
        clients.write_to(&file);
        let table = format!("{TERMINATED}mutual_tls = {{ authorities = \"{}\" }}", file.display());
        let timed = Timed::serving(config_with(upstream.address, &table, ""));
        Self { timed, clients, upstream, _folder: folder }
    }

    fn orders(&self) -> String {
        orders(&self.timed)
    }

    fn ask(&self, client: &str, said: &[(&str, &str)]) -> Reply {
        ask(&self.timed, client, said)
    }

    fn get(&self, token: &str, said: &[(&str, &str)]) -> Reply {
        let bearer = format!("Bearer {token}");
        let fields = [&[("authorization", bearer.as_str())], said].concat();
        request(self.timed.testing(), "GET", "/v1/orders", &fields, "")
    }

    /// That a token request with such fields is refused, for this.
    #[track_caller]
    fn refuses(&self, client: &str, said: &[(&str, &str)], told: &str) {
        let refused = self.ask(client, said);
        assert_eq!(error(&refused), (401, "invalid_client".to_owned()), "{told}");
        let happened = explained(&self.timed, &refused).1;
        assert!(happened.contains(told), "{told}: {happened}");
    }
}

fn orders(timed: &Timed) -> String {
    let known = json!({"name": "Acme", "scope": "orders:read", "certificate": {"san_dns": "orders.example.com"}});
    let made = timed.operate("/admin/v1/testing/clients", &known.to_string());
    made["data"]["client_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

fn ask(timed: &Timed, client: &str, said: &[(&str, &str)]) -> Reply {
    let form = format!("grant_type=client_credentials&client_id={client}");
    request(timed.testing(), "POST", "/oauth/token", &[&[FORM], said].concat(), &form)
}

/// "the certificate … as a Byte Sequence": by that a client gets a token, and uses it over any connection of the proxy's.
#[test]
fn section_2_2_the_trusted_proxy_names_the_certificate() {
    let behind = Behind::a_proxy();
    let (client, shown) = (behind.orders(), Shown::of(&behind.clients, &for_orders()));
    let (field, twin) = (shown.field(), Shown::of(&behind.clients, &for_orders()).field());
    let granted = behind.ask(&client, &[("client-cert", &field)]);
    assert_eq!(granted.status, 200, "{}", granted.text());
    let token = granted.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(behind.get(&token, &[("client-cert", &field)]).status, 200);
    for (said, told) in [
        (&[][..], "No client certificate was shown"),
        (&[("client-cert", twin.as_str())], "bound to another client certificate"),
        (&[("client-cert", "nonsense")], "could not be read"),
    ] {
        let refused = behind.get(&token, said);
        assert_eq!((refused.status, refused.code().as_str()), (401, "invalid_token"), "{told}");
        let (owner, happened) = explained(&behind.timed, &refused);
        assert!(owner == json!(client) && happened.contains(told), "{happened}");
    }
    let form = format!("token={token}&{}", token_form(&behind.timed.client));
    behind.timed.patch(&format!("/admin/v1/testing/clients/{}", behind.timed.client.id), r#"{"scope":"introspect"}"#);
    let told = request(behind.timed.testing(), "POST", "/oauth/introspect", &[FORM], &form).json();
    assert_eq!(told["cnf"], json!({"x5t#S256": shown.thumbprint()}));
}

/// "Client-Cert-Chain … a List … of Byte Sequences".
#[test]
fn section_2_3_the_chain_leads_to_the_authority() {
    let behind = Behind::a_proxy();
    let client = behind.orders();
    let (between, its_own) = behind.clients.below("Between");
    let shown = Shown::of(&between, &for_orders());
    let of = |der: &[u8]| {
        use base64::Engine as _;
        format!(":{}:", base64::engine::general_purpose::STANDARD.encode(der))
    };
    let (field, chain) = (shown.field(), of(&its_own));
    behind.refuses(&client, &[("client-cert", &field)], "nobody among the configured authorities");
    assert_eq!(behind.ask(&client, &[("client-cert", &field), ("client-cert-chain", &chain)]).status, 200);
    behind.refuses(&client, &[("client-cert", &field), ("client-cert-chain", "a")], "could not be read");
    let many = [chain.as_str(); 8].join(", ");
    behind.refuses(&client, &[("client-cert", &field), ("client-cert-chain", &many)], "more than 8 certificates");
}

/// What a proxy writes may be as wrong as what a handshake shows.
#[test]
fn section_2_2_what_is_no_good_certificate_is_refused() {
    let behind = Behind::a_proxy();
    let client = behind.orders();
    let of = |params| Shown::of(&behind.clients, &params).field();
    let right = of(for_orders());
    behind.refuses(&client, &[("client-cert", &right), ("client-cert", &right)], "could not be read");
    for unreadable in ["", "::", "nonsense", "\"MIIB\"", ":MIIB", &format!("{right}, {right}")] {
        behind.refuses(&client, &[("client-cert", unreadable)], "could not be read");
    }
    behind.refuses(&client, &[("client-cert", ":bm9uc2Vuc2U=:")], "The client certificate could not be read");
    let over = of(lasting(for_orders(), (1975, 2026)));
    behind.refuses(&client, &[("client-cert", &over)], "time was over");
    let foreign = Shown::of(&Authority::named("Those of clients"), &for_orders()).field();
    behind.refuses(&client, &[("client-cert", &foreign)], "nobody among the configured authorities");
    let long = format!(":{}:", "A".repeat(17_000));
    assert_eq!(behind.ask(&client, &[("client-cert", &long)]).status, 431, "no field is longer than a head");
    assert_eq!(behind.ask(&client, &[("client-cert", &right)]).status, 200);
}

/// "the backend origin … MUST NOT be … reachable … other than through the TTRP", or else it must not believe the field: nobody
/// but the trusted proxies of an environment that wants certificates is believed, and whoever tries is told of to the operator.
#[test]
fn section_4_nobody_else_is_believed() {
    let mutual = Mutual::start();
    let (client, shown) = (mutual.orders(), Shown::of(&mutual.clients, &for_orders()));
    let (token, field) = (mutual.token(&shown, &client), shown.field());
    let form = format!("grant_type=client_credentials&client_id={client}");
    let lied = mutual.request(None, ("POST", "/oauth/token"), &[FORM, ("client-cert", &field)], &form);
    assert_eq!(error(&lied), (401, "invalid_client".to_owned()));
    let told = "in the field Client-Cert by somebody who is not believed";
    assert!(mutual.explained(&lied).1.contains(told));
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", bearer.as_str()), ("client-cert", &field)];
    let stolen = mutual.request(None, ("GET", "/v1/orders"), &fields, "");
    assert_eq!(stolen.code(), "invalid_token");
    let (owner, happened) = mutual.explained(&stolen);
    assert!(owner == json!(client) && happened.contains(told), "{happened}");
    // Beside a certificate of its own the field says nothing.
    let twin = Shown::of(&mutual.clients, &for_orders());
    let beside = mutual.request(Some(&twin), ("GET", "/v1/orders"), &fields, "");
    assert!(mutual.explained(&beside).1.contains("bound to another client certificate"));
    assert_eq!(mutual.request(Some(&shown), ("GET", "/v1/orders"), &fields, "").status, 200);

    // A proxy that is trusted for its addresses, where nobody wants certificates; and no proxy at all.
    for of_environment in [TERMINATED, ""] {
        let timed = Timed::serving(config_with(Upstream::friendly().address, of_environment, ""));
        let refused = ask(&timed, &timed.client.id, &[("client-cert", &field)]);
        assert_eq!(error(&refused), (401, "invalid_client".to_owned()));
        let (owner, happened) = explained(&timed, &refused);
        assert!(owner == Value::Null && happened.contains(told), "{happened}");
    }
}

/// "A TTRP MUST sanitize": so do we, towards the API behind us, which may believe the field.
#[test]
fn section_4_no_callers_field_reaches_the_upstream() {
    let behind = Behind::a_proxy();
    let (client, shown) = (behind.orders(), Shown::of(&behind.clients, &for_orders()));
    let field = shown.field();
    let said = [("client-cert", field.as_str()), ("client-cert-chain", field.as_str())];
    let token = behind.ask(&client, &said).json()["access_token"].as_str().unwrap().to_owned();
    let lookalikes = [&said[..], &[("client_cert", field.as_str()), ("Client_Cert-Chain", field.as_str())]].concat();
    assert_eq!(behind.get(&token, &lookalikes).status, 200);
    let mutual = Mutual::start();
    let plain = Timed::serving(config_with(behind.upstream.address, "", ""));
    let bearer = format!("Bearer {}", plain.token());
    let fields = [&[("authorization", bearer.as_str())], &lookalikes[..]].concat();
    assert_eq!(request(plain.testing(), "GET", "/v1/orders", &fields, "").status, 200);
    let granted = mutual.post(None, "/oauth/token", &token_form(&mutual.timed.client)).json();
    let bearer = format!("Bearer {}", granted["access_token"].as_str().unwrap());
    let fields = [&[("authorization", bearer.as_str())], &lookalikes[..]].concat();
    assert_eq!(mutual.request(None, ("GET", "/v1/orders"), &fields, "").status, 200);
    for seen in behind.upstream.seen().iter().chain(&mutual.upstream.seen()) {
        let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.iter().any(|name| name.replace('_', "-").starts_with("client-cert")), "{names:?}");
        assert!(names.contains(&"x-client-id"));
    }
    assert_eq!((behind.upstream.seen().len(), mutual.upstream.seen().len()), (2, 1));
}
