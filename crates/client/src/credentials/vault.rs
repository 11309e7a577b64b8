//! A secret that HashiCorp Vault or OpenBao keeps: the KV secrets engine, version 2, over its HTTP API.
//!
//! It is read for every token request, so that a secret that is rotated there is taken up.

mod answer;
mod login;
mod replacement;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuuffy_protocol::ClientSecret;
use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use parking_lot::Mutex;
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use super::{CredentialSource, Credentials, Replacement, secret_of};
use crate::clock::{Clock, SystemClock};
use crate::exchange::{ReadFault, read};
use crate::http_client::HttpClient;
use crate::{BaseUrl, Body, BoxFuture, ESCAPED, Error};

use answer::{Answer, Deed};
pub use login::VaultLogin;
use login::{Held, Kind, VaultToken};

/// The longest that one read may take, a login included.
const PATIENCE: Duration = Duration::from_secs(10);

/// A secret in Vault or OpenBao, in the KV secrets engine, version 2. What is kept there has a
/// `client_secret`, and a `client_id` unless the id is given here:
/// `vault kv put -mount=secret fuuffy client_id=app_123 client_secret=-`
///
/// `http://` is refused unless it is loopback, redirects are never followed, an answer has at most 64 KiB
/// and 10 seconds, and neither the secret nor Vault's own token ever prints.
///
/// It can be replaced by a token with the capability `patch`. That is done by version (`cas`), so that of two processes
/// at once one is told that the other was first.
///
/// ```no_run
/// # fn run() -> Result<(), fuuffy_client::Error> {
/// use fuuffy_client::{Client, VaultCredentials, VaultLogin};
///
/// let login = VaultLogin::app_role("1f2c…", "/run/secrets/vault-secret-id");
/// let vault = VaultCredentials::new("https://vault.example.com:8200", "secret/fuuffy", login)?;
/// let client = Client::builder().credential_source(vault).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct VaultCredentials {
    address: BaseUrl,
    path: SecretPath,
    login: VaultLogin,
    namespace: Option<HeaderValue>,
    client_id: Option<String>,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    /// What the last AppRole login gave. Clones share it.
    held: Arc<Mutex<Option<Held>>>,
}

/// Where the secret is: as people write it, and as the API does.
#[derive(Debug, Clone)]
struct SecretPath {
    written: String,
    target: String,
}

impl SecretPath {
    /// Reads `mount/path`.
    fn parse(written: &str) -> Result<Self, Error> {
        let written = written.trim_matches('/');
        let wrong = |why: &str| Error::configuration(format!("the path of the secret in Vault, {written}, {why}"));
        let Some((mount, name)) = written.split_once('/') else {
            return Err(wrong("is not a mount and a path below it, as in secret/fuuffy"));
        };
        if written.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(wrong("has a segment that is empty or made of dots"));
        }
        let escaped = |text: &str| {
            let segments = text.split('/').map(|segment| utf8_percent_encode(segment, ESCAPED).to_string());
            segments.collect::<Vec<_>>().join("/")
        };
        let target = format!("/v1/{}/data/{}", escaped(mount), escaped(name));
        Ok(Self { written: written.to_owned(), target })
    }
}

impl VaultCredentials {
    /// The secret at `path` (the mount and the path below it, as in `secret/fuuffy`) of the Vault at
    /// `address`, as in `https://vault.example.com:8200`.
    ///
    /// # Errors
    /// An address that secrets must not be sent to, a path that is none, or no HTTP client.
    pub fn new(address: &str, path: &str, login: VaultLogin) -> Result<Self, Error> {
        let address = BaseUrl::parse(address)
            .map_err(|error| Error::configuration(format!("Vault's address (VAULT_ADDR): {error}")))?;
        Ok(Self {
            http: crate::builder::default_http_client(&address)?,
            address,
            path: SecretPath::parse(path)?,
            login,
            namespace: None,
            client_id: None,
            clock: Arc::new(SystemClock::default()),
            held: Arc::default(),
        })
    }

    /// The namespace that the secret and the login are in.
    ///
    /// # Errors
    /// Characters that no header field has.
    pub fn namespace(self, namespace: &str) -> Result<Self, Error> {
        let namespace = HeaderValue::from_str(namespace).map_err(|_| {
            Error::configuration("Vault's namespace (VAULT_NAMESPACE) has characters that no namespace has")
        })?;
        Ok(Self { namespace: Some(namespace), ..self })
    }

    /// The client's id, where what is kept in Vault has none.
    #[must_use]
    pub fn client_id(self, client_id: impl Into<String>) -> Self {
        Self { client_id: Some(client_id.into()), ..self }
    }

    /// What sends HTTP requests; reqwest unless said.
    #[must_use]
    pub fn http_client(self, http: impl HttpClient) -> Self {
        Self { http: Arc::new(http), ..self }
    }

