//! The configuration: from what was written to what runs. Either all of it is good, or all that is
//! wrong is told at once, by file, line and key, before anything is opened or bound.

mod acme;
mod base_url;
mod email;
mod identities;
mod keys;
mod mutual_tls;
mod quantity;
mod read;
mod register;
mod routes;
mod shown;
mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fuuffy_domain::{EnvironmentName, LeakGrades, Lifetime, NonceUse, Plan, PlanName, Route, TrustedIssuer};
use fuuffy_gateway::{Upstream, UpstreamProtocol};
use fuuffy_issuer::{SigningAlgorithm, TokenFormat, TokenLimits};
use ipnet::IpNet;

pub use acme::{AcmeConfig, ChallengeKind, STAGING};
pub use email::{EmailConfig, MailTls};
pub use keys::reference;
pub use mutual_tls::MutualTlsConfig;
pub(crate) use quantity::{age, show_age};
pub use register::{
    KnownCertificate, PlatformIdentity, Proofs, PublicKey, Registered, Standing, read_register, write_register,
};

/// A whole configuration, resolved: every default filled in, every value checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where everything that lasts is kept.
    pub data_dir: PathBuf,
    /// Threads that serve callers.
    pub workers: usize,
    /// How long a shutdown waits for what is in flight.
    pub shutdown_grace: Duration,
    /// The operators' listener.
    pub admin: AdminConfig,
    /// Who gives certificates, if any environment is to have some of theirs.
    pub acme: Option<AcmeConfig>,
    /// Where spans of requests go, if anywhere.
    pub otlp: Option<OtlpConfig>,
    /// Those that are served.
    pub environments: EnvironmentConfigs,
    /// What clients may do, by name. There always is a plan `standard`.
    pub plans: BTreeMap<PlanName, Plan>,
}

/// A collector of spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// Where spans are sent, as a whole URL.
    pub endpoint: String,
    /// A file with header fields for the collector.
    pub headers_file: Option<PathBuf>,
    /// Of so many traces that begin here one is recorded.
    pub one_in: u32,
}

/// The operators' listener: health, metrics and their API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// On loopback, unless it speaks TLS.
    pub listen: SocketAddr,
    /// Its certificate, if it speaks TLS.
    pub tls: Option<CertificateFiles>,
}

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificates, the listener's own first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The environments that a configuration has; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentConfigs {
    /// `[environments.testing]`
    pub testing: Option<EnvironmentConfig>,
    /// `[environments.production]`
    pub production: Option<EnvironmentConfig>,
}

/// One environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentConfig {
    /// Which.
    pub name: EnvironmentName,
    /// Where callers connect.
    pub listen: SocketAddr,
    /// What callers know it as.
    pub base_url: String,
    /// Hosts that are served, in lower case; `None` serves any.
    pub hosts: Option<Vec<String>>,
    /// How long a token lives.
    pub token_lifetime: Lifetime,
    /// Random bytes in a token: 16 or 32.
    pub token_bytes: usize,
    /// What a token looks like.
    pub token_format: TokenFormat,
    /// What a token that is a JWT is signed by.
    pub token_signing_alg: SigningAlgorithm,
    /// What an introspection is signed by.
    pub introspection_signing_alg: SigningAlgorithm,
    /// When a proof that a key is held must have a nonce of the server's.
    pub dpop_nonces: NonceUse,
    /// How long nobody must have used a secret before it is safe to retire.
    pub retire_unused_after: Lifetime,
    /// Who speaks TLS.
    pub tls: TlsMode,
    /// Whether callers may show certificates.
    pub mutual_tls: Option<MutualTlsConfig>,
    /// Who is told that a secret expires soon, besides the log.
    pub reminders: Option<WebhookConfig>,
    /// Who gets letters.
    pub email: Option<EmailConfig>,
    /// What comes of secrets and tokens that are seen where they do not belong.
    pub leaks: LeakGrades,
    /// Where the keys are that reports of leaks are signed with, if any are taken.
    pub report_keys: Option<String>,
    /// How the keys are got that clients publish.
    pub published: PublishedConfig,
    /// Platforms whose tokens clients can be known by.
    pub identity_issuers: Vec<IdentityIssuerConfig>,
    /// How its audit log is kept.
    pub audit: AuditConfig,
    /// Where a line is written for each request, if anywhere.
    pub access_log: Option<AccessLogTarget>,
    /// What a caller's connection may cost.
    pub limits: ConnectionLimits,
    /// How many tokens may be asked for.
    pub token_limits: TokenLimits,
    /// Where requests go.
    pub routes: Vec<RouteConfig>,
}

