//! What stands for a prover where the client is built without keys: there is none.

use std::time::SystemTime;

use http::header::HeaderMap;
use http::request::Parts;

use crate::Error;

/// There is none.
pub(crate) enum Prover {}

impl Prover {
    pub(crate) fn authorize(&self, _: &mut Parts, _: &str, _: SystemTime) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn prove(&self, _: &mut Parts, _: Option<&str>, _: SystemTime) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn learn(&self, _: &HeaderMap) -> bool {
        match *self {}
    }
}