    /// The clock; the machine's unless said.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The secret as it is kept now, and its version there.
    async fn credentials(&self) -> Result<(Credentials, u64), Error> {
        let path = &self.path;
        let answer = self.ask(Deed::Read { path: &path.written }, Method::GET, &path.target, None).await?;
        let (kept, version) = answer.secret()?;
        let place = format!("the client_secret at {} in Vault", path.written);
        let client_secret: ClientSecret = secret_of(kept.client_secret.as_bytes(), &place)?;
        let client_id = kept.client_id.filter(|id| !id.is_empty()).or_else(|| self.client_id.clone());
        let client_id = client_id.ok_or_else(|| {
            let path = &path.written;
            Error::credentials(format!("{path} in Vault has no client_id, and FUUFFY_CLIENT_ID is not set"))
        })?;
        Ok((Credentials::with_secret(client_id, client_secret), version))
    }

    /// Asks with a token: the one that is held, or a new one.
    async fn ask<'a>(
        &'a self,
        deed: Deed<'a>,
        method: Method,
        target: &str,
        body: Option<&Zeroizing<Vec<u8>>>,
    ) -> Result<Answer<'a>, Error> {
        let body = || body.map_or_else(Body::empty, |body| Body::from(Bytes::from_owner(body.clone())));
        if let Some(token) = self.held_token() {
            let answer = self.send(deed, method.clone(), target, Some(&token), body()).await?;
            // A token may end before its lease does: it was revoked, or used up.
            if answer.status != StatusCode::FORBIDDEN {
                return Ok(answer);
            }
            *self.held.lock() = None;
        }
        self.send(deed, method, target, Some(&self.new_token().await?), body()).await
    }

    /// In time.
    async fn within<T>(&self, what: &str, done: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            outcome = done => outcome,
            () = self.clock.sleep(PATIENCE) => {
                Err(Error::timeout(what, &format!("Vault at {}", self.address), PATIENCE))
            }
        }
    }

    /// The token of the last login, if it lives.
    fn held_token(&self) -> Option<VaultToken> {
        let held = self.held.lock();
        held.as_ref().filter(|held| self.clock.now() < held.until).map(|held| held.token.clone())
    }

    /// A token to read with: the one that is given, or that of a login.
    async fn new_token(&self) -> Result<VaultToken, Error> {
        let (role_id, secret_id_file) = match &self.login.0 {
            Kind::Token(token) => return Ok(token.clone()),
            Kind::TokenFile(path) => return login::token_in(path).await,
            Kind::AppRole { role_id, secret_id_file } => (role_id, secret_id_file),
        };
        let form = login::form(role_id, secret_id_file).await?;
        let asked_at = self.clock.now();
        let answer = self.send(Deed::LogIn { secret_id_file }, Method::POST, login::TARGET, None, form).await?;
        let (token, lease) = answer.token()?;
        // One that cannot be sent is no token, and none to hold on to.
        token.field()?;
        // No lease, or one of zero, is a token for this one read.
        *self.held.lock() = Some(Held { token: token.clone(), until: asked_at.saturating_add(lease) });
        Ok(token)
    }

    async fn send<'a>(
        &'a self,
        deed: Deed<'a>,
        method: Method,
        target: &str,
        token: Option<&VaultToken>,
        body: Body,
    ) -> Result<Answer<'a>, Error> {
        let url = self.address.join(target)?;
        let request = self.request(method, &url, token, body)?;
        let (what, url) = (deed.what(), url.to_string());
        let response = self.http.send(request).await.map_err(|error| Error::transport(what, &url, error))?;
        let status = response.status();
        match read(response.into_body()).await {
            Ok(body) => Ok(Answer { deed, url, status, body }),
            Err(ReadFault::TooLong) => {
                let message = format!("{url} answered {status}, longer than 64 KiB; is it Vault's address?");
                Err(Error::answer(message, status, None))
            }
            Err(ReadFault::Broken(error)) => Err(Error::transport(what, &url, error)),
        }
    }

    fn request(
        &self,
        method: Method,
        url: &Uri,
        token: Option<&VaultToken>,
        body: Body,
    ) -> Result<Request<Body>, Error> {
        // A patch must say how it is written (RFC 7396).
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = Request::builder()
            .method(method)
            .header(header::CONTENT_TYPE, kind)
            .uri(url.clone())
            .header(header::ACCEPT, "application/json")
            // A Vault Agent in between may ask for it, since no web page can send it.
            .header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            request = request.header("x-vault-token", token.field()?);
        }
        request.body(body).map_err(|_| Error::configuration("Vault's address makes no request"))
    }
}

impl CredentialSource for VaultCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let read = self.within("the request for the secret", self.credentials()).await;
            read.map(|(credentials, _)| credentials)
        })
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(self.within("the request for the secret", replacement::take(self)))
    }
}

impl fmt::Debug for VaultCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VaultCredentials");
        let shown = shown.field("address", &self.address.to_string()).field("path", &self.path.written);
        shown.field("login", &self.login).finish_non_exhaustive()
    }
}
