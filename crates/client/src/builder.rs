//! How a client is set up: from code, or from the integrator's environment variables.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_protocol::Identifiers;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::clock::{Clock, SystemClock};
use crate::credentials::{CredentialSource, FixedCredentials, Variables};
use crate::decide::Pace;
use crate::exchange::Exchange;
use crate::http_client::HttpClient;
use crate::observe::{Event, Observer};
use crate::own_endpoint::OwnEndpoint;
use crate::presenter::Presenter;
use crate::rotation::{Rotator, Routine};
use crate::session::Session;
use crate::token_endpoint::TokenEndpoint;
use crate::token_source::{TokenCache, TokenSource};
use crate::{BaseUrl, Client, Environment, Error};

/// The longest that one token request may take.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that one call waits for the head of its answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The longest that one call is held up by gates, back-off and pace together.
const PATIENCE: Duration = Duration::from_secs(60);

/// The shortest life that secrets can be given by replacing them.
const SOONEST_ROTATION: Duration = Duration::from_secs(3600);

/// Sets up a [`Client`].
pub struct ClientBuilder {
    environment: Environment,
    base_url: Option<String>,
    token_path: Option<String>,
    credentials: Option<Arc<dyn CredentialSource>>,
    scope: Option<String>,
    issuer: Option<String>,
    #[cfg(feature = "private-key")]
    dpop_key: Option<crate::PrivateKey>,
    #[cfg(feature = "client-certificate")]
    certificate: Option<crate::presenter::Source>,
    #[cfg(feature = "client-certificate")]
    connect: Option<Box<crate::presenter::Connect>>,
    http: Option<Arc<dyn HttpClient>>,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Arc<dyn Observer>>,
    cache: Option<Arc<dyn TokenCache>>,
    token_timeout: Duration,
    timeout: Duration,
    patience: Duration,
    retries: bool,
    paced: bool,
    rotate_every: Option<Duration>,
    seed: Option<u64>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            environment: Environment::Testing,
            base_url: None,
            token_path: None,
            credentials: None,
            scope: None,
            issuer: None,
            #[cfg(feature = "private-key")]
            dpop_key: None,
            #[cfg(feature = "client-certificate")]
            certificate: None,
            #[cfg(feature = "client-certificate")]
            connect: None,
            http: None,
            clock: None,
            observer: None,
            cache: None,
            token_timeout: TOKEN_TIMEOUT,
            timeout: TIMEOUT,
            patience: PATIENCE,
            retries: true,
            paced: false,
            rotate_every: None,
            seed: None,
        }
    }

    pub(crate) fn from_variables(variables: &Variables<'_>) -> Result<Self, Error> {
        let environment = variables.environment()?;
        let base_url = variables.base_url(environment)?;
        let credentials = variables.credentials()?;
        let builder =
            variables.show(variables.bind(Self::new())?)?.environment(environment).base_url(base_url.to_string());
        Ok(Self { credentials: Some(credentials), issuer: variables.issuer(), ..builder })
    }

    /// Which environment; [`Environment::Testing`] unless said.
    #[must_use]
    pub fn environment(self, environment: Environment) -> Self {
        Self { environment, ..self }
    }

    /// Where the API is, as in `https://testing-api-gateway.fuuffy.com/v1`; the environment's own unless
    /// said. `http://` is refused unless it is loopback.
    #[must_use]
    pub fn base_url(self, base_url: impl Into<String>) -> Self {
        Self { base_url: Some(base_url.into()), ..self }
    }

    /// Where tokens are asked for, below the base URL; `/auth/token` unless said.
    #[must_use]
    pub fn token_path(self, path: impl Into<String>) -> Self {
        Self { token_path: Some(path.into()), ..self }
    }

    /// An id and a secret that the program has anyway. Better: [`Self::credential_source`].
    #[must_use]
    pub fn credentials(self, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        let client_secret = Zeroizing::new(client_secret.into());
        let place = "the program that uses the secret has it from somewhere that is not known here";
        self.credential_source(FixedCredentials { client_id: client_id.into(), client_secret, place })
    }

    /// Where the id and the secret come from.
    #[must_use]
    pub fn credential_source(self, source: impl CredentialSource) -> Self {
        Self { credentials: Some(Arc::new(source)), ..self }
    }

    /// The scope to ask for, as in `orders:read orders:write`; all that the client may have unless said.
    #[must_use]
    pub fn scope(self, scope: impl Into<String>) -> Self {
        Self { scope: Some(scope.into()), ..self }
    }

    /// What the token service is called, as its metadata says (RFC 8414 §2): whom the assertions of a client with a private
    /// key are for. The base URL's origin unless said, as it is where the base URL is the server's own.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// Binds the client's tokens to this key, so that none is of use without (RFC 9449): each request bears a proof by it.
    /// Whoever shares a token cache shares the key. The server is known by [`Self::issuer`] in the proofs.
    #[cfg(feature = "private-key")]
    #[must_use]
    pub fn dpop_key(self, key: crate::PrivateKey) -> Self {
        Self { dpop_key: Some(key), ..self }
    }

    /// Shows this certificate on every connection (RFC 8705): it proves the client where
    /// [`CertificateCredentials`](crate::CertificateCredentials) are its credentials, and tokens may be bound to it. A service
    /// beneath a [`TokenLayer`](crate::TokenLayer) must show it by itself. The base URL must be `https://`.
    #[cfg(feature = "client-certificate")]
    #[must_use]
    pub fn certificate(self, certificate: crate::ClientCertificate) -> Self {
        Self { certificate: Some(crate::presenter::Source::Given(certificate)), ..self }
    }

    /// The same for a certificate in files, which are read again for every token request: once there is another one, tokens are
    /// asked for with that, over connections of its own.
    #[cfg(feature = "client-certificate")]
    #[must_use]
    pub fn certificate_files(self, files: crate::CertificateFiles) -> Self {
        Self { certificate: Some(crate::presenter::Source::Files(files)), ..self }
    }

    /// What makes an HTTP client that shows a certificate, each time that there is another one; reqwest unless said.
    #[cfg(feature = "client-certificate")]
    #[must_use]
    pub fn http_client_showing(
        self,
        connect: impl Fn(&crate::ClientCertificate) -> Result<Arc<dyn HttpClient>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Some(Box::new(connect)), ..self }
    }

    /// What sends HTTP requests; reqwest unless said.
    #[must_use]
    pub fn http_client(self, http: impl HttpClient) -> Self {
        Self { http: Some(Arc::new(http)), ..self }
    }

    /// The clock; the machine's unless said.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Some(Arc::new(clock)), ..self }
    }

    /// What hears of events, to count them.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// A cache of tokens that other processes share.
    #[must_use]
    pub fn token_cache(self, cache: impl TokenCache) -> Self {
        Self { cache: Some(Arc::new(cache)), ..self }
    }

    /// The longest that one token request may take; 10 seconds unless said.
    #[must_use]
    pub fn token_timeout(self, token_timeout: Duration) -> Self {
        Self { token_timeout, ..self }
    }

    /// The longest that one attempt of a call may take until the head of its answer, and again until a
    /// whole answer that is read into memory; 60 seconds each unless said. `Duration::MAX` leaves keeping time
    /// to the HTTP client beneath.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The longest that one call is held up by `Retry-After`, back-off and pace together; 60 seconds unless
    /// said. A server that asks for more gets no further request from this call.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Whether a call is repeated on 429, 503 and where there was no connection; it is unless said. The one
    /// retry with a new token on 401 stays.
    #[must_use]
    pub fn retries(self, retries: bool) -> Self {
        Self { retries, ..self }
    }

    /// Whether calls slow down as the server's `RateLimit` fields show a limit coming near.
    #[must_use]
    pub fn paced(self, paced: bool) -> Self {
        Self { paced, ..self }
    }

    /// Replaces the client's secret by itself before it gets older than this, an hour at least; it does not unless
    /// said. It begins with the first token request, goes on with what an earlier run left, and ends with the client.
    #[must_use]
    pub fn rotate_every(self, rotate_every: Duration) -> Self {
        Self { rotate_every: Some(rotate_every), ..self }
    }

    /// Where jitter comes from, for a test that must know.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// Where the API is, as far as it is set up, for whoever must know before there is a client.
    ///
    /// # Errors
    /// The base URL is none that secrets may be sent to.
    pub fn target(&self) -> Result<BaseUrl, Error> {
        BaseUrl::parse(self.base_url.as_deref().unwrap_or_else(|| self.environment.default_base_url()))
    }

    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// What was set up wrongly, or not at all.
    pub fn build(mut self) -> Result<Client, Error> {
        let base_url = self.target()?;
        let clock = self.clock.take().unwrap_or_else(|| Arc::new(SystemClock::default()));
        let presenter = self.presenter(&base_url, &clock)?;
        let credentials = self.credentials.ok_or_else(|| {
            Error::configuration("the client has no credentials; give it some, or use Client::from_env()")
        })?;
        let http: Arc<dyn HttpClient> = match (&presenter, self.http) {
            (Some(presenter), None) => Arc::<Presenter>::clone(presenter),
            (Some(_), Some(_)) => {
                return Err(Error::configuration(
                    "the HTTP client that was given cannot be told which certificate to show; give one that can by \
                     http_client_showing",
                ));
            }
            (None, Some(http)) => http,
            (None, None) => default_http_client(&base_url)?,
        };
        let observer = self.observer.unwrap_or_else(|| Arc::new(|_: &Event| {}));
        let issuer = self.issuer.unwrap_or_else(|| Identifiers::of(&base_url.to_string()).issuer().to_owned());
        let mut exchange =
            Exchange::new(Arc::clone(&http), self.token_timeout, Arc::clone(&clock), Arc::clone(&observer));
        #[cfg(feature = "private-key")]
        if let Some(key) = self.dpop_key {
            exchange.prover = Some(Arc::new(crate::prover::Prover::new(key, issuer.clone())));
        }
        #[cfg(not(feature = "private-key"))]
        {
            exchange.prover = None;
        }
        exchange.presenter = presenter;
        let exchange = Arc::new(exchange);
        let own = Arc::new(OwnEndpoint::at(&base_url, Arc::clone(&exchange), Arc::clone(&credentials))?);
        let endpoint = Arc::new(TokenEndpoint {
            exchange,
            url: base_url.join(self.token_path.as_deref().unwrap_or("/auth/token"))?,
            credentials,
            scope: self.scope.filter(|scope| !scope.is_empty()),
            issuer,
        });
        let rotator = Arc::new(Rotator::new(Arc::clone(&endpoint), Arc::clone(&own)));
        let routine = match self.rotate_every {
            Some(every) if every < SOONEST_ROTATION => {
                return Err(Error::configuration(
                    "a secret is replaced every hour at most; let rotate_every be longer",
                ));
            }
            every => every.map(|every| Arc::new(Routine::new(Arc::clone(&rotator), every, chance(self.seed)))),
        };
        let tokens = TokenSource::new(endpoint, (self.cache, routine), self.patience, self.seed);
        let base_path = base_url.path().to_owned();
        let mut session = Session::new(tokens, (clock, observer), self.patience, base_path, self.seed);
        session.retries = self.retries;
        session.pace = self.paced.then(|| Mutex::new(Pace::default()));
        Ok(Client::assemble((base_url, self.environment), session, (own, rotator), http, self.timeout))
    }
}

