//! Gets the keys that clients and platforms publish: over HTTPS alone, within five seconds and 64 KiB, without following a
//! redirect, and only from addresses that were looked at; or from a file.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use fuuffy_domain::{KeySetFault, Timestamp};
use fuuffy_issuer::{Fetch, KeySet, KeySource, Place, Platform};
use fuuffy_store::KeyShelf;
use parking_lot::Mutex;
use reqwest::{Certificate, Client, StatusCode, Url};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::looked::{Looked, Names};
use crate::causes;
use crate::config::{EnvironmentConfig, IdentityIssuerConfig, KeysFrom, PublishedConfig};
use crate::reach::{MayReach, Unreachable, address_in};

/// The longest wait, from the look-up of the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// So much is read, in bytes.
const LARGEST: usize = 64 * 1024;

/// What fetches for one purpose.
struct Fetcher {
    config: PublishedConfig,
    names: Names,
    /// Made when it is needed first: a server that fetches nothing needs no authorities.
    client: Mutex<Option<Client>>,
}

/// What gets keys over HTTPS.
pub(super) fn over_https(config: &PublishedConfig, names: &Names) -> Fetch {
    let fetcher = Fetcher { config: config.clone(), names: Arc::clone(names), client: Mutex::default() };
    let fetcher = Arc::new(fetcher);
    Arc::new(move |url| {
        let fetcher = Arc::clone(&fetcher);
        Box::pin(async move { fetcher.fetch(&url).await })
    })
}

/// The platforms whose tokens are believed.
pub(super) fn platforms(issuers: &[IdentityIssuerConfig], names: &Names, shelf: &Arc<KeyShelf>) -> Vec<Platform> {
    let platform = |config: &IdentityIssuerConfig| {
        let at = |place| KeySource::new(place, over_https(&config.published, names)).kept_on(Arc::clone(shelf));
        let keys = match &config.keys {
            KeysFrom::Metadata => at(Place::MetadataOf(config.trusted.issuer.to_string())),
            KeysFrom::Url(url) => at(Place::Keys(url.clone())),
            KeysFrom::File(path) => KeySource::new(Place::Keys(path.display().to_string()), in_file(path.clone())),
        };
        Platform { trusted: config.trusted.clone(), keys: Arc::new(keys) }
    };
    issuers.iter().map(platform).collect()
}

/// What gets keys from a file, which may be written anew.
fn in_file(path: PathBuf) -> Fetch {
    Arc::new(move |_| {
        let path = path.clone();
        Box::pin(async move {
            let mut text = Vec::new();
            let read = async {
                let file = tokio::fs::File::open(&path).await?;
                file.take(LARGEST as u64 + 1).read_to_end(&mut text).await
            };
            if let Err(error) = read.await {
                tracing::warn!(file = %path.display(), %error, "A file of keys cannot be read");
                return Err(KeySetFault::Unreachable);
            }
            Ok(Bytes::from(text))
        })
    })
}

impl Fetcher {
    async fn fetch(&self, url: &str) -> Result<Bytes, KeySetFault> {
        match timeout(PATIENCE, self.get(url)).await {
            Ok(fetched) => fetched,
            Err(_) => {
                tracing::warn!(url, seconds = PATIENCE.as_secs(), "Published keys did not come in time");
                Err(KeySetFault::Unreachable)
            }
        }
    }

