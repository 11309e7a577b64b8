//! How the authority is spoken to: over verified TLS alone, with bounded answers, and an ear for when it wants to be
//! asked again.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use bytes::{Bytes, BytesMut};
use fuuffy_domain::TimeSource;
use http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use parking_lot::Mutex;
use reqwest::{Certificate, Client};

use crate::causes;
use crate::config::AcmeConfig;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest answer, in bytes.
const LARGEST: usize = 1024 * 1024;
/// The largest file of authorities, in bytes.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Speaks with the authority.
#[derive(Clone)]
pub(super) struct Http {
    client: Client,
    time: Arc<dyn TimeSource>,
    asked_to_wait: Arc<Mutex<Option<Duration>>>,
}

impl Http {
    /// # Errors
    /// The file of authorities is none.
    pub(super) fn open(config: &AcmeConfig, time: Arc<dyn TimeSource>) -> anyhow::Result<Self> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .https_only(true)
            .timeout(PATIENCE);
        let client = match &config.ca_file {
            Some(file) => client.tls_certs_only(authorities(file)?),
            None => client,
        };
        let client = client.build().context("no HTTP client; are ca-certificates installed?")?;
        Ok(Self { client, time, asked_to_wait: Arc::default() })
    }

    /// How long the authority wants to be left alone since a refusal (RFC 8555 §6.6), if it said so; once.
    pub(super) fn take_wait(&self) -> Option<Duration> {
        self.asked_to_wait.lock().take()
    }

    /// Seconds, or a date by the clock of the answer's sender, which is taken for ours.
    fn wait(&self, field: &HeaderValue) -> Option<Duration> {
        let text = field.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text).ok()?;
        let now = Duration::from_millis(u64::try_from(self.time.wall().unix_millis()).ok()?);
        Some(date.duration_since(SystemTime::UNIX_EPOCH + now).unwrap_or_default())
    }

    async fn exchange(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let mut request = Request::from_parts(head, body);
        // RFC 8555 §6.1.
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(concat!("fuuffy/", env!("CARGO_PKG_VERSION"))));
        request.headers_mut().insert(ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        let failed = |error: reqwest::Error| Error::Other(causes::said(&error).into());
        let request = reqwest::Request::try_from(request).map_err(failed)?;
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        let mut head = Response::builder().status(answer.status());
        if let Some(fields) = head.headers_mut() {
            *fields = answer.headers().clone();
        }
        if !answer.status().is_success() {
            *self.asked_to_wait.lock() = answer.headers().get(RETRY_AFTER).and_then(|field| self.wait(field));
        }
        // Only a problem (RFC 8555 §6.7) says more than that.
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_refused = answer.status().is_client_error() || answer.status().is_server_error();
        if is_refused && !kind.starts_with("application/problem+json") {
            return Err(Error::Other(format!("it answered with {}", answer.status()).into()));
        }
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > LARGEST {
                return Err(Error::Other("its answer is too large".into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(head.body(Full::new(body.freeze()))?.into())
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().exchange(request))
    }
}

fn authorities(file: &Path) -> anyhow::Result<Vec<Certificate>> {
    let cannot = || format!("acme.ca_file: {} cannot be used", file.display());
    ensure!(std::fs::metadata(file).with_context(cannot)?.len() <= LARGEST_FILE, "{}: it is too large", cannot());
    let text = std::fs::read(file).with_context(cannot)?;
    let certificates = Certificate::from_pem_bundle(&text).with_context(cannot)?;
    ensure!(!certificates.is_empty(), "{}: there is no certificate in it", cannot());
    Ok(certificates)
}
