//! What Vault answered: a secret, a token, or why there is none. The one place that puts its refusals into
//! words; its own are not passed on, for nobody knows what they repeat.

use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use super::login::VaultToken;
use crate::Error;

/// What was asked for.
#[derive(Clone, Copy)]
pub(super) enum Deed<'a> {
    LogIn {
        secret_id_file: &'a Path,
    },
    Read {
        path: &'a str,
    },
    /// What Vault's token may do there.
    Look {
        path: &'a str,
    },
    Replace {
        path: &'a str,
    },
}

impl Deed<'_> {
    pub(super) const fn what(&self) -> &'static str {
        match self {
            Self::LogIn { .. } => "the login",
            Self::Read { .. } => "the request for the secret",
            Self::Look { .. } => "the question what Vault's token may do",
            Self::Replace { .. } => "keeping another secret",
        }
    }
}

/// An answer, whole, whatever it says.
pub(super) struct Answer<'a> {
    pub(super) deed: Deed<'a>,
    pub(super) url: String,
    pub(super) status: StatusCode,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What is kept at a path. There may be more.
#[derive(Deserialize)]
pub(super) struct Kept {
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Zeroizing<String>,
}

/// What the KV secrets engine, version 2, answers.
#[derive(Deserialize)]
struct Secret<T> {
    data: Version<T>,
}

#[derive(Deserialize)]
struct Version<T> {
    data: T,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    version: u64,
}

/// What it answers when another version was written.
#[derive(Deserialize)]
struct Written {
    data: Metadata,
}

/// What a token may do at a path.
#[derive(Deserialize)]
struct Rights {
    capabilities: Vec<String>,
}

/// What a login answers.
#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Zeroizing<String>,
    #[serde(default)]
    lease_duration: u64,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

impl Answer<'_> {
    /// The secret, if it is one, and its version.
    pub(super) fn secret(self) -> Result<(Kept, u64), Error> {
        if self.status != StatusCode::OK {
            return Err(self.refusal());
        }
        // What serde says of a mistake may quote what it read.
        match self.parse::<Secret<Kept>>() {
            Some(secret) => Ok((secret.data.data, secret.data.metadata.version)),
            None if self.parse::<Secret<IgnoredAny>>().is_some() => Err(Error::credentials(format!(
                "{} answered a secret without a client_secret that is text; write it: {}",
                self.url,
                self.writing("patch")
            ))),
            None => Err(self.wrong("the KV secrets engine, version 2")),
        }
    }

    /// The token of a login, and how long it is leased for.
    pub(super) fn token(self) -> Result<(VaultToken, Duration), Error> {
        if self.status != StatusCode::OK {
            return Err(self.refusal());
        }
        let LoggedIn { auth } = self.parse().ok_or_else(|| self.wrong("a login"))?;
        Ok((VaultToken::new(auth.client_token), Duration::from_secs(auth.lease_duration)))
    }

    /// Whether the token may replace the secret; unknown is not no.
    pub(super) fn may_replace(&self) -> bool {
        let Some(Rights { capabilities }) = self.parse().filter(|_| self.status == StatusCode::OK) else {
            return true;
        };
        capabilities.iter().any(|it| it == "patch" || it == "root")
    }

    /// The version that was written. `None`: another process was first.
    pub(super) fn version(self) -> Result<Option<u64>, Error> {
        match self.status {
            StatusCode::OK => {
                let Written { data } = self.parse().ok_or_else(|| self.wrong("the KV secrets engine, version 2"))?;
                Ok(Some(data.version))
            }
            StatusCode::BAD_REQUEST if self.said("check-and-set") => Ok(None),
            _ => Err(self.refusal()),
        }
    }

    fn said(&self, words: &str) -> bool {
        self.parse::<Refusal>().is_some_and(|it| it.errors.iter().any(|it| it.contains(words)))
    }

    fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    fn wrong(&self, whose: &str) -> Error {
        let why = match serde_json::from_slice::<IgnoredAny>(&self.body) {
            Ok(_) => "JSON of another shape",
            Err(error) if error.is_eof() => "JSON that is cut short",
            Err(_) => "something that is not JSON",
        };
        let message = format!("{} answered {why}, not like {whose}; is it Vault's address?", self.url);
        Error::answer(message, self.status, None)
    }

    /// Why there is no secret, and what to do.
    fn refusal(&self) -> Error {
        let (url, status) = (&self.url, self.status.as_u16());
        let why = match (status, self.deed) {
            (300..=399, _) => {
                let why =
                    "redirects are not followed, for Vault's token would go along; give the address of the active node";
                why.to_owned()
            }
            (503, _) if self.said("sealed") => "Vault is sealed; have it unsealed: vault operator unseal".to_owned(),
            (429 | 500..=599, _) => "Vault is not available; look into its log".to_owned(),
            (400 | 403, Deed::LogIn { secret_id_file }) => format!(
                "the role's id or its secret id is wrong, out of date or used up; write a new secret id to {}: vault \
                 write -f -field=secret_id auth/approle/role/NAME/secret-id",
                secret_id_file.display()
            ),
            (403, Deed::Read { path }) => format!(
                "Vault's token is out of date, or no policy of its allows to read {path}; log in anew, or add to a \
                 policy: path \"{}\" {{ capabilities = [\"read\"] }}",
                path.replacen('/', "/data/", 1)
            ),
            (403, Deed::Replace { path } | Deed::Look { path }) => return lacks_right(path),
            (405 | 415, Deed::Replace { .. }) => {
                "it does not take patches; Vault does since 1.9, and OpenBao always".to_owned()
            }
            (404, Deed::LogIn { .. }) => {
                "there is no AppRole at auth/approle; enable it: vault auth enable approle".to_owned()
            }
            (404, Deed::Read { path } | Deed::Replace { path }) if self.parse::<Secret<IgnoredAny>>().is_some() => {
                format!("the latest version of {path} is deleted; write a new one: {}", self.writing("put"))
            }
            (404, Deed::Read { path } | Deed::Replace { path }) => format!(
                "there is nothing at {path} in a KV secrets engine, version 2; write it: {}",
                self.writing("put")
            ),
            (_, _) => "that is no answer of Vault's; is it Vault's address?".to_owned(),
        };
        let message = format!("{url} answered {status}: {why}");
        if matches!(status, 400..=428 | 430..=499) {
            Error::credentials(message)
        } else {
            Error::answer(message, self.status, None)
        }
    }

    /// The command that writes the secret, which is typed or piped and in no list of arguments.
    fn writing(&self, deed: &str) -> String {
        let path = match self.deed {
            Deed::Read { path } | Deed::Look { path } | Deed::Replace { path } => path,
            Deed::LogIn { .. } => "secret/fuuffy",
        };
        let (mount, name) = path.split_once('/').unwrap_or(("secret", path));
        let quoted = |word| shlex::try_quote(word).map_or_else(|_| "…".to_owned(), |word| word.into_owned());
        format!("vault kv {deed} -mount={} {} client_id=ID client_secret=-", quoted(mount), quoted(name))
    }
}

/// Vault's token may read the secret and not replace it.
pub(super) fn lacks_right(path: &str) -> Error {
    let target = path.replacen('/', "/data/", 1);
    Error::unwritable(format!(
        "no policy of Vault's token allows to replace {path}; add to one: path \"{target}\" {{ capabilities = [\"read\", \
         \"patch\"] }}, or have a person do it (fuuffy secrets add gives another)"
    ))
}
