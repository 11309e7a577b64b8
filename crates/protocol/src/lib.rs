//! OAuth 2.0 on the wire, as both ends of it speak it: the token request and its answer, every
//! refusal with its status and words, bearer tokens, scopes, and secrets that cannot print.
//!
//! Pure: no clock, no I/O, no randomness of its own, and nothing about storage or proxies.

mod about_token;
mod bearer;
mod client_authentication;
pub mod client_cert;
mod credentials;
pub mod dpop;
mod form;
mod identifiers;
mod introspection;
mod metadata;
mod proof_fault;
mod refusal;
mod refused;
mod request_fault;
pub mod rsa;
mod scope;
mod secret;
mod token_flaw;
mod token_grant;
mod token_request;
mod token_response;

pub use about_token::AboutToken;
pub use bearer::{Bearer, BearerFault};
pub use client_authentication::{ClaimedAssertion, ClientAuthentication, UnverifiedAssertion};
pub use credentials::{AuthMethod, Credentials, CredentialsFault};
pub use dpop::{Confirmation, ProofField, TokenType};
pub use form::{Form, FormFault};
pub use identifiers::Identifiers;
pub use introspection::{ActiveToken, Introspection};
pub use metadata::{Metadata, MutualTls};
pub use proof_fault::ProofFault;
pub use refusal::{BodyShape, BoundTokenFault, ProofPlace, Refusal, RefusalCode, TokenFault};
pub use refused::Refused;
pub use request_fault::RequestFault;
pub use scope::{ScopeFault, ScopeSet};
pub use secret::{AccessToken, ClientSecret, SecretKind};
pub use token_flaw::TokenFlaw;
pub use token_grant::{TokenGrant, TokenGrantFault};
pub use token_request::TokenRequest;
pub use token_response::TokenResponse;
