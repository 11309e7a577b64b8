//! What stands for a prover where the client is built without keys: there is none.

use std::time::{Duration, SystemTime};

use http::header::HeaderMap;
use http::request::Parts;

use crate::Error;

/// There is none.
pub(crate) enum Prover {}

/// When nothing is proven.
pub(crate) struct Moment {
    #[expect(dead_code, reason = "whoever proves says when")]
    pub(crate) wall: SystemTime,
    #[expect(dead_code, reason = "whoever proves says when")]
    pub(crate) now: Duration,
}

impl Prover {
    pub(crate) fn authorize(&self, _: &mut Parts, _: &str, _: Moment) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn prove(&self, _: &mut Parts, _: Option<&str>, _: Moment) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn learn(&self, _: &HeaderMap, _: Duration) -> bool {
        match *self {}
    }

    pub(crate) fn was_taken(&self, _: Duration) {
        match *self {}
    }

    pub(crate) fn is_sure(&self, _: Duration) -> bool {
        match *self {}
    }
}
