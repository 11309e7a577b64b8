//! Secrets and tokens where they do not belong: found in requests by their looks, and told to operators where they were
//! right. Whether they were, and what comes of it, the issuer decides.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fuuffy_domain::{Grade, LeakPlace, RequestContext};
use fuuffy_issuer::{Leak, Stray};
use fuuffy_protocol::{AccessToken, ClientSecret};
use http::Uri;
use http::header::{self, HeaderMap};
use parking_lot::Mutex;
use serde_json::json;
use zeroize::Zeroizing;

use super::Environment;

/// Finds of one request that are looked into. More would be guesses.
const MOST: usize = 2;
/// A token that leaks again and again is told of so often, in milliseconds.
const AGAIN: i64 = 3_600_000;
/// So many are kept in mind as told. The outbox, which is asked beyond that, never forgets.
const TOLD: usize = 4096;

/// Which leaks were told of lately, so that a program which leaks with every request is one line and one alert.
#[derive(Default)]
pub(super) struct LeaksTold(Mutex<HashSet<String>>);

/// What leaked and what came of it, by the names of both. A token that is quarantined is revoked.
const KINDS: [(&str, Grade); 5] = [
    ("secret", Grade::Warn),
    ("secret", Grade::Quarantine),
    ("secret", Grade::Revoke),
    ("token", Grade::Warn),
    ("token", Grade::Revoke),
];

/// How many leaks there were since the start, whether they were told of or not.
#[derive(Default)]
pub(super) struct LeakCounts([AtomicU64; KINDS.len()]);

/// What was found, and where.
pub(super) type Strays = Vec<(LeakPlace, Stray)>;

/// Looks for what does not belong where it is in a head. `in_clear`: a trusted proxy says that the request came so.
pub(super) fn find(uri: &Uri, headers: &HeaderMap, in_clear: bool) -> Strays {
    let mut strays = Vec::new();
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.contains('%') {
        let plain: Zeroizing<Vec<u8>> = Zeroizing::new(percent_encoding::percent_decode_str(target).collect());
        gather(LeakPlace::Url, &plain, &mut strays);
    } else {
        gather(LeakPlace::Url, target.as_bytes(), &mut strays);
    }
    if let Some(field) = headers.get(header::AUTHORIZATION).map(|field| field.as_bytes()) {
        let bears = field.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case(b"Bearer "));
        let borne = bears.map_or(&b""[..], |_| field[7..].trim_ascii_start());
        if borne.starts_with(b"fsk_") {
            gather(LeakPlace::Misplaced, borne, &mut strays);
        } else if in_clear {
            gather(LeakPlace::PlainHttp, borne, &mut strays);
        }
    }
    strays
}

/// Looks for anything of ours in what came in clear: a head, and perhaps a form.
pub(super) fn find_in_clear(bytes: &[u8]) -> Strays {
    let mut strays = Vec::new();
    gather(LeakPlace::PlainHttp, bytes, &mut strays);
    let basic = memchr::memmem::find(bytes, b"Basic ").map(|at| &bytes[at + b"Basic ".len()..]);
    let basic = basic.map(|rest| rest.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default());
    if let Some(plain) = basic.and_then(|basic| STANDARD.decode(basic).ok()).map(Zeroizing::new) {
        gather(LeakPlace::PlainHttp, &plain, &mut strays);
    }
    strays
}

/// What a text begins with that is ours by its looks.
pub(super) fn stray(text: &str) -> Option<Stray> {
    let secret = ClientSecret::at_start_of(text.as_bytes()).map(|(secret, _)| Stray::Secret(secret));
    secret.or_else(|| AccessToken::at_start_of(text.as_bytes()).map(Stray::Token))
}

/// Whether a request in clear is there to its end, as far as its head says.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    match head.parse(bytes) {
        Ok(httparse::Status::Partial) => false,
        // What is not HTTP has no end that could be waited for.
        Err(_) => true,
        Ok(httparse::Status::Complete(end)) => {
            let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok());
            bytes.len() - end >= length.unwrap_or(0)
        }
    }
}

