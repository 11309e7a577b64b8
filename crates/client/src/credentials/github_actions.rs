//! A token of GitHub Actions, which a workflow with `permissions: id-token: write` may ask for. There is no secret then,
//! neither in the repository nor at the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use percent_encoding::utf8_percent_encode;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{ClientProof, CredentialSource, Credentials, PlatformToken};
use crate::clock::{Clock, SystemClock};
use crate::exchange::{ReadFault, read};
use crate::http_client::HttpClient;
use crate::{BaseUrl, Body, BoxFuture, ESCAPED, Error};

const WHAT: &str = "the request to GitHub Actions for a token";
/// The longest that it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The token that GitHub Actions gives a running job, asked for anew for every token request.
#[derive(Clone)]
pub struct GithubActionsCredentials {
    client_id: String,
    url: Uri,
    /// Proves to GitHub which job asks.
    bearer: HeaderValue,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
struct Given {
    value: Zeroizing<String>,
}

impl GithubActionsCredentials {
    /// Asks at `request_url` with `request_token` (`ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN` of
    /// the job) for a token whose audience is the token service that `audience` names.
    ///
    /// # Errors
    /// A URL that nothing secret may be sent to, or a token that cannot be sent.
    pub fn new(
        client_id: impl Into<String>,
        (request_url, request_token): (&str, &str),
        audience: &str,
    ) -> Result<Self, Error> {
        let wrong = |why: &str| Error::configuration(format!("ACTIONS_ID_TOKEN_REQUEST_URL {why}"));
        let uri: Uri = request_url.parse().map_err(|_| wrong("is no URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("is no URL"));
        };
        let origin = BaseUrl::parse(&format!("{scheme}://{authority}"));
        let origin = origin.map_err(|error| wrong(&format!("is not to be used: {error}")))?;
        let joint = if uri.query().is_some() { '&' } else { '?' };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let url = origin.at(format!("{target}{joint}audience={}", utf8_percent_encode(audience, ESCAPED)))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {request_token}"))
            .map_err(|_| Error::configuration("ACTIONS_ID_TOKEN_REQUEST_TOKEN has characters that no token has"))?;
        bearer.set_sensitive(true);
        let http = crate::builder::default_http_client(&origin)?;
        Ok(Self { client_id: client_id.into(), url, bearer, http, clock: Arc::new(SystemClock::default()) })
    }

    /// What sends HTTP requests; reqwest unless said.
    #[must_use]
    pub fn http_client(self, http: impl HttpClient) -> Self {
        Self { http: Arc::new(http), ..self }
    }

    async fn ask(&self) -> Result<PlatformToken, Error> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(self.url.clone())
            .header(header::AUTHORIZATION, self.bearer.clone())
            .header(header::ACCEPT, "application/json")
            .body(Body::empty())
            .map_err(|_| Error::configuration("ACTIONS_ID_TOKEN_REQUEST_URL makes no request"))?;
        let place = self.url.authority().map(ToString::to_string).unwrap_or_default();
        let response = self.http.send(request).await.map_err(|error| Error::transport(WHAT, &place, error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Error::credentials(format!(
                "GitHub Actions gave no token ({status}); has the job permissions: id-token: write?"
            )));
        }
        let body = read(response.into_body()).await.map_err(|fault| match fault {
            ReadFault::TooLong => Error::credentials("GitHub Actions answered with more than 64 KiB"),
            ReadFault::Broken(error) => Error::transport(WHAT, &place, error),
        })?;
        // What the parser says could quote the token.
        let given: Given = serde_json::from_slice(&body)
            .map_err(|_| Error::credentials("GitHub Actions answered with something else than a token"))?;
        PlatformToken::parse(&given.value)
    }
}

impl CredentialSource for GithubActionsCredentials {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async move {
            let token = tokio::select! {
                token = self.ask() => token?,
                () = self.clock.sleep(PATIENCE) => return Err(Error::timeout(WHAT, "GitHub Actions", PATIENCE)),
            };
            Ok(Credentials { client_id: self.client_id.clone(), proof: ClientProof::Identity(token) })
        })
    }
}

impl fmt::Debug for GithubActionsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubActionsCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}
