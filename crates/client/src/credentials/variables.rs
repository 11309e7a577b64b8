//! What the integrator's environment variables say. The only place of this crate that reads them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use fuuffy_protocol::Identifiers;
use zeroize::Zeroizing;

use super::{
    CredentialSource, ExecCredentials, FileCredentials, FixedCredentials, GithubActionsCredentials,
    IdentityFileCredentials,
};
use crate::{BaseUrl, ClientBuilder, Environment, Error};

/// The name under which systemd keeps the secret (`LoadCredential=fuuffy_client_secret:…`).
const SYSTEMD_NAME: &str = "fuuffy_client_secret";

/// The variables that name a source, of which one may be set.
const SOURCES: [&str; 7] = [
    "FUUFFY_CLIENT_SECRET",
    "FUUFFY_CLIENT_SECRET_FILE",
    "FUUFFY_CLIENT_KEY_FILE",
    "FUUFFY_IDENTITY_TOKEN_FILE",
    "FUUFFY_CREDENTIALS_COMMAND",
    "FUUFFY_KEYRING",
    "FUUFFY_VAULT_PATH",
];

/// Where a job of GitHub Actions asks for a token that says which job it is, and by what.
const ACTIONS_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const ACTIONS_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// The files of a certificate and its key, which belong together.
const CERTIFICATE: &str = "FUUFFY_CLIENT_CERT_FILE";
const CERTIFICATE_KEY: &str = "FUUFFY_CLIENT_CERT_KEY_FILE";

/// Finds a variable by its name.
type Find<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The integrator's variables, wherever they are found: `FUUFFY_CLIENT_ID`, and one of `FUUFFY_CLIENT_SECRET`,
/// `FUUFFY_CLIENT_SECRET_FILE`, `FUUFFY_CLIENT_KEY_FILE` (a private key instead of a secret; feature `private-key`),
/// `FUUFFY_IDENTITY_TOKEN_FILE` (the token of the platform that the program runs on, as of a pod in Kubernetes),
/// `FUUFFY_CREDENTIALS_COMMAND`, `FUUFFY_KEYRING` (1, or the service; feature
/// `keyring`) and `FUUFFY_VAULT_PATH` (as in `secret/fuuffy`; feature `vault`), or systemd's credential
/// `fuuffy_client_secret`, or else what GitHub Actions gives a job that may ask for its identity; `FUUFFY_ENVIRONMENT`
/// (testing unless set) and `FUUFFY_BASE_URL`; `FUUFFY_ISSUER`, whom assertions and proofs are for where that is not the
/// base URL's origin; `FUUFFY_IDENTITY_AUDIENCE`, whom GitHub's token is to be for where that is something else;
/// `FUUFFY_DPOP_KEY_FILE`, a private key that tokens are bound to (feature `private-key`); `FUUFFY_CLIENT_CERT_FILE` and
/// `FUUFFY_CLIENT_CERT_KEY_FILE`, a certificate that is shown beside whatever else proves the client, or alone where nothing
/// else is named (feature `client-certificate`).
/// `FUUFFY_CREDENTIALS_STORE_COMMAND` replaces what `FUUFFY_CREDENTIALS_COMMAND` prints.
///
/// Vault is found and logged in to by `VAULT_ADDR`, `VAULT_NAMESPACE` and one of `VAULT_TOKEN`,
/// `VAULT_TOKEN_FILE` and `~/.vault-token`, or as an AppRole by `FUUFFY_VAULT_ROLE_ID` and
/// `FUUFFY_VAULT_SECRET_ID_FILE`.
pub struct Variables<'a> {
    find: Box<Find<'a>>,
}

