//! Why a request of the integrator's own client was refused. Asked by a token, and where none is granted, as to a
//! client that is suspended, by the client's own secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuuffy_client::{Body, Error, HttpClient as _, ReqwestClient};
use fuuffy_domain::EnvironmentName;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Common, Environment, Settings};

/// No explanation is longer, in bytes.
const LONGEST: usize = 64 * 1024;

/// The explanation, if one is kept.
///
/// # Errors
/// There is no token and the secret does not do either, or there is no answer.
pub(crate) async fn explanation(environment: Option<EnvironmentName>, request: &str) -> Result<Option<Value>, Error> {
    let environment = environment.map(|environment| match environment {
        EnvironmentName::Testing => Environment::Testing,
        EnvironmentName::Production => Environment::Production,
    });
    let common = Common::uncached(environment);
    let settings = common.settings()?;
    let client = settings.builder(None)?.build()?;
    let path = format!("/auth/explanations/{request}");
    match client.get(&path).data().await {
        Ok(explanation) => Ok(Some(explanation)),
        Err(error) if has_no_token(&error) => match by_secret(&settings, &path).await {
            Some(answered) => Ok(answered),
            // Why there is no token says more than that the secret did not do either.
            None => Err(error),
        },
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether no token was granted, though the secret may be right.
fn has_no_token(error: &Error) -> bool {
    error.is_about_token() && error.status().is_some() && error.code() != Some("invalid_client")
}

/// The same by Basic (RFC 6749 §2.3.1). `None`: the secret does not do, or there was no answer.
async fn by_secret(settings: &Settings<'_>, path: &str) -> Option<Option<Value>> {
    let base_url = settings.variables().base_url(settings.environment).ok()?;
    let credentials = settings.variables().credentials().ok()?.read().await.ok()?;
    let pair = Zeroizing::new(format!("{}:{}", credentials.client_id, credentials.client_secret.reveal()));
    let field = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut field = HeaderValue::from_str(&field).ok()?;
    field.set_sensitive(true);
    let request = Request::get(base_url.join(path).ok()?).header(header::AUTHORIZATION, field).body(Body::empty());
    let response = ReqwestClient::new(&base_url).ok()?.send(request.ok()?).await.ok()?;
    match response.status() {
        StatusCode::OK => {
            let body = Limited::new(response.into_body(), LONGEST).collect().await.ok()?.to_bytes();
            Some(Some(serde_json::from_slice::<Value>(&body).ok()?.get_mut("data")?.take()))
        }
        StatusCode::NOT_FOUND => Some(None),
        _ => None,
    }
}
