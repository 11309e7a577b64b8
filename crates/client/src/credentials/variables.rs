//! What the integrator's environment variables say. The only place of this crate that reads them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{CredentialSource, ExecCredentials, FileCredentials, FixedCredentials};
use crate::{BaseUrl, Environment, Error};

/// The name under which systemd keeps the secret (`LoadCredential=fuuffy_client_secret:…`).
const SYSTEMD_NAME: &str = "fuuffy_client_secret";

/// Finds a variable by its name.
type Find<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The integrator's variables, wherever they are found: `FUUFFY_CLIENT_ID`, and one of `FUUFFY_CLIENT_SECRET`,
/// `FUUFFY_CLIENT_SECRET_FILE` and `FUUFFY_CREDENTIALS_COMMAND`, or systemd's credential
/// `fuuffy_client_secret`; `FUUFFY_ENVIRONMENT` (testing unless set) and `FUUFFY_BASE_URL`.
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

    /// The one source of credentials that the variables name. Nothing is read yet.
    ///
    /// # Errors
    /// None is named, or more than one, or it lacks something.
    pub fn credentials(&self) -> Result<Arc<dyn CredentialSource>, Error> {
        let client_id = self.get("FUUFFY_CLIENT_ID");
        let named = || {
            client_id.clone().ok_or_else(|| {
                Error::configuration("FUUFFY_CLIENT_ID is not set; set it to the id that came with the secret")
            })
        };
        let secret = self.get("FUUFFY_CLIENT_SECRET").map(Zeroizing::new);
        let file = self.get("FUUFFY_CLIENT_SECRET_FILE");
        let command = self.get("FUUFFY_CREDENTIALS_COMMAND");
        match (secret, file, command) {
            (Some(client_secret), None, None) => Ok(Arc::new(FixedCredentials { client_id: named()?, client_secret })),
            (None, Some(path), None) => Ok(Arc::new(FileCredentials::new(named()?, path))),
            (None, None, Some(command)) => {
                let words = shlex::split(&command)
                    .ok_or_else(|| Error::configuration("FUUFFY_CREDENTIALS_COMMAND has a quote that does not end"))?;
                Ok(Arc::new(ExecCredentials::new(words, client_id)?))
            }
            (None, None, None) => {
                let of_systemd =
                    self.get("CREDENTIALS_DIRECTORY").map(|folder| PathBuf::from(folder).join(SYSTEMD_NAME));
                match of_systemd.filter(|path| path.exists()) {
                    Some(path) => Ok(Arc::new(FileCredentials::of_systemd(named()?, path))),
                    None => {
                        named()?;
                        Err(Error::configuration(
                            "there is no secret; set FUUFFY_CLIENT_SECRET_FILE to a file that only you can read, or \
                             FUUFFY_CLIENT_SECRET, or FUUFFY_CREDENTIALS_COMMAND",
                        ))
                    }
                }
            }
            _ => Err(Error::configuration(
                "set only one of FUUFFY_CLIENT_SECRET, FUUFFY_CLIENT_SECRET_FILE and FUUFFY_CREDENTIALS_COMMAND",
            )),
        }
    }
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