impl<'a> Variables<'a> {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::found_by(process_variable)
    }

    /// Those that a function finds, by their names.
    pub fn found_by(find: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { find: Box::new(find) }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.find)(name).filter(|value| !value.is_empty())
    }

    /// `FUUFFY_ENVIRONMENT`; testing, unless it says otherwise.
    ///
    /// # Errors
    /// It is neither environment.
    pub fn environment(&self) -> Result<Environment, Error> {
        let Some(name) = self.get("FUUFFY_ENVIRONMENT") else {
            return Ok(Environment::Testing);
        };
        name.parse().map_err(|_| Error::configuration("FUUFFY_ENVIRONMENT must be testing or production"))
    }

    /// `FUUFFY_BASE_URL`; by default the environment's own.
    ///
    /// # Errors
    /// Those of [`BaseUrl::parse`].
    pub fn base_url(&self, environment: Environment) -> Result<BaseUrl, Error> {
        let Some(text) = self.get("FUUFFY_BASE_URL") else {
            return BaseUrl::parse(environment.default_base_url());
        };
        BaseUrl::parse(&text).map_err(|error| Error::configuration(format!("FUUFFY_BASE_URL: {error}")))
    }

    /// `FUUFFY_ISSUER`: what the token service is called, where that is not the base URL's origin.
    pub(crate) fn issuer(&self) -> Option<String> {
        self.get("FUUFFY_ISSUER")
    }

    /// `FUUFFY_CLIENT_ID`, where the source tells none.
    fn client_id(&self) -> Result<String, Error> {
        self.get("FUUFFY_CLIENT_ID").ok_or_else(|| {
            Error::configuration("FUUFFY_CLIENT_ID is not set; set it to the id that came with the secret")
        })
    }

    /// The one source of credentials that the variables name. Nothing is read yet.
    ///
    /// # Errors
    /// None is named, or more than one, or it lacks something.
    pub fn credentials(&self) -> Result<Arc<dyn CredentialSource>, Error> {
        let keeps = "FUUFFY_CREDENTIALS_STORE_COMMAND";
        if self.get(keeps).is_some() && self.get("FUUFFY_CREDENTIALS_COMMAND").is_none() {
            return Err(Error::configuration(format!(
                "{keeps} is set without FUUFFY_CREDENTIALS_COMMAND, which it belongs to; set both, or unset it"
            )));
        }
        let mut named = SOURCES.into_iter().filter_map(|name| Some((name, Zeroizing::new(self.get(name)?))));
        let Some((name, value)) = named.next() else {
            return self.of_surroundings();
        };
        if named.next().is_some() {
            let [others @ .., last] = SOURCES;
            return Err(Error::configuration(format!("set only one of {} and {last}", others.join(", "))));
        }
        match name {
            "FUUFFY_CLIENT_SECRET" => {
                let place = "the secret is in FUUFFY_CLIENT_SECRET, which this program cannot set for good";
                Ok(Arc::new(FixedCredentials { client_id: self.client_id()?, client_secret: value, place }))
            }
            "FUUFFY_CLIENT_SECRET_FILE" => Ok(Arc::new(FileCredentials::new(self.client_id()?, value.as_str()))),
            "FUUFFY_CLIENT_KEY_FILE" => self.key_file(&value),
            "FUUFFY_IDENTITY_TOKEN_FILE" => {
                Ok(Arc::new(IdentityFileCredentials::new(self.client_id()?, value.as_str())))
            }
            "FUUFFY_CREDENTIALS_COMMAND" => {
                let source = ExecCredentials::new(words(name, &value)?, self.get("FUUFFY_CLIENT_ID"))?;
                Ok(Arc::new(match self.get(keeps) {
                    Some(command) => source.kept_by(words(keeps, &command)?)?,
                    None => source,
                }))
            }
            "FUUFFY_KEYRING" => self.keyring(&value),
            _ => self.vault(&value),
        }
    }

    /// The credential that systemd passes to a service, or what GitHub passes to a job.
    fn of_surroundings(&self) -> Result<Arc<dyn CredentialSource>, Error> {
        let client_id = self.client_id()?;
        let path = self.get("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(SYSTEMD_NAME));
        match path.filter(|path| path.exists()) {
            Some(path) => Ok(Arc::new(FileCredentials::of_systemd(client_id, path))),
            None if self.certificate()?.is_some() => certificate_alone(client_id),
            None if self.get(ACTIONS_URL).is_some() => self.of_actions(client_id),
            None => Err(Error::configuration(
                "there is no secret; set FUUFFY_CLIENT_SECRET_FILE to a file that only you can read, or \
                 FUUFFY_CLIENT_SECRET, FUUFFY_CLIENT_KEY_FILE, FUUFFY_IDENTITY_TOKEN_FILE, FUUFFY_CREDENTIALS_COMMAND, \
                 FUUFFY_KEYRING or FUUFFY_VAULT_PATH, or FUUFFY_CLIENT_CERT_FILE and FUUFFY_CLIENT_CERT_KEY_FILE",
            )),
        }
    }

    /// What GitHub Actions gives a job with `permissions: id-token: write`.
    fn of_actions(&self, client_id: String) -> Result<Arc<dyn CredentialSource>, Error> {
        let url = self.get(ACTIONS_URL).unwrap_or_default();
        let token = self.get(ACTIONS_TOKEN).map(Zeroizing::new).ok_or_else(|| {
            Error::configuration(format!("{ACTIONS_URL} is set without {ACTIONS_TOKEN}; GitHub Actions sets both"))
        })?;
        let audience = match self.get("FUUFFY_IDENTITY_AUDIENCE").or_else(|| self.issuer()) {
            Some(audience) => audience,
            None => Identifiers::of(&self.base_url(self.environment()?)?.to_string()).issuer().to_owned(),
        };
        Ok(Arc::new(GithubActionsCredentials::new(client_id, (&url, &token), &audience)?))
    }

    /// `FUUFFY_CLIENT_KEY_FILE`: a private key of the client's own.
    #[cfg(feature = "private-key")]
    fn key_file(&self, path: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        Ok(Arc::new(super::KeyFileCredentials::new(self.client_id()?, path)))
    }

    #[cfg(not(feature = "private-key"))]
    fn key_file(&self, _: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        Err(not_built("FUUFFY_CLIENT_KEY_FILE", "private-key"))
    }

    /// `FUUFFY_CLIENT_CERT_FILE` and `FUUFFY_CLIENT_CERT_KEY_FILE`, if the client has a certificate.
    fn certificate(&self) -> Result<Option<(String, String)>, Error> {
        match (self.get(CERTIFICATE), self.get(CERTIFICATE_KEY)) {
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (None, None) => Ok(None),
            (certificate, _) => {
                let (set, unset) = match certificate {
                    Some(_) => (CERTIFICATE, CERTIFICATE_KEY),
                    None => (CERTIFICATE_KEY, CERTIFICATE),
                };
                Err(Error::configuration(format!("{set} is set without {unset}, which it belongs to; set both")))
            }
        }
    }

    /// The files of the client's certificate, if it has one. Nothing is read yet.
    ///
    /// # Errors
    /// One of the two variables is set without the other.
    #[cfg(feature = "client-certificate")]
    pub fn certificate_files(&self) -> Result<Option<super::CertificateFiles>, Error> {
        Ok(self.certificate()?.map(|(certificate, key)| super::CertificateFiles::new(certificate, key)))
    }

    /// The certificate that is to be shown, if there is to be one.
    ///
    /// # Errors
    /// One of the two variables is set without the other.
    #[cfg(feature = "client-certificate")]
    pub(crate) fn show(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        Ok(match self.certificate_files()? {
            Some(files) => builder.certificate_files(files),
            None => builder,
        })
    }

    #[cfg(not(feature = "client-certificate"))]
    pub(crate) fn show(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        match self.certificate()? {
            Some(_) => Err(not_built(CERTIFICATE, "client-certificate")),
            None => Ok(builder),
        }
    }

    /// `FUUFFY_DPOP_KEY_FILE`: the private key that the tokens are to be bound to, if there is to be one.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or it has no such key.
    #[cfg(feature = "private-key")]
    pub(crate) fn bind(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        match self.get("FUUFFY_DPOP_KEY_FILE") {
            Some(path) => Ok(builder.dpop_key(super::key_file::read_key(path.as_ref())?)),
            None => Ok(builder),
        }
    }

    #[cfg(not(feature = "private-key"))]
    pub(crate) fn bind(&self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        match self.get("FUUFFY_DPOP_KEY_FILE") {
            Some(_) => Err(not_built("FUUFFY_DPOP_KEY_FILE", "private-key")),
            None => Ok(builder),
        }
    }

    /// `FUUFFY_KEYRING`: 1, or the service that the secret is kept under.
    #[cfg(feature = "keyring")]
    fn keyring(&self, service: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        let service = if service == "1" { super::keyring::SERVICE } else { service };
        Ok(Arc::new(super::KeyringCredentials::new(self.client_id()?, service)))
    }

    #[cfg(not(feature = "keyring"))]
    fn keyring(&self, _: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        Err(not_built("FUUFFY_KEYRING", "keyring"))
    }

    /// `FUUFFY_VAULT_PATH`, with the variables that Vault's own command line knows.
    #[cfg(feature = "vault")]
    fn vault(&self, path: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        let address = self.get("VAULT_ADDR").ok_or_else(|| {
            Error::configuration(
                "VAULT_ADDR is not set; set it to where Vault is, as in https://vault.example.com:8200",
            )
        })?;
        let mut vault = super::VaultCredentials::new(&address, path, self.vault_login()?)?;
        if let Some(namespace) = self.get("VAULT_NAMESPACE") {
            vault = vault.namespace(&namespace)?;
        }
        if let Some(client_id) = self.get("FUUFFY_CLIENT_ID") {
            vault = vault.client_id(client_id);
        }
        Ok(Arc::new(vault))
    }

    #[cfg(not(feature = "vault"))]
    fn vault(&self, _: &str) -> Result<Arc<dyn CredentialSource>, Error> {
        Err(not_built("FUUFFY_VAULT_PATH", "vault"))
    }

    /// How to log in to Vault. What is said for this program alone wins over what is said for all.
    #[cfg(feature = "vault")]
    fn vault_login(&self) -> Result<super::VaultLogin, Error> {
        use super::VaultLogin;

        match (self.get("FUUFFY_VAULT_ROLE_ID"), self.get("FUUFFY_VAULT_SECRET_ID_FILE")) {
            (Some(role_id), Some(secret_id_file)) => return Ok(VaultLogin::app_role(role_id, secret_id_file)),
            (None, None) => {}
            _ => {
                return Err(Error::configuration(
                    "an AppRole login to Vault takes both FUUFFY_VAULT_ROLE_ID and FUUFFY_VAULT_SECRET_ID_FILE",
                ));
            }
        }
        match (self.get("VAULT_TOKEN"), self.get("VAULT_TOKEN_FILE")) {
            (Some(token), None) => return Ok(VaultLogin::token(token)),
            (None, Some(path)) => return Ok(VaultLogin::token_file(path)),
            (None, None) => {}
            _ => return Err(Error::configuration("set only one of VAULT_TOKEN and VAULT_TOKEN_FILE")),
        }
        let by_custom = self.get("HOME").map(|home| PathBuf::from(home).join(".vault-token"));
        by_custom.filter(|path| path.exists()).map(VaultLogin::token_file).ok_or_else(|| {
            Error::configuration(
                "there is no login to Vault; run vault login, or set VAULT_TOKEN_FILE, or VAULT_TOKEN, or \
                 FUUFFY_VAULT_ROLE_ID and FUUFFY_VAULT_SECRET_ID_FILE",
            )
        })
    }
}

