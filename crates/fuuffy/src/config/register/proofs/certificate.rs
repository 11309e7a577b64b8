//! A certificate that a registered client is known by: by a name in it, or as that very one.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_domain::CertificateName;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::super::table::Table;
use super::super::super::{EnvironmentConfig, keys};

/// What the operators' API calls exactly one certificate.
const EXACT: &str = "x5t#S256";
/// A thumbprint in base64url.
const THUMBPRINT: usize = 43;

/// A certificate that a client is known by, as the operators' API calls it.
#[derive(Debug, Clone)]
pub struct KnownCertificate {
    kind: String,
    value: String,
    /// The certificate itself, where somebody has written it down. The server keeps the thumbprint alone.
    pem: Option<String>,
}

impl KnownCertificate {
    /// One that is registered.
    #[must_use]
    pub const fn listed(kind: String, value: String) -> Self {
        Self { kind, value, pem: None }
    }

    /// What registers it; `None` where only its thumbprint is known.
    #[must_use]
    pub fn to_add(&self) -> Option<Value> {
        match (&self.pem, &*self.kind) {
            (Some(pem), _) => Some(json!({"certificate": pem})),
            (None, EXACT) => None,
            (None, kind) => Some(json!({kind: self.value})),
        }
    }
}

impl PartialEq for KnownCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for KnownCertificate {}

impl PartialOrd for KnownCertificate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KnownCertificate {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.kind, &self.value).cmp(&(&other.kind, &other.value))
    }
}

impl Serialize for KnownCertificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.kind, &self.value)])
    }
}

impl fmt::Display for KnownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// Those of a client.
pub(super) fn read(client: &Table<'_>, environment: &EnvironmentConfig) -> BTreeSet<KnownCertificate> {
    let tables = client.tables("certificates", &keys::REGISTERED_CERTIFICATE);
    if !tables.is_empty() && environment.mutual_tls.is_none() {
        client.mistake("certificates", "expected mutual_tls in the environment's configuration");
    }
    let read: Vec<KnownCertificate> = tables.iter().filter_map(certificate).collect();
    let count = read.len();
    let certificates: BTreeSet<KnownCertificate> = read.into_iter().collect();
    if certificates.len() < count {
        client.mistake("certificates", "the same certificate is there twice");
    }
    certificates
}

fn certificate(table: &Table<'_>) -> Option<KnownCertificate> {
    let kinds = CertificateName::KINDS.into_iter().chain([EXACT, "certificate"]);
    let mut given = kinds.filter(|kind| table.has(kind));
    let (Some(kind), None) = (given.next(), given.next()) else {
        table.whole("expected exactly one of a name, x5t#S256 and certificate");
        return None;
    };
    let text = table.parsed(kind, |text| Some(text.to_owned()))?;
    let of = |kind: &str, value: String, pem| Some(KnownCertificate { kind: kind.to_owned(), value, pem });
    match kind {
        EXACT => {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if text.len() != THUMBPRINT || !text.bytes().all(is_base64url) {
                table.wrong(kind);
            }
            of(EXACT, text, None)
        }
        "certificate" => {
            // Nothing else goes to the server, and least of all a key.
            let is_alone = text.matches("-----BEGIN").count() == 1;
            let own = CertificateDer::from_pem_slice(text.as_bytes()).ok().filter(|_| is_alone);
            let Some(own) = own else {
                table.wrong(kind);
                return None;
            };
            of(EXACT, URL_SAFE_NO_PAD.encode(Sha256::digest(&own)), Some(text))
        }
        name => match CertificateName::parse(name, &text) {
            Ok(name) => of(name.kind(), name.text(), None),
            Err(fault) => {
                let words = fault.to_string();
                table.mistake(kind, words.strip_prefix(&format!("{kind}: ")).unwrap_or(&words));
                None
            }
        },
    }
}
