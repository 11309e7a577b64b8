//! How far clients are known by certificate: `[environments.….mutual_tls]`.

use std::path::{Path, PathBuf};

use fuuffy_protocol::MutualTls;

use super::table::Table;
use super::{TlsMode, keys};

/// That callers may show certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutualTlsConfig {
    /// The file of the authorities that vouch for clients' names, if any do.
    pub authorities: Option<PathBuf>,
}

impl MutualTlsConfig {
    /// How far clients are known by certificate.
    #[must_use]
    pub fn extent(config: Option<&Self>) -> MutualTls {
        match config {
            None => MutualTls::Off,
            Some(Self { authorities: None }) => MutualTls::SelfSigned,
            Some(Self { authorities: Some(_) }) => MutualTls::Authorities,
        }
    }
}

pub(super) fn read(environment: &Table<'_>, tls: Option<&TlsMode>, folder: &Path) -> Option<MutualTlsConfig> {
    let table = environment.table("mutual_tls", &keys::MUTUAL_TLS)?;
    if tls == Some(&TlsMode::Loopback) {
        environment.mistake(
            "mutual_tls",
            r#"expected tls beside it: a table with cert and key, "acme", or "terminated"; without TLS nobody shows a certificate"#,
        );
    }
    let authorities = table.parsed("authorities", |path| (!path.is_empty()).then(|| folder.join(path)));
    Some(MutualTlsConfig { authorities })
}
