//! Whom a certificate can be for.

use rustls::pki_types::ServerName;

/// The name of a host, or an address, as a certificate has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    text: String,
}

impl Host {
    /// Reads a name or an address; that of IPv6 may have brackets around it, as in a URL.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let text = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
        match ServerName::try_from(text.as_str()) {
            // An address has many spellings.
            Ok(name) => Ok(Self { text: name.to_str().into_owned() }),
            Err(_) => Err(format!("{text:?} is neither the name of a host nor an address")),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}
