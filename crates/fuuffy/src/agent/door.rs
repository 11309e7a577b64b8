//! Who may use the agent: programs of this machine, and nothing that a browser sent on a web page's behalf.
//!
//! A page can make a browser send requests to loopback. It cannot keep the browser from adding `Origin` or
//! `Sec-Fetch-…`, and where it has its own name resolve to loopback (DNS rebinding), it cannot change `Host`.

use std::net::IpAddr;
use std::path::Path;

use fuuffy_client::{ClientSecret, CredentialSource as _, FileCredentials};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Request};
use subtle::ConstantTimeEq as _;

use super::refusal::Refusal;

/// The local key, for where programs of other people run on the same machine.
pub(super) const KEY: HeaderName = HeaderName::from_static("x-fuuffy-agent-key");
/// Fewer characters than this can be guessed.
const SHORTEST_KEY: usize = 16;

/// Where a connection came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door {
    /// By TCP, at this port.
    Port(u16),
    /// By the Unix socket, which no browser reaches: the file's mode is its guard, and `Host` means nothing.
    Socket,
}

/// What callers must show.
pub(super) struct LocalKey(ClientSecret);

impl LocalKey {
    /// Reads the key from a file that others cannot read.
    pub(super) async fn read(path: &Path) -> anyhow::Result<Self> {
        let key = FileCredentials::new("", path).read().await?.into_secret()?;
        if key.reveal().len() < SHORTEST_KEY {
            anyhow::bail!(
                "the key in {} is shorter than {SHORTEST_KEY} characters; make one by: openssl rand -hex 32",
                path.display()
            );
        }
        Ok(Self(key))
    }

    /// Compares in constant time. Repeated, the field is not the key.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut shown = headers.get_all(KEY).iter();
        let (Some(shown), None) = (shown.next(), shown.next()) else {
            return Err(Refusal::WrongKey);
        };
        let is_right: bool = shown.as_bytes().ct_eq(self.0.reveal().as_bytes()).into();
        if is_right { Ok(()) } else { Err(Refusal::WrongKey) }
    }
}

impl Door {
    /// Refuses what a browser sent, and what the agent does not do.
    pub(super) fn check<B>(self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        if let Some(name) = headers.keys().find(|name| is_browsers(name)) {
            return Err(Refusal::FromBrowser(name.clone()));
        }
        if let Self::Port(port) = self
            && !names_this_agent(request, port)
        {
            return Err(Refusal::ForeignHost);
        }
        let is_websocket = || {
            let mut asked = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
            asked.any(|value| value.to_ascii_lowercase().contains("websocket"))
        };
        if request.method() == Method::CONNECT || is_websocket() {
            return Err(Refusal::Upgrade);
        }
        Ok(())
    }
}

/// Whether browsers alone send this field. Node's `fetch` sends `Sec-Fetch-Mode` too, but by itself; a browser
/// sends `Sec-Fetch-Site` and `Sec-Fetch-Dest` with it (Fetch Metadata §3), and no page can keep it from that.
fn is_browsers(name: &HeaderName) -> bool {
    *name == header::ORIGIN || (name.as_str().starts_with("sec-fetch-") && name != "sec-fetch-mode")
}

/// One `Host`, a loopback name with the agent's own port; a target with a host of its own must agree.
fn names_this_agent<B>(request: &Request<B>, port: u16) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    host.to_str().is_ok_and(|host| is_own(host, port))
        && request.uri().authority().is_none_or(|authority| is_own(authority.as_str(), port))
}

fn is_own(host: &str, port: u16) -> bool {
    let (name, named) = match host.rsplit_once(':') {
        Some((name, digits)) if !digits.ends_with(']') => {
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            (name, digits.parse().ok().filter(|_| is_number))
        }
        _ => (host, Some(80)),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_loopback = || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    named == Some(port) && (name.eq_ignore_ascii_case("localhost") || is_loopback())
}

#[cfg(test)]
mod tests;
