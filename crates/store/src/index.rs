//! The tokens of an environment, in memory, keyed by a keyed digest: what every proxied request asks.
//!
//! Tokens lie in buckets by the slice of time in which they expire, in 256 shards. A bucket is dropped
//! whole when its slice ended an hour ago, so expiry never scans. A look-up asks the few buckets of one
//! shard, newest first. Entries are dense, and the table beside them holds positions alone, which keeps
//! a token under 64 bytes. What a token is bound to lies beside them, too, so that one that is bound to nothing pays
//! nothing for it. Knows no database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{Binding, ClientSlot, Lifetime, ScopeSet, Timestamp, TokenDigest, TokenEntry};
use hashbrown::HashTable;
use parking_lot::RwLock;

const SHARDS: usize = 256;
/// How long an expired token is still known as expired, at least.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// A token as it is put into the index.
#[derive(Debug, Clone)]
pub struct IndexedToken {
    /// Its keyed digest.
    pub digest: TokenDigest,
    /// Whose it is.
    pub client: ClientSlot,
    /// The client's generation in which it was issued.
    pub generation: u32,
    /// What it is good for.
    pub scope: Arc<ScopeSet>,
    /// When its life began: whole seconds before its end.
    pub issued_at: Timestamp,
    /// The first instant at which it is no longer accepted.
    pub expires_at: Timestamp,
    /// The key that it is bound to, if it is to one.
    pub binding: Option<Binding>,
}

/// All tokens that are live, or expired less than an hour ago.
pub struct TokenIndex {
    /// The length of a bucket's slice in milliseconds: half the longest life, but at least half an hour,
    /// so that a shard never has more than about six buckets.
    slice: i64,
    shards: Box<[RwLock<Vec<Bucket>>]>,
    scopes: RwLock<Scopes>,
}

#[derive(Default)]
struct Scopes {
    sets: Vec<Arc<ScopeSet>>,
    ids: HashMap<Arc<ScopeSet>, u32>,
}

/// The tokens of one shard that expire in one slice of time. The newest slice comes first in its shard.
struct Bucket {
    slice: i64,
    entries: Vec<Entry>,
    places: HashTable<u32>,
    /// What the tokens at these places are bound to, in their order.
    bindings: Vec<(u32, Binding)>,
}

struct Entry {
    digest: TokenDigest,
    /// Milliseconds since the start of the slice.
    expires_at: u32,
    /// How long it lives, in seconds.
    lifetime: u32,
    client: u32,
    generation: u32,
    /// The number of its scopes, and whether it is [`BOUND`].
    scope: u32,
}

/// Set in an entry's scope where it is bound to a key. There are never so many scopes.
const BOUND: u32 = 1 << 31;

impl TokenIndex {
    /// An empty index for tokens that live at most `longest`.
    #[must_use]
    pub fn new(longest: Lifetime) -> Self {
        let longest = i64::from(longest.seconds().max(3600)) * 1000;
        let shards = std::iter::repeat_with(RwLock::default).take(SHARDS).collect();
        Self { slice: longest / 2, shards, scopes: RwLock::default() }
    }

    /// Puts a token in.
    pub fn insert(&self, token: &IndexedToken) {
        let scope = self.intern(&token.scope) | if token.binding.is_some() { BOUND } else { 0 };
        let millis = token.expires_at.unix_millis();
        let slice = millis.div_euclid(self.slice);
        let entry = Entry {
            digest: token.digest,
            expires_at: u32::try_from(millis.rem_euclid(self.slice)).unwrap_or(u32::MAX),
            lifetime: u32::try_from(token.expires_at.since(token.issued_at).as_secs()).unwrap_or(u32::MAX),
            client: token.client.0,
            generation: token.generation,
            scope,
        };
        let mut buckets = self.shard(&token.digest).write();
        let place = match buckets.iter().position(|bucket| bucket.slice <= slice) {
            Some(place) if buckets[place].slice == slice => place,
            place => {
                let place = place.unwrap_or(buckets.len());
                buckets.insert(place, Bucket::new(slice));
                place
            }
        };
        buckets[place].push(entry, token.binding);
    }

