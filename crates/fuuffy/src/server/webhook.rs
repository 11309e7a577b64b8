//! A webhook: JSON that is posted with a signature, and counts as told when it is answered with 2xx.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use fuuffy_client::{BaseUrl, Body, HttpClient as _, ReqwestClient};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, Method, Request, Uri, header};
use serde::Serialize;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config::WebhookConfig;

/// The hexadecimal digits of HMAC-SHA-256 over the body.
const SIGNATURE: HeaderName = HeaderName::from_static("x-fuuffy-signature");
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Keys of fewer bytes are refused, and only so many are read.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=4096;

/// A webhook that is ready to be called.
pub(super) struct Webhook {
    http: ReqwestClient,
    uri: Uri,
    key: Hmac<Sha256>,
}

impl Webhook {
    pub(super) fn open(config: &WebhookConfig) -> anyhow::Result<Self> {
        let place = config.key_file.display();
        let mut file = File::open(&config.key_file).with_context(|| format!("{place} cannot be read"))?;
        ensure!(file.metadata()?.mode() & 0o077 == 0, "{place} can be read by others; make it private with chmod 600");
        let mut key = Zeroizing::new(Vec::new());
        file.by_ref().take(*KEY_BYTES.end() as u64).read_to_end(&mut key)?;
        let key = key.trim_ascii_end();
        ensure!(KEY_BYTES.contains(&key.len()), "{place} is too short for a key; it must have at least 32 bytes");
        let base_url = BaseUrl::parse(&config.url)?;
        Ok(Self {
            http: ReqwestClient::new(&base_url)?,
            uri: config.url.parse()?,
            key: Hmac::new_from_slice(key).context("the key is of no use")?,
        })
    }

    /// Posts a message.
    pub(super) async fn post(&self, message: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_vec(message)?;
        let signature = self.key.clone().chain_update(&body).finalize().into_bytes();
        let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature)
            .body(Body::from(body))?;
        let answer = tokio::time::timeout(PATIENCE, self.http.send(request)).await;
        let status = answer.context("no answer within 10 s")??.status();
        if !status.is_success() {
            bail!("answered with {status}");
        }
        Ok(())
    }
}