/// A command's words, as a shell would split them.
fn words(variable: &str, command: &str) -> Result<Vec<String>, Error> {
    let words = shlex::split(command);
    words.ok_or_else(|| Error::configuration(format!("{variable} has a quote that does not end")))
}

/// A client that nothing proves but its certificate.
#[cfg(feature = "client-certificate")]
fn certificate_alone(client_id: String) -> Result<Arc<dyn CredentialSource>, Error> {
    Ok(Arc::new(super::CertificateCredentials::new(client_id)))
}

#[cfg(not(feature = "client-certificate"))]
fn certificate_alone(_: String) -> Result<Arc<dyn CredentialSource>, Error> {
    Err(not_built(CERTIFICATE, "client-certificate"))
}

/// A variable that this build can do nothing with.
#[cfg(any(
    test,
    not(feature = "client-certificate"),
    not(feature = "keyring"),
    not(feature = "private-key"),
    not(feature = "vault")
))]
pub(super) fn not_built(variable: &str, feature: &str) -> Error {
    Error::configuration(format!(
        "{variable} is set, but this program was built without it; build it with --features {feature}, or unset \
         {variable}"
    ))
}

#[expect(clippy::disallowed_methods, reason = "this is where the integrator's variables are read")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl fmt::Debug for Variables<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}
