//! What clients use, counted as it happens and taken once a second: nothing is counted twice, and whoever counts
//! waits for nobody but another request of the same client. Under the same lock it is noted from where and by what the
//! client was seen, which is taken once a minute.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::sightings::Sightings;
use crate::{ClientSlot, Ended, Network, PathKey, Seen, Timestamp, TokenUsed, Usage};

/// A minute of the calendar: minutes since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

/// What a client used of a route in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Who.
    pub client: ClientSlot,
    /// When.
    pub minute: Minute,
    /// Of which route, by its prefix.
    pub route: Arc<str>,
    /// How much.
    pub usage: Usage,
}

/// One request of a client, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// When.
    pub at: Timestamp,
    /// Of which route, by its prefix.
    pub route: &'a str,
    /// How it ended.
    pub ended: Ended,
    /// Where it came from.
    pub from: IpAddr,
    /// By which token, if it was not by a secret.
    pub by: Option<TokenUsed>,
    /// What was asked for, by the hash of its path.
    pub path: u64,
}

/// The counts of one environment.
#[derive(Debug, Default)]
pub struct Tally {
    clients: RwLock<Vec<Option<Arc<ClientTally>>>>,
    waiting: Arc<Waiting>,
    strangers: Strangers,
    paths: PathKey,
}

/// Clients with something that was not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    counted: Mutex<Vec<Arc<ClientTally>>>,
    seen: Mutex<Vec<Arc<ClientTally>>>,
}

/// Requests of which no client is known.
#[derive(Debug, Default)]
struct Strangers {
    classes: [AtomicU64; 5],
    forbidden: AtomicU64,
    not_found: AtomicU64,
    limited: AtomicU64,
}

/// The counts of one client.
#[derive(Debug)]
pub struct ClientTally {
    client: ClientSlot,
    counts: Mutex<Counts>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Nothing of a client that made no request for a second, as most did not.
    of_late: Option<Box<OfLate>>,
    is_waiting: bool,
    sightings: Sightings,
}

/// What a client did since its counts were taken.
#[derive(Debug, Default)]
struct OfLate {
    requests: Vec<(Minute, Arc<str>, Usage)>,
    /// By route, for as long as anybody moves bytes there.
    bytes: Vec<Arc<RouteBytes>>,
}

/// Bytes that moved on a route since they were taken last.
#[derive(Debug)]
struct RouteBytes {
    route: Arc<str>,
    to_api: AtomicU64,
    to_client: AtomicU64,
}

/// Counts the bytes of one exchange as they move.
#[derive(Debug, Clone)]
pub struct Mover {
    tally: Arc<ClientTally>,
    bytes: Arc<RouteBytes>,
}

impl Minute {
    /// The minute that a time is in.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.unix_millis().div_euclid(60_000))
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp::from_unix_millis(self.0 * 60_000)
    }
}

impl Tally {
    /// Counts of which nothing is there yet; paths are hashed with a key that nobody else knows.
    #[must_use]
    pub fn new(paths: PathKey) -> Self {
        Self { paths, ..Self::default() }
    }

    /// The hash of a path, for [`Call::path`].
    #[must_use]
    pub fn path(&self, path: &str) -> u64 {
        self.paths.hash(path)
    }

    /// The counts of a client.
    #[must_use]
    pub fn of(&self, client: ClientSlot) -> Arc<ClientTally> {
        let slot = client.0 as usize;
        if let Some(Some(known)) = self.clients.read().get(slot) {
            return Arc::clone(known);
        }
        let mut clients = self.clients.write();
        if clients.len() <= slot {
            clients.resize(slot + 1, None);
        }
        let new = || Arc::new(ClientTally { client, counts: Mutex::default(), waiting: Arc::clone(&self.waiting) });
        Arc::clone(clients[slot].get_or_insert_with(new))
    }

    /// Takes all that was counted. Bytes are of the minute in which they are taken.
    #[must_use]
    pub fn take(&self, now: Timestamp) -> Vec<Counted> {
        let waiting = std::mem::take(&mut *self.waiting.counted.lock());
        waiting.iter().flat_map(|client| client.take(Minute::of(now))).collect()
    }

    /// Takes from where and by what clients were seen: of each when it is asked for, since there may be many.
    pub fn take_seen(&self) -> impl Iterator<Item = Seen> + Send + use<> {
        let waiting = std::mem::take(&mut *self.waiting.seen.lock());
        waiting.into_iter().map(|client| client.counts.lock().sightings.take(client.client))
    }