/// How published keys are got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedConfig {
    /// Whether they may be at private addresses.
    pub allow_private: bool,
    /// Authorities that are trusted in the machine's stead.
    pub ca_file: Option<PathBuf>,
}

/// A platform whose tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityIssuerConfig {
    /// Which, and how far.
    pub trusted: TrustedIssuer,
    /// Where its keys are.
    pub keys: KeysFrom,
    /// How they are got.
    pub published: PublishedConfig,
}

/// Where a platform's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// Where its metadata says.
    Metadata,
    /// At this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Where to.
    pub url: String,
    /// The file with the key of its signatures.
    pub key_file: PathBuf,
    /// Whether it may be at a private address.
    pub allow_private: bool,
}

/// Where an access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// To standard error, where the log is.
    Stderr,
    /// To a file, which is opened anew on `SIGHUP`.
    File(PathBuf),
}

/// How an audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditConfig {
    /// How long records stay, if not for good.
    pub retention: Option<Duration>,
}

/// Who speaks TLS with the callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// Nobody: the listener is on loopback.
    Loopback,
    /// The listener itself.
    Own(CertificateFiles),
    /// The listener itself, by a certificate that an authority gives it.
    Acme {
        /// What the certificate is for, in lower case.
        names: Vec<String>,
    },
    /// A proxy in front. Connections from anywhere else are closed.
    Terminated {
        /// Whence connections are taken.
        trusted_proxies: Vec<IpNet>,
    },
}

impl TlsMode {
    /// Whether the listener itself speaks TLS.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Acme { .. })
    }
}

/// What a caller's connection may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time, over all workers.
    pub connections: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Between the pieces of a body, either way.
    pub body_timeout: Duration,
    /// Bytes of a request target.
    pub max_uri: usize,
    /// Bytes of all header fields.
    pub max_header_bytes: usize,
    /// Header fields.
    pub max_headers: usize,
    /// Bytes of a request body.
    pub max_body: u64,
}

/// Where the requests under a prefix go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Prefix and scopes.
    pub route: Route,
    /// At least one.
    pub upstreams: Vec<Upstream>,
    /// Spoken to all of them.
    pub protocol: UpstreamProtocol,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for the head of an answer.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Whether WebSocket passes.
    pub websocket: bool,
    /// Bytes of a request body.
    pub max_body: u64,
    /// What a request takes from the windows of its client's plan.
    pub cost: u32,
    /// Requests that wait for the head of an answer at a time, at most.
    pub in_flight: u32,
    /// Whether fewer do where answers become slow because there are too many.
    pub adapts: bool,
}

/// One mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what was expected.
    pub words: String,
}

/// All that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    file: String,
    mistakes: Vec<Mistake>,
    /// What did not happen because of them.
    not_done: &'static str,
}

impl Mistakes {
    /// They, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Mistake { place, words } in &self.mistakes {
            match place {
                Some((line, column)) => writeln!(f, "{}:{line}:{column}: {words}", self.file)?,
                None => writeln!(f, "{}: {words}", self.file)?,
            }
        }
        match self.mistakes.len() {
            1 => write!(f, "1 mistake; nothing was {}", self.not_done),
            count => write!(f, "{count} mistakes; nothing was {}", self.not_done),
        }
    }
}

impl std::error::Error for Mistakes {}

/// Reads and resolves the configuration file at `path`, by the given way of reading files.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path, read: impl FnOnce(&Path) -> io::Result<String>) -> Result<Config, Mistakes> {
    let file = path.display().to_string();
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => {
            let words = format!("cannot be read: {error}");
            return Err(Mistakes { file, mistakes: vec![Mistake { place: None, words }], not_done: "started" });
        }
    };
    // A path that cannot be made absolute is used as it is.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|mistakes| Mistakes {
        file,
        mistakes,
        not_done: "started",
    })
}

/// Resolves the text of a configuration; relative paths in it start from `folder`.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn parse(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
    read::read(text, folder)
}

impl Config {
    /// The configuration as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        shown::to_json(self)
    }

    /// The configuration as a file that resolves to the same again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        shown::to_toml(self)
    }

    /// The names of what is other in a later configuration and waits for a restart: all but routes and plans.
    #[must_use]
    pub fn waiting(&self, later: &Self) -> Vec<String> {
        shown::waiting(self, later)
    }
}

#[cfg(test)]
mod tests;
