//! Secrets that are unusual: an old one that is still in use, and one that ends soon and has no successor in use.
//!
//! Both are told from the client as it stands, so there is nothing to keep, and whoever asks again gets the same answer.

use std::time::Duration;

use super::alert::{Alert, AlertKind, Severity};
use crate::{Client, REMINDERS, Secret, SecretId, Timestamp};

const DAY: Duration = Duration::from_secs(86_400);
/// A successor that has been there for so long should be in use everywhere.
const TIME_TO_CHANGE: Duration = Duration::from_secs(7 * 86_400);

/// The oldest secret that was used within a day although a newer one has been there, and used, for seven days.
/// It counts as opened when those were over, so that it is the same alert whenever it is asked for.
#[must_use]
pub fn old_secret(client: &Client, now: Timestamp) -> Option<Alert> {
    let is_successor = |secret: &&Secret| {
        secret.is_live(now) && secret.last_use.is_some() && now.since(secret.created_at) >= TIME_TO_CHANGE
    };
    let newest = client.secrets.iter().filter(is_successor).max_by_key(|secret| secret.created_at)?;
    let is_old = |secret: &&Secret| secret.created_at < newest.created_at && is_used(secret, DAY, now);
    let old = client.secrets.iter().filter(is_old).min_by_key(|secret| secret.created_at)?;
    let last = old.last_use.as_ref()?;
    let words = format!(
        "The secret {} was used {}{}, although its successor {} has been there for {}. A program was left behind by \
         the rotation, or somebody has the old secret. Find that program by its address and give it the new secret, \
         then retire the old one.",
        old.id,
        ago(now.since(last.at)),
        last.from.map(|from| format!(" from {from}")).unwrap_or_default(),
        newest.id,
        days(now.since(newest.created_at)),
    );
    let opened_at = newest.created_at.after(TIME_TO_CHANGE);
    Some(Alert { kind: AlertKind::OldSecret, severity: Severity::Warning, opened_at, words })
}

/// The secret that ends first, if that is within 14 days, it was used in the last seven, and no other that lives
/// longer is in use: a notice, a warning from the third day before the end, and critical on the last.
#[must_use]
pub fn secret_near_its_end(client: &Client, now: Timestamp) -> Option<(SecretId, Alert)> {
    let [early, late, last] = REMINDERS.map(|days| DAY * days);
    let used = || client.secrets.iter().filter(|secret| secret.is_live(now) && is_used(secret, TIME_TO_CHANGE, now));
    let (ends, secret) =
        used().filter_map(|secret| Some((secret.expires_at?, secret))).min_by_key(|(ends, _)| *ends)?;
    let left = ends.since(now);
    let outlives = |other: &Secret| other.expires_at.is_none_or(|end| end.since(now) > early);
    if used().any(outlives) {
        return None;
    }
    let severity = match left {
        left if left <= last => Severity::Critical,
        left if left <= late => Severity::Warning,
        _ => Severity::Notice,
    };
    let words = format!(
        "The secret {} ends in {}, on {ends}, and the client uses no other that lasts longer. From then on it gets no \
         token and all its requests are refused. Add a secret and have the client's owner change to it, or let the \
         client rotate.",
        secret.id,
        days(left),
    );
    Some((secret.id.clone(), Alert { kind: AlertKind::SecretNearItsEnd, severity, opened_at: now, words }))
}

fn is_used(secret: &Secret, within: Duration, now: Timestamp) -> bool {
    secret.is_live(now) && secret.last_use.as_ref().is_some_and(|last| now.since(last.at) <= within)
}

fn ago(time: Duration) -> String {
    match time.as_secs() / 60 {
        0 => "just now".to_owned(),
        1 => "a minute ago".to_owned(),
        minutes @ 2..120 => format!("{minutes} minutes ago"),
        minutes => format!("{} hours ago", minutes / 60),
    }
}

fn days(time: Duration) -> String {
    match time.as_secs() / 3600 {
        0 => "less than an hour".to_owned(),
        1 => "an hour".to_owned(),
        hours @ 2..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    }
}

#[cfg(test)]
mod tests;
