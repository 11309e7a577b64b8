//! A webhook: JSON that is posted with a signature, and counts as told when it is answered with 2xx. One exchange costs
//! ten seconds and 64 KiB at most, whatever is at the other end; it goes only where an alert may go, to an address
//! that was looked at.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use fuuffy_domain::{Timestamp, to_hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, header};
use reqwest::{Client, Response, Url};
use sha2::Sha256;
use tokio::time::{Instant, timeout_at};

use super::looked::{Looked, Names};
use super::private_file;
use crate::causes;
use crate::config::WebhookConfig;
use crate::reach::{MayReach, address_in};

/// HMAC-SHA-256 over the body, in hexadecimal digits.
const SIGNATURE: HeaderName = HeaderName::from_static("x-fuuffy-signature");
/// When the attempt was made, in Unix seconds.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-fuuffy-timestamp");
/// The same over the timestamp, a full stop and the body, so that an old message is known by its age.
const TIMESTAMP_SIGNATURE: HeaderName = HeaderName::from_static("x-fuuffy-timestamp-signature");
/// The longest wait for an answer, from the look-up of the name to the end of what is read.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of an answer is read, so that whoever sent it gets rid of it.
const MOST_READ: usize = 64 * 1024;
/// Keys of fewer bytes are refused.
const SHORTEST_KEY: usize = 32;

/// A webhook that is ready to be called.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    may_reach: MayReach,
    key: Hmac<Sha256>,
}

impl Webhook {
    pub(super) fn open(config: &WebhookConfig, names: &Names) -> anyhow::Result<Self> {
        let url = Url::parse(&config.url).context("the webhook is no URL")?;
        let is_https = url.scheme() == "https";
        let may_reach = MayReach { private: config.allow_private, public: is_https };
        // One connection for each attempt, so that each address is looked at; and no proxy, which would look names
        // up by itself.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .https_only(is_https)
            .dns_resolver(Arc::new(Looked { names: Arc::clone(names), may_reach }))
            .user_agent(concat!("fuuffy/", env!("CARGO_PKG_VERSION")));
        // In clear there is nobody to trust, so the machine need not have any authorities.
        let client = if is_https { client } else { client.tls_certs_only([]) };
        let client = client.build().context("no HTTP client; are ca-certificates installed?")?;
        Ok(Self { client, url, may_reach, key: key(config)? })
    }

    /// Posts a message, at `now`.
    pub(super) async fn post(&self, body: &str, now: Timestamp) -> anyhow::Result<()> {
        // An address in the URL itself is never looked up.
        if let Some(address) = address_in(&self.url) {
            self.may_reach.check(address)?;
        }
        let deadline = Instant::now() + PATIENCE;
        let mut answer = match timeout_at(deadline, self.send(body, now)).await {
            Ok(answer) => answer?,
            Err(_) => bail!("no answer within {} s", PATIENCE.as_secs()),
        };
        let status = answer.status();
        if status.is_redirection() {
            bail!("answered with {status}, and no redirect is followed");
        }
        if !status.is_success() {
            bail!("answered with {status}");
        }
        // The status is the answer. What comes after it is read for its sender's sake, within bounds.
        let mut read = 0;
        while read < MOST_READ
            && let Ok(Ok(Some(piece))) = timeout_at(deadline, answer.chunk()).await
        {
            read += piece.len();
        }
        Ok(())
    }

    async fn send(&self, body: &str, now: Timestamp) -> anyhow::Result<Response> {
        let seconds = now.unix_millis().div_euclid(1000).to_string();
        let signature = |parts: &[&str]| {
            let key = parts.iter().fold(self.key.clone(), |key, part| key.chain_update(part));
            to_hex(&key.finalize().into_bytes())
        };
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature(&[body]))
            .header(TIMESTAMP_SIGNATURE, signature(&[&seconds, ".", body]))
            .header(TIMESTAMP, seconds)
            .body(body.to_owned());
        request.send().await.map_err(|error| anyhow::anyhow!(causes::said(&error.without_url())))
    }
}

fn key(config: &WebhookConfig) -> anyhow::Result<Hmac<Sha256>> {
    let key = private_file::read(&config.key_file)?;
    ensure!(
        key.len() >= SHORTEST_KEY,
        "{} is too short for a key; it must have at least {SHORTEST_KEY} bytes",
        config.key_file.display()
    );
    Hmac::new_from_slice(&key).context("the key is of no use")
}
