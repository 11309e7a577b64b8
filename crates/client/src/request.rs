//! One call: what is asked, and what was answered.

use std::pin::pin;

use bytes::Bytes;
use futures_core::Stream;
use fuuffy_protocol::Refused;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode, Uri};
use percent_encoding::utf8_percent_encode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::ReadFault;
use crate::decide::Head;
use crate::envelope::{Data, Page};
use crate::{Body, Client, ESCAPED, Error, TransportError, pages};

/// The largest answer that is read into memory, in bytes. Larger ones stream.
const LARGEST: usize = 64 * 1024 * 1024;

/// A call that is being put together. What is wrong with it is told when it is sent.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
    fault: Option<Error>,
}

/// An answer whose head has come.
#[derive(Debug)]
pub struct Response {
    client: Client,
    method: Method,
    uri: Uri,
    response: http::Response<Body>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, path: &str) -> Self {
        Self { client, method, path: path.to_owned(), headers: HeaderMap::new(), body: Body::empty(), fault: None }
    }

    /// Adds `name=value` to the query, escaped.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let joint = if self.path.contains('?') { '&' } else { '?' };
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        self.path.push_str(&format!("{joint}{}={}", escape(name), escape(&value.to_string())));
        self
    }

    /// Adds a header field. `Authorization` is the client's own and is replaced.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => self.fault = Some(Error::configuration(format!("{name:?} makes no header field"))),
        }
        self
    }

    /// Makes a request that is not idempotent safe to repeat, where the API knows `Idempotency-Key`
    /// (draft-ietf-httpapi-idempotency-key-header).
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// A body of JSON.
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => {
                self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.body = Body::from(bytes);
            }
            Err(error) => self.fault = Some(Error::configuration(format!("the body makes no JSON: {error}"))),
        }
        self
    }

    /// A body. One that streams cannot be sent again, so it is not repeated on a 401.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request; a refusal is an error.
    ///
    /// # Errors
    /// [`Error`]: what to do is in its words, whether to try again in [`Error::is_retryable`].
    pub async fn send(self) -> Result<Response, Error> {
        let response = self.send_any().await?;
        if response.status().is_success() || response.status().is_informational() {
            return Ok(response);
        }
        Err(Box::pin(response.into_error()).await)
    }

    /// Sends the request; a refusal is an answer like any other.
    ///
    /// # Errors
    /// There is no token or no answer, or the server asked for too much patience.
    pub async fn send_any(self) -> Result<Response, Error> {
        let (client, parts, body) = self.ready()?;
        let response = client.ask(&parts, body).await?;
        Ok(Response { client, method: parts.method, uri: parts.uri, response })
    }

    fn ready(self) -> Result<(Client, Parts, Body), Error> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let uri = self.client.base_url().join(&self.path)?;
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.uri, parts.headers) = (self.method, uri, self.headers);
        Ok((self.client, parts, self.body))
    }

    /// Sends the request and reads the `data` of its answer.
    ///
    /// # Errors
    /// As [`Self::send`], or the answer is of another shape.
    pub async fn data<T: DeserializeOwned>(self) -> Result<T, Error> {
        self.send().await?.data().await
    }

    /// Sends the request and reads one page of a list.
    ///
    /// # Errors
    /// As [`Self::send`], or the answer is of another shape.
    pub async fn page<T: DeserializeOwned>(self) -> Result<Page<T>, Error> {
        self.send().await?.page().await
    }

    /// All pages of a list from this request's on, each fetched when it is asked for.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = fuuffy_client::test_util::ScriptedServer::start().await;
    /// # server.grant_tokens(3600);
    /// # server.answer("/v1/orders", r#"{"data":["a"],"pagination":{"total":1,"page":1,"per_page":20,"total_pages":1}}"#);
    /// # let client = fuuffy_client::Client::builder().base_url(server.base_url()).credentials("id", "secret").build()?;
    /// use futures_util::TryStreamExt as _;
    ///
    /// let mut pages = std::pin::pin!(client.get("/orders").query("per_page", 100).pages::<String>());
    /// while let Some(page) = pages.try_next().await? {
    ///     println!("{} orders", page.items.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn pages<T: DeserializeOwned>(self) -> impl Stream<Item = Result<Page<T>, Error>> {
        pages::pages(self)
    }

    /// All items of all pages.
    pub fn items<T: DeserializeOwned>(self) -> impl Stream<Item = Result<T, Error>> {
        pages::items(self)
    }

    /// The same request for another page.
    pub(crate) fn for_page(&self, page: Option<u64>) -> Result<Self, Error> {
        let body = self.body.again().ok_or_else(|| Error::configuration("a list cannot be asked for by a stream"))?;
        let (client, method, headers) = (self.client.clone(), self.method.clone(), self.headers.clone());
        let mut same = Self { client, method, path: self.path.clone(), headers, body, fault: self.fault.clone() };
        if let Some(page) = page {
            same.path = without_page(&same.path);
            same = same.query("page", page);
        }
        Ok(same)
    }
}

