//! A profile for each environment: what stands in for variables that are not set. It names where a secret
//! is and never has one in it, so that the file can be kept anywhere.

use std::path::{Path, PathBuf};

use fuuffy_client::{Environment, Error};
use serde::Deserialize;

use crate::settings;

/// The variables that say where the secret is. One that is set replaces whatever the profile says of it.
const SECRETS: [&str; 7] = [
    "FUUFFY_CLIENT_SECRET",
    "FUUFFY_CLIENT_SECRET_FILE",
    "FUUFFY_CLIENT_KEY_FILE",
    "FUUFFY_IDENTITY_TOKEN_FILE",
    "FUUFFY_CREDENTIALS_COMMAND",
    "FUUFFY_KEYRING",
    "FUUFFY_VAULT_PATH",
];

/// The variables that say which certificate is shown. One that is set replaces whatever the profile says of it, for the two
/// belong together.
const CERTIFICATES: [&str; 2] = ["FUUFFY_CLIENT_CERT_FILE", "FUUFFY_CLIENT_CERT_KEY_FILE"];

/// One environment's part of the file.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    base_url: Option<String>,
    client_id: Option<String>,
    client_secret_file: Option<String>,
    client_key_file: Option<String>,
    identity_token_file: Option<String>,
    identity_audience: Option<String>,
    issuer: Option<String>,
    dpop_key_file: Option<String>,
    client_cert_file: Option<String>,
    client_cert_key_file: Option<String>,
    credentials_command: Option<String>,
    credentials_store_command: Option<String>,
    keyring: Option<String>,
    vault_path: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    #[serde(default)]
    testing: Profile,
    #[serde(default)]
    production: Profile,
}

impl Profile {
    /// Reads the environment's profile from `file`, or from where it is by custom; there need not be one there.
    pub(super) fn load(file: Option<&Path>, environment: Environment) -> Result<Self, Error> {
        let Some(path) = file.map(Path::to_path_buf).or_else(usual_place) else {
            return Ok(Self::default());
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => return Ok(Self::default()),
            Err(error) => {
                return Err(Error::configuration(format!("cannot read the profiles in {}: {error}", path.display())));
            }
        };
        let profiles: Profiles = match toml::from_str(&text) {
            Ok(profiles) => profiles,
            // The parser quotes the line, and somebody may have put a secret there.
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start).min(text.len());
                let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                return Err(Error::configuration(format!(
                    "{}, line {line}: {}; [testing] and [production] have base_url, client_id, client_secret_file, \
                     client_key_file, identity_token_file, identity_audience, issuer, dpop_key_file, client_cert_file, client_cert_key_file, credentials_command, credentials_store_command, keyring and vault_path, and never the secret itself",
                    path.display(),
                    error.message()
                )));
            }
        };
        Ok(match environment {
            Environment::Testing => profiles.testing,
            Environment::Production => profiles.production,
        })
    }

    /// What the profile says in a variable's stead.
    pub(super) fn stand_in(&self, name: &str) -> Option<String> {
        let none_is_set = |names: &[&str]| names.iter().all(|name| settings::variable(name).is_none());
        let no_secret_is_set = || none_is_set(&SECRETS);
        let no_certificate_is_set = || none_is_set(&CERTIFICATES);
        match name {
            "FUUFFY_BASE_URL" => self.base_url.clone(),
            "FUUFFY_CLIENT_ID" => self.client_id.clone(),
            "FUUFFY_CLIENT_SECRET_FILE" if no_secret_is_set() => self.client_secret_file.clone(),
            "FUUFFY_CLIENT_KEY_FILE" if no_secret_is_set() => self.client_key_file.clone(),
            "FUUFFY_IDENTITY_TOKEN_FILE" if no_secret_is_set() => self.identity_token_file.clone(),
            "FUUFFY_IDENTITY_AUDIENCE" => self.identity_audience.clone(),
            "FUUFFY_ISSUER" => self.issuer.clone(),
            "FUUFFY_DPOP_KEY_FILE" => self.dpop_key_file.clone(),
            "FUUFFY_CLIENT_CERT_FILE" if no_certificate_is_set() => self.client_cert_file.clone(),
            "FUUFFY_CLIENT_CERT_KEY_FILE" if no_certificate_is_set() => self.client_cert_key_file.clone(),
            "FUUFFY_CREDENTIALS_COMMAND" if no_secret_is_set() => self.credentials_command.clone(),
            "FUUFFY_CREDENTIALS_STORE_COMMAND" if no_secret_is_set() => self.credentials_store_command.clone(),
            "FUUFFY_KEYRING" if no_secret_is_set() => self.keyring.clone(),
            "FUUFFY_VAULT_PATH" if no_secret_is_set() => self.vault_path.clone(),
            _ => None,
        }
    }
}

/// `fuuffy/profiles.toml` where the XDG Base Directory Specification puts configuration.
fn usual_place() -> Option<PathBuf> {
    Some(settings::config_home()?.join("fuuffy").join("profiles.toml"))
}
