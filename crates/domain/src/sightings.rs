//! From where and by what a client was seen since somebody last looked, and what it was refused: what the watch for the
//! unusual is told, in a few bytes for each client, whatever it does.
//!
//! A client that comes from one network by one token has one [`Sighting`] of 48 bytes a minute. There are at most 40 of a
//! client, and 80 bytes for the paths that it was refused, made with the first refusal.

use std::hash::Hasher as _;
use std::num::NonZeroU64;

use crate::unusual::RefusedPaths;
use crate::{ClientSlot, Network, Timestamp, TokenDigest};

/// Sightings by token, of one client at once. Beyond, only the network is noted.
const BY_TOKEN: usize = 32;
/// Sightings of one client at once. Beyond, none is noted.
const ALL: usize = 40;

/// A token that was used: half of its keyed digest, and when its life is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUsed {
    name: NonZeroU64,
    /// The first instant at which it is no longer accepted.
    pub until: Timestamp,
}

impl TokenUsed {
    /// A token by its digest.
    #[must_use]
    pub fn new(digest: &TokenDigest, until: Timestamp) -> Self {
        let mut half = [0; 8];
        half.copy_from_slice(&digest[..8]);
        // One bit less tells tokens apart as well, and leaves room to say that there is none.
        Self { name: NonZeroU64::MIN | u64::from_le_bytes(half), until }
    }
}

/// Requests of a client by one token, or by its secret, from one network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Where they came from.
    pub from: Network,
    /// By which token; none for a secret, and where there were too many tokens.
    pub by: Option<TokenUsed>,
    /// The first of them.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// How many there were.
    pub requests: u32,
}

/// What was seen of a client since somebody last looked.
#[derive(Debug)]
pub struct Seen {
    /// Of whom.
    pub client: ClientSlot,
    /// From where and by what, in the order of the first request of each.
    pub sightings: Vec<Sighting>,
    /// What it was refused, if it was.
    pub refused: Option<Box<RefusedPaths>>,
}

/// What is noted of a client until somebody looks.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    seen: Vec<Sighting>,
    refused: Option<Box<RefusedPaths>>,
}

impl Sightings {
    /// Notes a request. Says whether it is the first since somebody looked.
    pub(crate) fn note(&mut self, at: Timestamp, from: Network, by: Option<TokenUsed>) -> bool {
        if self.again(at, from, by) {
            return false;
        }
        let by = by.filter(|_| self.seen.len() < BY_TOKEN);
        if self.seen.len() < ALL && !(by.is_none() && self.again(at, from, by)) {
            let is_first = self.seen.is_empty();
            if is_first {
                // Of most clients there is one.
                self.seen.reserve_exact(1);
            }
            self.seen.push(Sighting { from, by, first: at, last: at, requests: 1 });
            return is_first;
        }
        false
    }

    /// Notes what a request was refused with 401, 403 or 404, by the hash of its path.
    pub(crate) fn refuse(&mut self, path: u64) {
        self.refused.get_or_insert_default().add(path);
    }

    /// A request like one before; the last one first, for it is the likeliest.
    fn again(&mut self, at: Timestamp, from: Network, by: Option<TokenUsed>) -> bool {
        let Some(known) = self.seen.iter_mut().rev().find(|known| known.from == from && known.by == by) else {
            return false;
        };
        // Two threads may come in either order.
        (known.first, known.last) = (known.first.min(at), known.last.max(at));
        known.requests = known.requests.saturating_add(1);
        true
    }

    pub(crate) fn take(&mut self, client: ClientSlot) -> Seen {
        Seen { client, sightings: std::mem::take(&mut self.seen), refused: self.refused.take() }
    }
}

/// What paths are hashed with, so that nobody can choose paths that fall together.
#[derive(Clone, Copy, Default)]
pub struct PathKey(pub [u8; 16]);

impl PathKey {
    /// The hash of a path. It is kept nowhere, and means nothing to another process.
    #[must_use]
    pub fn hash(&self, path: &str) -> u64 {
        // SipHash by a key of zeros; ours goes first, and everything after it is mixed with what it left behind.
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write(&self.0);
        hasher.write(path.as_bytes());
        hasher.finish()
    }
}

impl std::fmt::Debug for PathKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PathKey")
    }
}
