//! An authenticated client becomes a token (RFC 6749 §4.4), gives one back, asks about one, or rotates its own secrets. Knows no listener
//! and no route; gets a request's head and its bounded body, and gives the whole answer but for the fields that every
//! response bears.

mod assertion;
mod authentication;
mod authorities;
mod by_assertion;
mod by_certificate;
mod by_identity;
mod endpoint;
mod introspection;
mod jws_header;
mod jwt;
mod key_set;
mod key_source;
mod leaks;
mod look_ups;
mod platform_token;
mod published_keys;
mod reason;
mod revocation;
mod rsa_keys;
mod secrets;
mod signed;
mod throttle;
mod token;
mod token_limits;
mod uses;

pub use assertion::{CheckedClaims, ReadAssertion};
pub use authorities::Authorities;
pub use by_identity::Platform;
pub use endpoint::OAuthEndpoint;
pub use jwt::TokenFormat;
pub use key_set::KeySet;
pub use key_source::{Fetch, KeySource, Place, keys_in};
pub use leaks::{Leak, Stray};
pub use platform_token::UnverifiedToken;
pub use published_keys::PublishedKeys;
pub use rsa_keys::RsaKeys;
pub use secrets::SecretDeed;
pub use signed::SigningAlgorithm;
pub use token::{Issuer, Outcome};
pub use token_limits::TokenLimits;
