//! One call of the walk, as the reader would type it: sent as it is, answered as it comes. What the client
//! does by itself (caching, refreshing, retrying) would hide what the walk shows.

use anyhow::Context as _;
use bytes::Bytes;
use fuuffy_client::{BaseUrl, Body, HttpClient as _, ReqwestClient};
use fuuffy_protocol::{AccessToken, ClientSecret, TokenGrant};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The largest answer that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// One environment of the demo, as callers reach it.
pub(super) struct Api {
    http: ReqwestClient,
    base_url: BaseUrl,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Api {
    pub(super) fn new(base_url: &str) -> anyhow::Result<Self> {
        let base_url = BaseUrl::parse(base_url)?;
        Ok(Self { http: ReqwestClient::new(&base_url)?, base_url })
    }

    /// Asks for a token by client credentials (RFC 6749 §4.4), in the form's own fields.
    pub(super) async fn token(&self, client_id: &str, client_secret: &ClientSecret) -> anyhow::Result<Answer> {
        let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let (id, secret) = (escape(client_id), escape(client_secret.reveal()));
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request = Request::post(self.base_url.join("/auth/token")?)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form))?;
        self.exchange(request).await
    }

    /// Gets a path below the base URL.
    pub(super) async fn get(&self, path: &str, token: &AccessToken) -> anyhow::Result<Answer> {
        self.request(Method::GET, path, token, Body::empty()).await
    }

    /// Posts JSON to a path below the base URL.
    pub(super) async fn post_json(&self, path: &str, token: &AccessToken, json: &str) -> anyhow::Result<Answer> {
        self.request(Method::POST, path, token, Body::from(json.to_owned())).await
    }

    async fn request(&self, method: Method, path: &str, token: &AccessToken, body: Body) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(self.base_url.join(path)?)
            .header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)?;
        self.exchange(request).await
    }

    async fn exchange(&self, request: Request<Body>) -> anyhow::Result<Answer> {
        let (parts, body) = self.http.send(request).await?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(anyhow::Error::from_boxed)?;
        Ok(Answer { status: parts.status, body: body.to_bytes() })
    }
}

impl Answer {
    /// The token in a granted answer.
    pub(super) fn access_token(&self) -> anyhow::Result<AccessToken> {
        Ok(TokenGrant::parse(&self.body).context("the answer grants no token")?.access_token)
    }
}
