//! Who reads: a token of Vault's, or a role that logs in and is given one.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::credentials::{file, line_of};
use crate::{Body, Error};

/// Where AppRole logins are.
pub(super) const TARGET: &str = "/v1/auth/approle/login";

/// How to be let into Vault. Prints without what must not be seen.
#[derive(Clone)]
pub struct VaultLogin(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Token(VaultToken),
    TokenFile(PathBuf),
    AppRole { role_id: String, secret_id_file: PathBuf },
}

/// A token of Vault's own. It does not print, and is wiped when it was used.
#[derive(Clone)]
pub(super) struct VaultToken(Arc<Zeroizing<String>>);

/// A token that a login gave, and when its lease ends.
pub(super) struct Held {
    pub(super) token: VaultToken,
    pub(super) until: Duration,
}

/// What an AppRole login sends.
#[derive(Serialize)]
struct Form<'a> {
    role_id: &'a str,
    secret_id: &'a str,
}

impl VaultLogin {
    /// A token that the program has anyway. Better: a file, for a new token takes effect by being written
    /// there.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(VaultToken::new(Zeroizing::new(token.into()))))
    }

    /// A token in a file that nobody but its owner may be able to read: `~/.vault-token` as `vault login`
    /// writes it, or the sink of a Vault Agent.
    #[must_use]
    pub fn token_file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::TokenFile(path.into()))
    }

    /// The AppRole method: the role's id, and a secret id in a file that nobody but its owner may be able to
    /// read. The token of a login is used until its lease ends.
    #[must_use]
    pub fn app_role(role_id: impl Into<String>, secret_id_file: impl Into<PathBuf>) -> Self {
        Self(Kind::AppRole { role_id: role_id.into(), secret_id_file: secret_id_file.into() })
    }
}

/// What an AppRole login sends. It is wiped when it was sent.
pub(super) async fn form(role_id: &str, secret_id_file: &Path) -> Result<Body, Error> {
    let text = read(secret_id_file).await?;
    let secret_id = line_of(&text, &secret_id_file.display().to_string(), "the role's secret id")?;
    // Room for all of it, escaped: growing would leave copies behind unwiped.
    let mut form = Zeroizing::new(Vec::with_capacity(64 + 6 * (role_id.len() + secret_id.len())));
    serde_json::to_writer(&mut *form, &Form { role_id, secret_id })
        .map_err(|_| Error::configuration("the role's id makes no login"))?;
    Ok(Body::from(Bytes::from_owner(form)))
}

/// The token in a file.
pub(super) async fn token_in(path: &Path) -> Result<VaultToken, Error> {
    let text = read(path).await?;
    let token = line_of(&text, &path.display().to_string(), "Vault's token")?;
    Ok(VaultToken::new(Zeroizing::new(token.to_owned())))
}

impl VaultToken {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// The header field's value.
    pub(super) fn field(&self) -> Result<HeaderValue, Error> {
        let text = Bytes::from_owner(Zeroizing::new(self.0.as_bytes().to_vec()));
        let mut value = HeaderValue::from_maybe_shared(text)
            .map_err(|_| Error::credentials("Vault's token has characters that no token has"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for VaultLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Token(_) => f.write_str("Token"),
            Kind::TokenFile(path) => f.debug_tuple("TokenFile").field(path).finish(),
            Kind::AppRole { secret_id_file, .. } => f.debug_tuple("AppRole").field(secret_id_file).finish(),
        }
    }
}

async fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let path = path.to_path_buf();
    let text = tokio::task::spawn_blocking(move || file::read_private(&path, file::OTHERS)).await;
    text.map_err(|_| Error::credentials("the file for Vault could not be read"))?
}
