//! Another secret in Vault: a patch of the version that was read, so that whoever comes second is told.

use fuuffy_protocol::ClientSecret;
use http::Method;
use serde::Serialize;
use zeroize::Zeroizing;

use super::VaultCredentials;
use super::answer::{Deed, lacks_right};
use crate::credentials::{Credentials, Replacement};
use crate::{BoxFuture, Error};

/// Where a token learns what it may do.
const RIGHTS: &str = "/v1/sys/capabilities-self";

/// The right to replace one version.
struct VaultReplacement {
    vault: VaultCredentials,
    credentials: Credentials,
    version: u64,
}

#[derive(Serialize)]
struct Question {
    paths: [String; 1],
}

/// What is patched: everything else that is kept there stays as it is.
#[derive(Serialize)]
struct Patch<'a> {
    options: Options,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Options {
    cas: u64,
}

#[derive(Serialize)]
struct Data<'a> {
    client_secret: &'a str,
}

/// Takes the right to replace the secret.
pub(super) async fn take(vault: &VaultCredentials) -> Result<Box<dyn Replacement>, Error> {
    let path = &vault.path;
    let question = Question { paths: [path.written.replacen('/', "/data/", 1)] };
    let question = Zeroizing::new(serde_json::to_vec(&question).unwrap_or_default());
    let answer = vault.ask(Deed::Look { path: &path.written }, Method::POST, RIGHTS, Some(&question)).await?;
    if !answer.may_replace() {
        return Err(lacks_right(&path.written));
    }
    let (credentials, version) = vault.credentials().await?;
    Ok(Box::new(VaultReplacement { vault: vault.clone(), credentials, version }))
}

impl VaultReplacement {
    async fn patch(&mut self, secret: &ClientSecret) -> Result<(), Error> {
        let client_secret = secret.reveal();
        // Room for all of it, escaped: growing would leave copies behind unwiped.
        let mut patch = Zeroizing::new(Vec::with_capacity(128 + 6 * client_secret.len()));
        serde_json::to_writer(
            &mut *patch,
            &Patch { options: Options { cas: self.version }, data: Data { client_secret } },
        )
        .map_err(|_| Error::credentials("the secret makes no request to Vault"))?;
        let (vault, path) = (&self.vault, &self.vault.path);
        let deed = Deed::Replace { path: &path.written };
        let written = vault.ask(deed, Method::PATCH, &path.target, Some(&patch)).await?.version()?;
        // Whoever was first has kept a secret too, and whoever reads it next finds that one.
        self.version = written.unwrap_or(self.version);
        Ok(())
    }
}

impl Replacement for VaultReplacement {
    fn current(&self) -> &Credentials {
        &self.credentials
    }

    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let vault = self.vault.clone();
            vault.within("keeping another secret", self.patch(secret)).await
        })
    }
}