impl ClientBuilder {
    /// What shows the client's certificate, if it has one.
    #[cfg(feature = "client-certificate")]
    fn presenter(&mut self, base_url: &BaseUrl, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Presenter>>, Error> {
        let Some(source) = self.certificate.take() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(Presenter::new(source, base_url, self.connect.take(), Arc::clone(clock))?)))
    }

    #[cfg(not(feature = "client-certificate"))]
    fn presenter(&mut self, _: &BaseUrl, _: &Arc<dyn Clock>) -> Result<Option<Arc<Presenter>>, Error> {
        Ok(None)
    }
}

/// Where chance comes from.
pub(crate) fn chance(seed: Option<u64>) -> fastrand::Rng {
    seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed)
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientBuilder");
        shown.field("environment", &self.environment).field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

#[cfg(feature = "reqwest")]
pub(crate) fn default_http_client(base_url: &BaseUrl) -> Result<Arc<dyn HttpClient>, Error> {
    Ok(Arc::new(crate::ReqwestClient::new(base_url)?))
}

#[cfg(not(feature = "reqwest"))]
pub(crate) fn default_http_client(_: &BaseUrl) -> Result<Arc<dyn HttpClient>, Error> {
    Err(Error::configuration("the client was built without reqwest; give it an http_client"))
}
