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

use crate::app::{Place, Registered, Server, config};
use crate::http1::{Reply, request};
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

/// The `error` of an answer in the standard's shape.
fn error(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}