/// A path and query without its `page`.
fn without_page(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let others: Vec<&str> = query.split('&').filter(|pair| pair.split('=').next() != Some("page")).collect();
    if others.is_empty() { path.to_owned() } else { format!("{path}?{}", others.join("&")) }
}

/// A call, as errors name it.
fn what(method: &Method, uri: &Uri) -> String {
    format!("{method} {}", uri.path())
}

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// What to tell the operator about this call.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        self.head().request_id()
    }

    /// The answer as it came, to be read piece by piece.
    #[must_use]
    pub fn into_http(self) -> http::Response<Body> {
        self.response
    }

    /// The whole body, of at most 64 MiB.
    ///
    /// # Errors
    /// It is larger, broke off, or took too long.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        let Self { client, method, uri, response } = self;
        let (parts, body) = response.into_parts();
        let what = || what(&method, &uri);
        let read = pin!(async {
            body.read(LARGEST).await.map_err(|fault| match fault {
                ReadFault::TooLong => {
                    let id = Head { status: parts.status, headers: &parts.headers }.request_id();
                    let why = format!("{} was answered with more than 64 MiB; read it as a stream", what());
                    Error::answer(why, parts.status, id)
                }
                ReadFault::Broken(error) => {
                    let place = client.base_url().authority().as_str();
                    Error::transport(&what(), place, TransportError::exchange(error))
                }
            })
        });
        client.within(what, read).await
    }

    /// The body's `data`.
    ///
    /// # Errors
    /// It is not the guide's envelope, or `T` is not what is in it.
    pub async fn data<T: DeserializeOwned>(self) -> Result<T, Error> {
        Ok(self.json::<Data<T>>().await?.data)
    }

    /// One page of a list.
    ///
    /// # Errors
    /// It is not the guide's envelope, or `T` is not what is in it.
    pub async fn page<T: DeserializeOwned>(self) -> Result<Page<T>, Error> {
        self.json().await
    }

    /// The whole body as JSON.
    ///
    /// # Errors
    /// It is not JSON, or `T` is not what is in it.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let (what, status, id) = (what(&self.method, &self.uri), self.status(), self.request_id());
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::answer(format!("{what} was answered in another shape: {error}"), status, id))
    }

    /// A refusal becomes an error.
    async fn into_error(self) -> Error {
        let (what, status, id) = (what(&self.method, &self.uri), self.status(), self.request_id());
        let retry_after = self.head().retry_after(self.client.wall());
        let refused = self.bytes().await.ok().and_then(|bytes| Refused::parse(&bytes));
        Error::refused(&what, status, refused, id, retry_after)
    }

    fn head(&self) -> Head<'_> {
        Head { status: self.response.status(), headers: self.response.headers() }
    }
}
