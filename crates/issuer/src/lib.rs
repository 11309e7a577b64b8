//! An authenticated client becomes a token (RFC 6749 §4.4). Knows no listener and no route; gets a
//! request's head and its bounded body, and gives the whole answer but for the fields that every
//! response bears.

mod throttle;
mod token;

pub use token::{Issuer, Outcome};
