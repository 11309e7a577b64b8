//! `fuuffy certs status`

use std::io::Write;

use anyhow::ensure;
use fuuffy_domain::EnvironmentName;
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

/// Has the running server order another certificate.
pub(super) async fn renew(
    common: &Common,
    environment: EnvironmentName,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let config = match configuration(common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let desk = Desk::open(&config).await?;
    let is_served = desk.is_served();
    let path = format!("/admin/v1/certificates/{environment}/renew");
    let answer = desk.call(Method::POST, &path, None, On::default()).await;
    desk.close().await;
    ensure!(is_served, "no server runs here, and only one that runs can prove that the names are its own");
    show(&answer?.body["data"], common.json, Shape::Pairs, out, err)?;
    writeln!(err, "It is ordered; fuuffy certs status says what came of it.")?;
    Ok(0)
}