    async fn get(&self, url: &str) -> Result<Bytes, KeySetFault> {
        let parsed = Url::parse(url).ok().filter(is_plain).ok_or(KeySetFault::Address)?;
        // An address in the URL itself is never looked up.
        if address_in(&parsed).is_some_and(|address| self.config.may_reach().check(address).is_err()) {
            return Err(KeySetFault::Address);
        }
        let client = self.client().map_err(|error| {
            tracing::warn!(url, error = format!("{error:#}"), "Published keys cannot be fetched");
            KeySetFault::Unreachable
        })?;
        let broken = |error: reqwest::Error| {
            let fault = if leads_astray(&error) { KeySetFault::Address } else { KeySetFault::Unreachable };
            let error = causes::said(&error.without_url());
            tracing::warn!(url, error, "Published keys could not be fetched");
            fault
        };
        let mut answer = client.get(parsed).header("accept", "application/json").send().await.map_err(broken)?;
        if answer.status() != StatusCode::OK {
            tracing::warn!(
                url,
                status = answer.status().as_u16(),
                "Published keys were asked for, and the answer was no"
            );
            return Err(KeySetFault::Answer);
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(broken)? {
            if whole.len() + piece.len() > LARGEST {
                return Err(KeySetFault::TooLarge);
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    fn client(&self) -> anyhow::Result<Client> {
        let mut made = self.client.lock();
        if let Some(client) = &*made {
            return Ok(client.clone());
        }
        let looked = Looked { names: Arc::clone(&self.names), may_reach: self.config.may_reach() };
        // One connection for each attempt, so that each address is looked at; and no proxy, which would look names up by
        // itself.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .https_only(true)
            .dns_resolver(Arc::new(looked))
            .user_agent(concat!("fuuffy/", env!("CARGO_PKG_VERSION")));
        let client = match authorities(&self.config)? {
            Some(authorities) => client.tls_certs_only(authorities),
            None => client,
        };
        let client = client.build().context("no HTTP client; are ca-certificates installed?")?;
        *made = Some(client.clone());
        Ok(client)
    }
}

/// The authorities that are trusted in the machine's stead, where there are any.
fn authorities(config: &PublishedConfig) -> anyhow::Result<Option<Vec<Certificate>>> {
    let Some(file) = &config.ca_file else {
        return Ok(None);
    };
    let place = file.display();
    let pem = std::fs::read(file).with_context(|| format!("{place} cannot be read"))?;
    let authorities =
        Certificate::from_pem_bundle(&pem).with_context(|| format!("{place} has no certificates in PEM"))?;
    anyhow::ensure!(!authorities.is_empty(), "{place} has no certificates in PEM");
    Ok(Some(authorities))
}

/// Whether keys may be published at a URL, as far as can be said before its name is looked up.
pub(crate) fn may_be_at(url: &str, may_reach: MayReach) -> bool {
    let is_text = url.len() <= 500 && url.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(url).ok().filter(|_| is_text).filter(is_plain);
    url.is_some_and(|url| address_in(&url).is_none_or(|address| may_reach.check(address).is_ok()))
}

/// Over TLS, at some host, without a user in it and nothing that is for its reader alone.
fn is_plain(url: &Url) -> bool {
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    url.scheme() == "https" && url.has_host() && is_bare
}

/// Whether it failed for where a name leads.
fn leads_astray(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Unreachable>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl PublishedConfig {
    /// Where keys may be.
    pub(crate) const fn may_reach(&self) -> MayReach {
        MayReach { private: self.allow_private, public: true }
    }
}

impl EnvironmentConfig {
    /// Looks into the files that keys and authorities are in, so that a mistake there is told at the start.
    pub(super) fn check_published(&self) -> anyhow::Result<()> {
        let place = format!("environments.{}", self.name);
        authorities(&self.published).with_context(|| format!("{place}.published_keys.ca_file"))?;
        for (number, issuer) in self.identity_issuers.iter().enumerate() {
            let place = format!("{place}.identity_issuers[{number}]");
            authorities(&issuer.published).with_context(|| format!("{place}.ca_file"))?;
            if let KeysFrom::File(path) = &issuer.keys {
                let shown = path.display();
                let text = std::fs::read(path).with_context(|| format!("{place}.jwks_file: {shown} cannot be read"))?;
                if let Err(fault) = KeySet::parse(&text, Timestamp::from_unix_millis(0)) {
                    let (why, advice) = fault.words();
                    anyhow::bail!("{place}.jwks_file: the keys in {shown} cannot be used: {why}. {advice}");
                }
            }
        }
        Ok(())
    }
}