/// Each secret and each token once, in the order in which they stand.
fn gather(place: LeakPlace, bytes: &[u8], strays: &mut Strays) {
    // Both have this in common, and few requests have it.
    for at in memchr::memmem::find_iter(bytes, b"sk") {
        if strays.len() >= MOST {
            return;
        }
        if let Some((secret, _)) = at.checked_sub(1).and_then(|at| ClientSecret::at_start_of(&bytes[at..])) {
            strays.push((place, Stray::Secret(secret)));
        } else if let Some(token) = AccessToken::at_start_of(&bytes[at..])
            // An API may have a path like task-… of its own.
            && !at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric())
        {
            strays.push((place, Stray::Token(token)));
        }
    }
    for at in memchr::memmem::find_iter(bytes, AccessToken::JWT_START) {
        if strays.len() >= MOST {
            return;
        }
        strays.extend(AccessToken::at_start_of(&bytes[at..]).map(|token| (place, Stray::Token(token))));
    }
}

impl Environment {
    /// Looks finds up, and tells of those that were right; answers the first of them.
    pub(super) async fn look_into(&self, context: &RequestContext, strays: Strays) -> Option<Leak> {
        let mut first = None;
        for (place, stray) in &strays {
            if let Some(leak) = self.issuer.look_into_stray(context, *place, stray).await {
                self.tell_of_leak(context, &leak).await;
                first.get_or_insert(leak);
            }
        }
        first
    }

    /// Tells of a leak in the log and by an alert: of a secret once for each place, of a client's tokens once an hour.
    pub(super) async fn tell_of_leak(&self, context: &RequestContext, leak: &Leak) {
        let Leak { client, secret, place, grade } = leak;
        let (what, which) = match secret {
            Some(secret) => ("secret", secret.to_string()),
            None => ("token", (context.now.unix_millis() / AGAIN).to_string()),
        };
        self.leak_counts.note(what, *grade);
        let name = format!("leak {} {what} {which} {} {}", client.id, place.name(), grade.name());
        if !self.leaks_told.is_new(&name) {
            return;
        }
        let words = format!("A {what} {}; {}", place.words(), came_of_it(*grade, secret.is_some()));
        let secret_id = secret.as_ref().map(ToString::to_string);
        tracing::warn!(environment = %self.name, request_id = %context.id, client_id = %client.id, secret_id, place = place.name(), "{words}");
        let data = json!({
            "client_id": client.id,
            "client_name": client.name,
            "secret_id": secret_id,
            "place": place,
            "grade": grade,
            "from": context.peer,
            "request_id": context.id.to_string(),
            "words": words,
        });
        if let Err(error) = self.alerts.tell(&format!("{what}.leaked"), name.clone(), data).await {
            self.leaks_told.forget(&name);
            tracing::warn!(environment = %self.name, error = format!("{error:#}"), "An alert could not be sent");
        }
    }
}

impl LeaksTold {
    fn is_new(&self, name: &str) -> bool {
        let mut told = self.0.lock();
        if told.len() >= TOLD {
            told.clear();
        }
        told.insert(name.to_owned())
    }

    /// It was not told after all, and is to be when it happens again.
    fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

impl LeakCounts {
    fn note(&self, what: &str, grade: Grade) {
        let came_of_it = if what == "token" && grade == Grade::Quarantine { Grade::Revoke } else { grade };
        if let Some(at) = KINDS.iter().position(|kind| *kind == (what, came_of_it)) {
            self.0[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Each kind of leak, what came of it, and how often.
    pub(super) fn totals(&self) -> impl Iterator<Item = (&'static str, Grade, u64)> {
        KINDS.iter().zip(&self.0).map(|((what, grade), count)| (*what, *grade, count.load(Ordering::Relaxed)))
    }
}

const fn came_of_it(grade: Grade, is_secret: bool) -> &'static str {
    match (grade, is_secret) {
        (Grade::Warn, true) => "add a new one, give it to whoever uses this one, and retire this one",
        (Grade::Warn, false) => "whoever saw it can use it until it expires; fuuffy tokens revoke ends that",
        (Grade::Quarantine, true) => {
            "it can do nothing any more but replace itself, if its client may; else add a new one and retire this one"
        }
        (Grade::Revoke, true) => "it was retired; add a new one for whoever used it",
        (Grade::Quarantine | Grade::Revoke, false) => "it was revoked, and its client gets itself another",
    }
}

#[cfg(test)]
mod tests;
