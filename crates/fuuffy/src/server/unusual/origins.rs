//! Where one client comes from, with what, and what it was refused: the part of the watch that is no series of minutes.

use std::time::Duration;

use fuuffy_domain::{Change, Networks, Scan, Seen, Severity, Timestamp, TokenUse, TokenUsed};

/// Tokens of a client that are followed at once: those that were used last.
const TOKENS: usize = 8;
/// What is told so soon after another belongs to the same incident, unless it is worse.
const TOGETHER: Duration = Duration::from_secs(30 * 60);

/// What is kept of one client besides its networks: nothing of most, which come from one network by tokens of their own,
/// and never ask for what is not there.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The one that was used last is the last.
    tokens: Vec<(TokenUsed, TokenUse)>,
    scan: Option<Scan>,
    /// What was told last, and when.
    told: Option<(Timestamp, Severity)>,
}

impl Origins {
    /// Takes what was seen since the last time, in the order in which it happened.
    pub(super) fn take(&mut self, now: Timestamp, seen: &Seen, networks: &mut Networks) -> Vec<Change> {
        // The first and the last request of each: there and back again shows in these.
        let mut moments: Vec<_> = seen.sightings.iter().map(|it| (it.first, it.from, it.by, it.requests)).collect();
        moments.extend(seen.sightings.iter().filter(|it| it.first != it.last).map(|it| (it.last, it.from, it.by, 0)));
        moments.sort_by_key(|(at, ..)| *at);
        // A token of a client that was only ever seen in one network is in one.
        let moves = networks.count() > 1 || seen.sightings.iter().any(|it| it.from != seen.sightings[0].from);
        let mut alerts = Vec::new();
        for (at, network, by, requests) in moments {
            alerts.extend(networks.seen(at, network, requests));
            if let Some(token) = by.filter(|_| moves) {
                alerts.extend(self.of_token(token).seen(at, network, networks));
            }
        }
        let mut changes = Vec::new();
        if let Some(paths) = &seen.refused {
            changes.extend(self.scan.get_or_insert_default().refused(now, paths));
        }
        // The worst first: the others are other sides of it.
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.severity));
        for alert in alerts {
            let is_known = self.told.is_some_and(|(at, worst)| now.since(at) <= TOGETHER && alert.severity <= worst);
            if is_known {
                changes.push(Change::Joined(alert));
            } else {
                self.told = Some((now, alert.severity));
                changes.push(Change::Opened(alert));
            }
        }
        changes
    }

    /// To be called once a minute: a scan ends by itself, and tokens whose life is over are forgotten.
    pub(super) fn tick(&mut self, now: Timestamp) -> Option<Change> {
        self.tokens.retain(|(token, _)| now < token.until);
        self.told = self.told.filter(|(at, _)| now.since(*at) <= TOGETHER);
        self.scan.as_mut().and_then(|scan| scan.tick(now))
    }

    /// Whether there is nothing to keep.
    pub(super) const fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.scan.is_none() && self.told.is_none()
    }

    fn of_token(&mut self, token: TokenUsed) -> &mut TokenUse {
        let known = self.tokens.iter().position(|(known, _)| *known == token);
        let uses = match known {
            Some(place) => self.tokens.remove(place).1,
            None => TokenUse::default(),
        };
        if self.tokens.len() == TOKENS {
            self.tokens.remove(0);
        }
        let place = self.tokens.len();
        self.tokens.push((token, uses));
        &mut self.tokens[place].1
    }
}

#[cfg(test)]
mod tests;
