//! The integrator's side of the guide, with its best practices kept: tokens are cached, shared, refreshed
//! early and replaced on a 401; secrets are read from where they are safe and never printed; HTTPS only;
//! `Retry-After` and rate limits are obeyed.
//!
//! [`Client`] is what a program holds. Beneath it, [`HttpClient`] sends requests (reqwest, unless another
//! is given), [`TokenSource`] keeps the token, and [`CredentialSource`] is where the secret comes from.
//! What is decided is pure (`decide`): it takes the time and returns what to do, and the rest acts.
//!
//! There is no global state and no runtime of its own: calls are made within the program's tokio runtime.
//!
//! ```no_run
//! # async fn run() -> Result<(), fuuffy_client::Error> {
//! let client = fuuffy_client::Client::from_env()?;
//! let orders: Vec<serde_json::Value> = client.get("/orders").data().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # When something goes wrong
//!
//! What the server asks to be repeated was repeated already, as far as patience and the retry budget went. An
//! [`Error`] tells the rest: in words what to do next, and to a program whether and when to try again.
//!
//! ```no_run
//! # async fn run(client: fuuffy_client::Client) -> Result<(), fuuffy_client::Error> {
//! match client.post("/orders").idempotency_key("order-7").json(&[7]).send().await {
//!     Ok(answer) => println!("{}", answer.status()),
//!     Err(error) if error.is_retryable() => println!("{error}; again after {:?}", error.retry_after()),
//!     Err(error) => println!("{error}: {:?}, request {:?}", error.code(), error.request_id()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # A secret that replaces itself
//!
//! A client that may (`fuuffy clients create --allow-rotation`) asks for another secret with the one that it has, keeps
//! it where that one was, proves it by a token and confirms it; the old one goes when nobody uses it any more.
//! [`Client::rotate`] does that once, [`ClientBuilder::rotate_every`] from time to time. It can break off anywhere: the
//! secret that is kept works, and the next run goes on. Where no program can write, [`ErrorKind::Unwritable`] says what
//! a person does.
//!
//! # What the client does on its own
//!
//! An [`Observer`] hears of each token, retry and wait, to count them; a call is a `tracing` span,
//! `fuuffy.request`, and a token request is `fuuffy.token`.
//!
//! ```
//! use fuuffy_client::{Client, Event};
//!
//! let client = Client::builder().credentials("my-id", "my-secret").paced(true).observer(|event: &Event| match event {
//!     Event::Retried { because } => println!("once more: {because:?}"),
//!     Event::Held { wait } => println!("held up for {wait:?}"),
//!     _ => {}
//! });
//! # client.build()?;
//! # Ok::<(), fuuffy_client::Error>(())
//! ```
//!
//! # Features
//!
//! - `reqwest`, by default: the HTTP client that is used unless [`ClientBuilder::http_client`] is given one.
//! - `client-certificate`: a certificate of the client's own, which TLS proves it by, so that there is no secret; or which its
//!   tokens are bound to (mutual TLS, RFC 8705).
//! - `keyring`: a secret in the desktop's keyring.
//! - `private-key`: a private key of the client's own, so that there is no secret; or one that its tokens are bound to, so
//!   that none is of use without (DPoP, RFC 9449).
//! - `vault`: a secret that HashiCorp Vault or OpenBao keeps.
//! - `test-util`: a server on a real socket that answers as a test says, and a clock that a test moves.

mod base_url;
mod body;
mod builder;
mod client;
#[cfg(feature = "client-certificate")]
mod client_certificate;
mod clock;
mod credentials;
mod decide;
mod envelope;
mod environment;
mod error;
mod exchange;
mod http_client;
mod layer;
mod observe;
mod own_endpoint;
mod pages;
#[cfg_attr(not(feature = "client-certificate"), path = "no_presenter.rs")]
mod presenter;
#[cfg(feature = "private-key")]
mod private_key;
#[cfg_attr(not(feature = "private-key"), path = "no_prover.rs")]
mod prover;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest_client;
mod rotation;
mod session;
#[cfg(feature = "test-util")]
pub mod test_util;
mod tls_fault;
mod token_endpoint;
mod token_source;

pub use base_url::BaseUrl;
pub use body::{Body, BodyError};
pub use builder::ClientBuilder;
pub use client::Client;
#[cfg(feature = "client-certificate")]
pub use client_certificate::ClientCertificate;
pub use clock::{BoxFuture, Clock, SystemClock};
#[cfg(feature = "private-key")]
pub use credentials::KeyFileCredentials;
#[cfg(feature = "keyring")]
pub use credentials::KeyringCredentials;
#[cfg(feature = "client-certificate")]
pub use credentials::{CertificateCredentials, CertificateFiles};
pub use credentials::{
    ClientProof, CredentialSource, Credentials, ExecCredentials, FileCredentials, GithubActionsCredentials,
    IdentityFileCredentials, PlatformToken, Replacement, Variables,
};
#[cfg(feature = "vault")]
pub use credentials::{VaultCredentials, VaultLogin};
pub use decide::Grant;
pub use envelope::{Data, Page, Pagination};
pub use environment::{Environment, UnknownEnvironment};
pub use error::{Error, ErrorKind};
pub use fuuffy_protocol::{AccessToken, ClientSecret, Refused};
pub use http_client::{HttpClient, TransportError};
pub use layer::{TokenLayer, TokenService};
pub use observe::{Event, Observer, Reason};
pub use own_endpoint::Confirmed;
#[cfg(feature = "private-key")]
pub use private_key::PrivateKey;
pub use request::{RequestBuilder, Response};
#[cfg(feature = "reqwest")]
pub use reqwest_client::ReqwestClient;
pub use rotation::Rotation;
pub use tls_fault::TlsFault;
pub use token_source::{Token, TokenCache, TokenSource};

/// What is escaped in forms and queries: all but what never needs it (RFC 3986 §2.3).
const ESCAPED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
