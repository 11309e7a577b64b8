//! WebSocket and other upgrades: after 101 the two connections are one stream of bytes.

use http::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// Whether a request asks to become a WebSocket (RFC 9110 §7.8, RFC 6455 §4.1). Any other protocol is not
/// for us to change to; the request is then one like others.
pub(crate) fn is_requested(headers: &HeaderMap) -> bool {
    let names_upgrade = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")));
    names_upgrade
        && headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Says on the next hop that the protocol is to change, or did.
pub(crate) fn announce(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
}

/// Two connections that become one stream of bytes. It comes as an extension of the 101 response; whoever
/// serves the caller's connection owns it, and carries it once hyper has let go of that connection.
#[derive(Debug, Clone)]
pub struct Tunnel {
    pub(crate) caller: OnUpgrade,
    pub(crate) upstream: OnUpgrade,
}

impl Tunnel {
    /// Carries bytes both ways until either side ends.
    pub async fn carry(self) {
        let (Ok(caller), Ok(upstream)) = (self.caller.await, self.upstream.await) else {
            return;
        };
        let (mut caller, mut upstream) = (TokioIo::new(caller), TokioIo::new(upstream));
        if let Err(error) = tokio::io::copy_bidirectional(&mut caller, &mut upstream).await {
            tracing::debug!(%error, "An upgraded connection ended early");
        }
    }
}
