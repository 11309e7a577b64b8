//! What is known of a request before anything in it is believed.

use std::net::IpAddr;

use crate::{RequestId, Timestamp};

/// The first argument of every stage: which request, from where, and when it arrived.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext {
    /// The id that the answer, the log and the upstream bear.
    pub id: RequestId,
    /// The address of the caller.
    pub peer: IpAddr,
    /// The time at which the request is judged.
    pub now: Timestamp,
}
