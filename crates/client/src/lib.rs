//! The integrator's side of the guide: ask for a token, send requests that bear it. Knows nothing of
//! how a server is built; depends on the protocol alone.
//!
//! Speaks HTTP/1.1 to loopback. Any other address would need TLS, and is refused.

use bytes::Bytes;
use fuuffy_protocol::{AccessToken, ClientSecret};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;
use tokio::net::TcpStream;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A client of one environment.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
    path: String,
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// What went wrong before there was an answer. Never has a secret or a token in it.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Error(#[from] Fault);

#[derive(Debug, Error)]
enum Fault {
    #[error("the base URL must be http:// on loopback, as in http://127.0.0.1:8080/v1")]
    BaseUrl,
    #[error("no connection to {authority}")]
    Connect { authority: String, source: std::io::Error },
    #[error("the request could not be made")]
    Request(#[from] http::Error),
    #[error("the connection broke off")]
    Exchange(#[from] hyper::Error),
    #[error("the answer could not be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer has no access token")]
    NoToken,
}

impl Client {
    /// For the environment at a base URL, as in `http://127.0.0.1:8080/v1`.
    ///
    /// # Errors
    /// A base URL that is not `http://` on loopback.
    pub fn new(base_url: &str) -> Result<Self, Error> {
        let uri: Uri = base_url.parse().map_err(|_| Fault::BaseUrl)?;
        let authority = uri.authority().ok_or(Fault::BaseUrl)?;
        let host = authority.host().trim_matches(['[', ']']);
        let is_loopback =
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if uri.scheme_str() != Some("http") || !is_loopback {
            return Err(Fault::BaseUrl.into());
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self {
            authority: format!("{}:{port}", authority.host()),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Asks for a token by client credentials (RFC 6749 §4.4), in the form's own fields.
    ///
    /// # Errors
    /// [`struct@Error`] where there was no answer; a refusal is an answer.
    pub async fn token(&self, client_id: &str, client_secret: &ClientSecret) -> Result<Answer, Error> {
        let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let (id, secret) = (escape(client_id), escape(client_secret.reveal()));
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request = Request::post(format!("{}/auth/token", self.path))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form));
        self.exchange(request.map_err(Fault::from)?).await
    }

    /// Gets a path below the base URL, bearing a token.
    ///
    /// # Errors
    /// [`struct@Error`] where there was no answer; a refusal is an answer.
    pub async fn get(&self, path: &str, token: &AccessToken) -> Result<Answer, Error> {
        self.request(Method::GET, path, token, Bytes::new()).await
    }

    /// Posts JSON to a path below the base URL, bearing a token.
    ///
    /// # Errors
    /// [`struct@Error`] where there was no answer; a refusal is an answer.
    pub async fn post_json(&self, path: &str, token: &AccessToken, json: String) -> Result<Answer, Error> {
        self.request(Method::POST, path, token, Bytes::from(json)).await
    }

    async fn request(&self, method: Method, path: &str, token: &AccessToken, body: Bytes) -> Result<Answer, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.path))
            .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.exchange(request.body(Full::from(body)).map_err(Fault::from)?).await
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        let authority = || self.authority.clone();
        let connect = TcpStream::connect(&self.authority);
        let stream = connect.await.map_err(|source| Fault::Connect { authority: authority(), source })?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Fault::from)?;
        let host = self.authority.parse().map_err(|_| Fault::BaseUrl)?;
        request.headers_mut().insert(header::HOST, host);
        let exchange = async {
            let response = sender.send_request(request).await?;
            drop(sender);
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(Fault::Body)?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        // The connection is driven until the answer is whole; nothing goes on in the background.
        let (answer, _) = tokio::join!(exchange, connection);
        answer.map_err(|fault: Fault| fault.into())
    }
}

impl Answer {
    /// The token in a granted answer.
    ///
    /// # Errors
    /// An answer that grants none.
    pub fn access_token(&self) -> Result<AccessToken, Error> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let token = body["data"]["access_token"].as_str().and_then(AccessToken::parse);
        Ok(token.ok_or(Fault::NoToken)?)
    }
}