    /// Counts a request of which no client is known, by the status of its answer.
    pub fn note_stranger(&self, status: u16) {
        let Strangers { classes, forbidden, not_found, limited } = &self.strangers;
        classes[usize::from(status / 100).clamp(1, 5) - 1].fetch_add(1, Ordering::Relaxed);
        match status {
            401 | 403 => drop(forbidden.fetch_add(1, Ordering::Relaxed)),
            404 => drop(not_found.fetch_add(1, Ordering::Relaxed)),
            429 => drop(limited.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    /// Takes the requests of which no client is known.
    #[must_use]
    pub fn take_strangers(&self) -> Usage {
        let taken = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let Strangers { classes, forbidden, not_found, limited } = &self.strangers;
        let classes = classes.each_ref().map(taken);
        let (forbidden, not_found, limited) = (taken(forbidden), taken(not_found), taken(limited));
        Usage { requests: classes.iter().sum(), classes, forbidden, not_found, limited, ..Usage::default() }
    }
}

impl ClientTally {
    /// Counts a request.
    pub fn note(self: &Arc<Self>, call: Call<'_>) {
        let Call { at, route, ended, from, by, path } = call;
        let (minute, network) = (Minute::of(at), Network::of(from));
        let mut counts = self.counts.lock();
        counts.of_late().usage(minute, route).note(ended);
        if matches!(ended.status, 401 | 403 | 404) {
            counts.sightings.refuse(path);
        }
        if counts.sightings.note(at, network, by) {
            self.waiting.seen.lock().push(Arc::clone(self));
        }
        self.wait(&mut counts);
    }

    /// What counts the bytes of an exchange on a route.
    #[must_use]
    pub fn mover(self: &Arc<Self>, route: &str) -> Mover {
        let mut counts = self.counts.lock();
        let of_late = counts.of_late();
        let known = of_late.bytes.iter().find(|bytes| *bytes.route == *route).map(Arc::clone);
        let bytes = known.unwrap_or_else(|| {
            let new = RouteBytes { route: route.into(), to_api: AtomicU64::new(0), to_client: AtomicU64::new(0) };
            let new = Arc::new(new);
            of_late.bytes.push(Arc::clone(&new));
            new
        });
        Mover { tally: Arc::clone(self), bytes }
    }

    /// There is something to be taken.
    fn wait(self: &Arc<Self>, counts: &mut Counts) {
        if !std::mem::replace(&mut counts.is_waiting, true) {
            self.waiting.counted.lock().push(Arc::clone(self));
        }
    }

    fn take(&self, minute: Minute) -> Vec<Counted> {
        let mut counts = self.counts.lock();
        counts.is_waiting = false;
        let Some(mut of_late) = counts.of_late.take() else { return Vec::new() };
        for bytes in of_late.bytes.clone() {
            let taken = |place: &AtomicU64| place.swap(0, Ordering::AcqRel);
            let (bytes_in, bytes_out) = (taken(&bytes.to_api), taken(&bytes.to_client));
            if bytes_in + bytes_out > 0 {
                of_late.usage(minute, &bytes.route).add(&Usage { bytes_in, bytes_out, ..Usage::default() });
            }
        }
        // Nobody but this list and the copy above knows of those.
        of_late.bytes.retain(|bytes| Arc::strong_count(bytes) > 1 || bytes.has_any());
        let requests = std::mem::take(&mut of_late.requests);
        counts.of_late = Some(of_late).filter(|of_late| !of_late.bytes.is_empty());
        drop(counts);
        let counted = |(minute, route, usage)| Counted { client: self.client, minute, route, usage };
        requests.into_iter().map(counted).collect()
    }
}

impl Counts {
    fn of_late(&mut self) -> &mut OfLate {
        self.of_late.get_or_insert_default()
    }
}

impl OfLate {
    fn usage(&mut self, minute: Minute, route: &str) -> &mut Usage {
        let is_meant = |known: &(Minute, Arc<str>, Usage)| known.0 == minute && *known.1 == *route;
        // A minute goes by, and there are few routes: the newest are the last.
        let place = match self.requests.iter().rposition(is_meant) {
            Some(place) => place,
            None => {
                if self.requests.is_empty() {
                    // Most clients use one route in a second, and room for four would be 2 KiB.
                    self.requests.reserve_exact(1);
                }
                self.requests.push((minute, route.into(), Usage::default()));
                self.requests.len() - 1
            }
        };
        &mut self.requests[place].2
    }
}

impl RouteBytes {
    fn has_any(&self) -> bool {
        self.to_api.load(Ordering::Acquire) + self.to_client.load(Ordering::Acquire) > 0
    }
}

impl Mover {
    /// Bytes went to the API.
    pub fn to_api(&self, bytes: u64) {
        self.moved(&self.bytes.to_api, bytes);
    }

    /// Bytes went to the client.
    pub fn to_client(&self, bytes: u64) {
        self.moved(&self.bytes.to_client, bytes);
    }

    fn moved(&self, place: &AtomicU64, bytes: u64) {
        // Whoever is first after they were taken says that there are some.
        if bytes > 0 && place.fetch_add(bytes, Ordering::AcqRel) == 0 {
            let mut counts = self.tally.counts.lock();
            self.tally.wait(&mut counts);
        }
    }
}

#[cfg(test)]
mod tests;
