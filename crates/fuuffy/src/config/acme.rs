//! Whence certificates come where nobody puts any: the section of a configuration that names an authority.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use instant_acme::LetsEncrypt;
use lettre::Address;

use super::table::Table;
use super::{Config, TlsMode};

/// The authority where none is named: one whose certificates nobody trusts, so that mistakes cost nothing.
pub const STAGING: &str = LetsEncrypt::Staging.url();
/// The most addresses that an authority may write to.
const MOST_CONTACTS: usize = 10;
/// A certificate is for so many names at most, as authorities have it.
const MOST_NAMES: usize = 100;

/// An authority that gives certificates by ACME (RFC 8555), and what it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The URL of its directory.
    pub directory: String,
    /// Whom it may write to.
    pub contact: Vec<String>,
    /// How it is proven that names are ours.
    pub challenge: ChallengeKind,
    /// Whom the authority's server is known by, if not by the machine's authorities.
    pub ca_file: Option<PathBuf>,
    /// The id of a key that ties the account to a customer, and the file with the key.
    pub external_account: Option<(String, PathBuf)>,
}

/// How it is proven that a name is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// In a handshake of the listener's own (RFC 8737).
    TlsAlpn01,
    /// By plain HTTP (RFC 8555 §8.3), on a listener of its own.
    Http01 {
        /// Where that listens.
        listen: SocketAddr,
    },
}

impl ChallengeKind {
    /// As it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Http01 { .. } => "http-01",
        }
    }
}

pub(super) fn read(table: &Table<'_>, folder: &Path) -> Option<AcmeConfig> {
    let directory = table.parsed("directory", directory).unwrap_or_else(|| STAGING.to_owned());
    if !table.has("agree_to_terms") {
        table.mistake("agree_to_terms", "missing; expected true, where you agree to the authority's terms of service");
    } else if table.boolean("agree_to_terms") == Some(false) {
        table.wrong("agree_to_terms");
    }
    let contact = table.list("contact", |text| {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        address.parse::<Address>().map_err(|_| r#"expected an address, as in "ops@example.com""#.to_owned())
    });
    let contact: Vec<String> = contact.into_iter().flatten().map(|address| address.to_string()).collect();
    if contact.len() > MOST_CONTACTS {
        table.wrong("contact");
    }
    let path = |key| table.parsed(key, |path| (!path.is_empty()).then(|| folder.join(path)));
    let key_id = table.parsed("eab_key_id", |id| is_plain(id).then(|| id.to_owned()));
    let key_file = path("eab_key_file");
    for (here, other) in [("eab_key_id", "eab_key_file"), ("eab_key_file", "eab_key_id")] {
        if table.has(here) && !table.has(other) {
            table.wrong(here);
        }
    }
    let (ca_file, challenge) = (path("ca_file"), challenge(table));
    Some(AcmeConfig { directory, contact, challenge: challenge?, ca_file, external_account: key_id.zip(key_file) })
}

fn challenge(table: &Table<'_>) -> Option<ChallengeKind> {
    let listen = table.parsed("listen", |text| text.parse().ok());
    let word = table.parsed("challenge", |text| matches!(text, "tls-alpn-01" | "http-01").then(|| text == "http-01"));
    match (word, table.has("challenge")) {
        (Some(true), _) if !table.has("listen") => {
            table.wrong("challenge");
            None
        }
        (Some(true), _) => Some(ChallengeKind::Http01 { listen: listen? }),
        (None, true) => None,
        _ if table.has("listen") => {
            table.mistake("listen", r#"expected challenge = "http-01" beside it"#);
            None
        }
        _ => Some(ChallengeKind::TlsAlpn01),
    }
}

/// Those of an environment's hosts that an authority can give a certificate for.
pub(super) fn names(table: &Table<'_>, hosts: Option<&[String]>) -> Option<Vec<String>> {
    let Some(hosts) = hosts else {
        table.mistake("tls", r#"a certificate is for names; expected hosts without "*""#);
        return None;
    };
    let mut names: Vec<String> = hosts.iter().filter(|host| is_public_name(host)).cloned().collect();
    names.sort();
    names.dedup();
    if names.is_empty() || names.len() > MOST_NAMES {
        table.mistake("tls", format!("an authority certifies names that have a dot, and no addresses; expected from 1 to {MOST_NAMES} of them in hosts"));
        return None;
    }
    Some(names)
}

/// What no single section shows: that one is there without the other, or two listeners would have one address.
pub(super) fn refuse_what_does_not_fit(root: &Table<'_>, config: &Config) {
    let environments = [&config.environments.testing, &config.environments.production].into_iter().flatten();
    let mut wanted = 0;
    for environment in environments.clone().filter(|it| matches!(it.tls, TlsMode::Acme { .. })) {
        wanted += 1;
        if !root.has("acme") {
            let at = format!("{}.tls", environment.name);
            root.mistake("environments", format!("{at}: expected a table [acme] that says whence certificates come"));
        }
    }
    if config.acme.is_some() && wanted == 0 {
        root.mistake("acme", r#"nobody gets a certificate by it; expected tls = "acme" in an environment"#);
    }
    let Some(ChallengeKind::Http01 { listen }) = config.acme.as_ref().map(|acme| acme.challenge) else {
        return;
    };
    let is_taken = config.admin.listen == listen || environments.clone().any(|it| it.listen == listen);
    if listen.port() != 0 && is_taken {
        root.mistake("acme", format!("listen: {listen} is another listener's address"));
    }
}

fn directory(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.scheme() == "https" && is_bare && url.has_host()).then(|| text.to_owned())
}

fn is_plain(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A name of DNS with more than one label, which no address is.
fn is_public_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.contains('.') && host.parse::<IpAddr>().is_err() && host.split('.').all(is_label)
}