    /// The token with this digest, live or lately expired.
    #[must_use]
    pub fn find(&self, digest: &TokenDigest) -> Option<TokenEntry> {
        let buckets = self.shard(digest).read();
        let (bucket, place) = buckets.iter().find_map(|bucket| Some((bucket, bucket.place(digest)?)))?;
        let (slice, entry) = (bucket.slice, bucket.entries.get(place as usize)?);
        let scope = Arc::clone(self.scopes.read().sets.get((entry.scope & !BOUND) as usize)?);
        // Fails closed: a token that is bound to something unknown is not known itself.
        let binding = if entry.scope & BOUND == 0 { None } else { Some(bucket.binding(place)?) };
        let expires_at = slice * self.slice + i64::from(entry.expires_at);
        Some(TokenEntry {
            digest: entry.digest,
            client: ClientSlot(entry.client),
            generation: entry.generation,
            scope,
            issued_at: Timestamp::from_unix_millis(expires_at - i64::from(entry.lifetime) * 1000),
            expires_at: Timestamp::from_unix_millis(expires_at),
            binding,
        })
    }

    /// Revokes a token: it is still known, to be refused. Answers as it was, if it is known and was not revoked.
    pub fn revoke(&self, digest: &TokenDigest) -> Option<TokenEntry> {
        let before = self.find(digest).filter(|entry| entry.generation != TokenEntry::REVOKED)?;
        let mut buckets = self.shard(digest).write();
        let entry = buckets.iter_mut().find_map(|bucket| bucket.find_mut(digest))?;
        entry.generation = TokenEntry::REVOKED;
        Some(before)
    }

    /// Forgets tokens that expired at least an hour before `now`, bucket by bucket.
    pub fn expire(&self, now: Timestamp) {
        let remembered = i64::try_from(REMEMBERED.as_millis()).unwrap_or(i64::MAX);
        let is_over = |bucket: &Bucket| (bucket.slice + 1) * self.slice + remembered <= now.unix_millis();
        for shard in &self.shards {
            if shard.read().last().is_some_and(is_over) {
                shard.write().retain(|bucket| !is_over(bucket));
            }
        }
    }

    /// How many tokens it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().iter().map(|bucket| bucket.entries.len()).sum::<usize>()).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the tokens take, allocated room included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let of_bucket = |bucket: &Bucket| {
            bucket.entries.capacity() * size_of::<Entry>()
                + bucket.places.allocation_size()
                + bucket.bindings.capacity() * size_of::<(u32, Binding)>()
        };
        let of_shard = |shard: &RwLock<Vec<Bucket>>| shard.read().iter().map(of_bucket).sum::<usize>();
        self.shards.iter().map(of_shard).sum()
    }

    fn shard(&self, digest: &TokenDigest) -> &RwLock<Vec<Bucket>> {
        &self.shards[usize::from(digest[0]) % SHARDS]
    }

    fn intern(&self, scope: &Arc<ScopeSet>) -> u32 {
        if let Some(id) = self.scopes.read().ids.get(scope) {
            return *id;
        }
        let mut scopes = self.scopes.write();
        if let Some(id) = scopes.ids.get(scope) {
            return *id;
        }
        let id = u32::try_from(scopes.sets.len()).unwrap_or(u32::MAX);
        scopes.sets.push(Arc::clone(scope));
        scopes.ids.insert(Arc::clone(scope), id);
        id
    }
}

impl Bucket {
    const fn new(slice: i64) -> Self {
        Self { slice, entries: Vec::new(), places: HashTable::new(), bindings: Vec::new() }
    }

    fn push(&mut self, entry: Entry, binding: Option<Binding>) {
        if self.entries.len() == self.entries.capacity() {
            // Growing by an eighth instead of doubling keeps the unused room small.
            self.entries.reserve_exact(self.entries.len() / 8 + 16);
        }
        let Ok(place) = u32::try_from(self.entries.len()) else {
            return;
        };
        if let Some(binding) = binding {
            if self.bindings.len() == self.bindings.capacity() {
                self.bindings.reserve_exact(self.bindings.len() / 8 + 4);
            }
            self.bindings.push((place, binding));
        }
        let hash = hash_of(&entry.digest);
        self.entries.push(entry);
        let entries = &self.entries;
        self.places.insert_unique(hash, place, |place| hash_of(&entries[*place as usize].digest));
    }

    fn place(&self, digest: &TokenDigest) -> Option<u32> {
        self.places.find(hash_of(digest), |place| self.entries[*place as usize].digest == *digest).copied()
    }

    fn binding(&self, place: u32) -> Option<Binding> {
        let at = self.bindings.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        Some(self.bindings[at].1)
    }

    fn find_mut(&mut self, digest: &TokenDigest) -> Option<&mut Entry> {
        let place = self.place(digest)?;
        self.entries.get_mut(place as usize)
    }
}

/// A digest is a keyed hash already; eight of its bytes that the shard was not chosen by will do.
fn hash_of(digest: &TokenDigest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[8..]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
