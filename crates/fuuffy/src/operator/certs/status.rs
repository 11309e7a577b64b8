//! `fuuffy certs status`

use std::io::Write;

use http::Method;

use crate::operator::desk::{Desk, configuration};
use crate::operator::transport::On;
use crate::operator::{Common, Shape, show};

const COLUMNS: &[&str] = &["listener", "hosts", "issuer", "expires_at", "next_order_at", "error"];

/// What the listeners of the running server show.
pub(super) async fn status(common: &Common, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match configuration(common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let desk = Desk::open(&config).await?;
    let is_served = desk.is_served();
    let answer = desk.call(Method::GET, "/admin/v1/certificates", None, On::default()).await;
    desk.close().await;
    show(&answer?.body["data"], common.json, Shape::Table(COLUMNS), out, err)?;
    if !is_served {
        writeln!(err, "No server runs here, so nobody shows a certificate.")?;
    }
    Ok(0)
}
