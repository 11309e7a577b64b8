//! Reports of secrets and tokens that somebody found in public, in the form of GitHub's partner programme: an array of
//! finds, signed by ECDSA on P-256 with a key that is published elsewhere. Who signs is believed about where something
//! is, and not about what it is: only a right secret has consequences.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use fuuffy_domain::{Clock as _, RequestContext, Timestamp};
use fuuffy_protocol::{BodyShape, Refusal, RequestFault};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response};
use reqwest::{Client, Url};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::SignatureVerificationAlgorithm;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::environment::EnvironmentClock;
use super::{Environment, leaks};
use crate::causes;

/// Where reports are taken.
pub(super) const PATH: &str = "/v1/auth/leaks";
/// Which key a report is signed with.
const KEY: HeaderName = HeaderName::from_static("github-public-key-identifier");
/// Its signature, in base64.
const SIGNATURE: HeaderName = HeaderName::from_static("github-public-key-signature");
/// The largest report, in bytes: a thousand finds with their places.
pub(super) const LARGEST: usize = 512 * 1024;
/// The longest wait for the keys.
const PATIENCE: Duration = Duration::from_secs(10);
/// So much of an answer with keys is read, in bytes.
const LARGEST_KEYS: usize = 256 * 1024;
/// Keys are fetched anew when they are older than this.
const FRESH: Duration = Duration::from_secs(3600);
/// An unknown key is asked for no more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// Whose reports are taken.
pub(super) struct Reports {
    url: Url,
    client: Client,
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    /// By their names, as uncompressed points of the curve. Those that were known stay while others cannot be fetched.
    keys: ArcSwap<HashMap<String, Vec<u8>>>,
    /// When the keys were last asked for; held while they are.
    asked: Mutex<Option<Timestamp>>,
}

/// The keys as they are published.
#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    key: String,
}

/// One find, as far as it matters. What its type is called and where it was found is its finder's business.
#[derive(Deserialize)]
struct Find {
    token: String,
}

impl Reports {
    pub(super) fn open(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("the URL of the keys is no URL")?;
        let is_https = url.scheme() == "https";
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .https_only(is_https)
            .timeout(PATIENCE)
            .user_agent(concat!("fuuffy/", env!("CARGO_PKG_VERSION")));
        let client = if is_https { client } else { client.no_proxy().tls_certs_only([]) };
        let client = client.build().context("no HTTP client; are ca-certificates installed?")?;
        let schemes = default_provider().signature_verification_algorithms.mapping;
        let scheme = schemes.iter().find(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256);
        let algorithm = scheme.and_then(|(_, algorithms)| algorithms.first()).context("there is no ECDSA")?;
        Ok(Self { url, client, algorithm: *algorithm, keys: ArcSwap::default(), asked: Mutex::new(None) })
    }

    /// Whether a body is signed by a published key.
    async fn is_signed(&self, headers: &HeaderMap, body: &[u8], clock: &EnvironmentClock) -> bool {
        let only = |name: HeaderName| {
            let mut fields = headers.get_all(name).iter();
            fields.next().filter(|_| fields.next().is_none()).and_then(|field| field.to_str().ok())
        };
        let (Some(name), Some(signature)) = (only(KEY), only(SIGNATURE)) else {
            return false;
        };
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        if !self.keys.load().contains_key(name) {
            self.fetch(clock.now(), PAUSE).await;
        }
        let keys = self.keys.load();
        keys.get(name).is_some_and(|key| self.algorithm.verify_signature(key, body, &signature).is_ok())
    }

    /// Fetches the keys before they are needed, where those that are known grow old. Meant for once a minute.
    pub(super) async fn refresh(&self, now: Timestamp) {
        self.fetch(now, FRESH).await;
    }

    /// Fetches the keys, unless that was tried less than `pause` ago.
    async fn fetch(&self, now: Timestamp, pause: Duration) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|last| now.since(last) < pause) {
            return;
        }
        *asked = Some(now);
        match self.published().await {
            Ok(keys) => self.keys.store(keys.into()),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "The keys of reports could not be fetched; those that are known stay"
                );
            }
        }
    }

    async fn published(&self) -> anyhow::Result<HashMap<String, Vec<u8>>> {
        let said = |error: reqwest::Error| anyhow::anyhow!(causes::said(&error.without_url()));
        let read = async {
            let mut answer = self.client.get(self.url.clone()).send().await.map_err(said)?;
            ensure!(answer.status().is_success(), "answered with {}", answer.status());
            let mut whole = BytesMut::new();
            while let Some(piece) = answer.chunk().await.map_err(said)? {
                ensure!(whole.len() + piece.len() <= LARGEST_KEYS, "the answer is too large");
                whole.extend_from_slice(&piece);
            }
            anyhow::Ok(whole)
        };
        let Ok(whole) = timeout(PATIENCE, read).await else {
            bail!("no answer within {} s", PATIENCE.as_secs());
        };
        let Published { public_keys } = serde_json::from_slice(&whole?).context("the answer has no keys")?;
        let keys: HashMap<String, Vec<u8>> =
            public_keys.into_iter().filter_map(|it| Some((it.key_identifier, point(&it.key)?))).collect();
        ensure!(!keys.is_empty(), "none of the keys can be read");
        Ok(keys)
    }
}

/// The point of a public key in PEM, or none where it is not one on a curve.
fn point(pem: &str) -> Option<Vec<u8>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, key) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
    Some(key.subject_public_key.data.into_owned())
}

impl Environment {
    /// Answers one report.
    pub(super) async fn report(
        &self,
        reports: &Reports,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
    ) -> Response<Bytes> {
        match self.take_report(reports, context, parts, body).await {
            Ok(finds) => {
                let mut response = Response::new(Bytes::from(format!(r#"{{"data":{{"taken":{finds}}}}}"#)));
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
            Err(refusal) => {
                self.issuer.note_refused(context, parts, &refusal);
                refusal.to_response(BodyShape::Guide)
            }
        }
    }

    /// How many finds there were. How many of them were right is nobody's business.
    async fn take_report(
        &self,
        reports: &Reports,
        context: &RequestContext,
        parts: &Parts,
        body: Result<Bytes, Refusal>,
    ) -> Result<usize, Refusal> {
        if parts.method != Method::POST {
            return Err(Refusal::MethodNotAllowed("POST"));
        }
        let body = body?;
        if !reports.is_signed(&parts.headers, &body, &self.clock).await {
            return Err(Refusal::InvalidRequest(RequestFault::Report));
        }
        let finds: Vec<Find> =
            serde_json::from_slice(&body).map_err(|_| Refusal::InvalidRequest(RequestFault::Report))?;
        for find in &finds {
            let Some(stray) = leaks::stray(find.token.trim()) else {
                continue;
            };
            if let Some(leak) = self.issuer.look_into_report(context, &stray).await {
                self.tell_of_leak(context, &leak).await;
            }
        }
        Ok(finds.len())
    }
}
