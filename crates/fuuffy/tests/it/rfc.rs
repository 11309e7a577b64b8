//! The standards, sentence by sentence: a module for each, and a test named after the section whose sentences it holds
//! the product to.

mod rfc6749;
mod rfc6750;
mod rfc7009;
mod rfc7523;
mod rfc7662;
mod rfc8414;
mod rfc8705;
mod rfc8707;
mod rfc9068;
mod rfc9440;
mod rfc9449;
mod rfc9700;
mod rfc9701;
mod rfc9728;

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::app::{Place, Registered, Server, config, post_form, token_form};
use crate::http1::{Reply, request};
use crate::mutual::Mutual;
use crate::upstream::Upstream;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn served() -> (Place, Server) {
    let place = Place::new(&config(Upstream::friendly().address));
    let server = place.serve();
    (place, server)
}

fn basic(client: &Registered) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", client.id, client.secret)))
}

/// A form by a client that authenticates as the standard wants it to.
fn post_as(client: &Registered, address: SocketAddr, path: &str, form: &str) -> Reply {
    request(address, "POST", path, &[FORM, ("authorization", &basic(client))], form)
}

/// Refuses to be of use in clear: what an endpoint that speaks TLS answers by plain HTTP, to credentials that are right.
#[track_caller]
fn is_there_over_tls_alone(path: &str, form: &str) {
    let mutual = Mutual::start();
    let form = format!("{form}&{}", token_form(&mutual.timed.client));
    assert_eq!(mutual.post(None, path, &form).status, 200, "{path}");
    let in_clear = post_form(mutual.timed.testing(), path, &form);
    assert_eq!(in_clear.status, 400, "{path}: {}", in_clear.text());
    assert!(
        in_clear.text().contains("HTTPS alone") && !in_clear.text().contains("access_token"),
        "{}",
        in_clear.text()
    );
}

/// The `error` of an answer in the standard's shape.
fn error(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}
