//! Whether a secret can be retired without anybody noticing: an answer with its evidence.

use crate::{Client, Lifetime, Secret, Timestamp};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// Whether nobody would notice, as far as can be known.
    pub is_safe: bool,
    /// What that rests on, in sentences.
    pub evidence: Vec<String>,
}

impl Client {
    /// Whether one of this client's secrets is safe to retire: it is out of use for `quiet`, and for longer than
    /// two lives of a token, after which every program that runs has asked again; and the client has another.
    #[must_use]
    pub fn retirement(&self, secret: &Secret, life: Lifetime, quiet: Lifetime, now: Timestamp) -> Retirement {
        if !secret.is_live(now) {
            let evidence = vec!["It works no more already.".to_owned()];
            return Retirement { is_safe: true, evidence };
        }
        let needed = quiet.duration().max(2 * life.duration());
        let ago = |at| words(now.since(at).as_secs());
        let (since, used) = match &secret.last_use {
            None => {
                let made = secret.created_at;
                (made, format!("It was never used since it was made, {} ago.", ago(made)))
            }
            Some(last) => {
                let from = last.from.map(|from| format!(" from {from}")).unwrap_or_default();
                let by = last.agent.as_deref().map(|agent| format!(" by {agent}")).unwrap_or_default();
                let count = secret.use_count;
                (last.at, format!("It was last used{from}{by}, {} ago, and {count} times in all.", ago(last.at)))
            }
        };
        let (idle, mut evidence) = (now.since(since), vec![used]);
        let is_idle = idle >= needed;
        if !is_idle {
            evidence.push(format!(
                "Programs that use it may still run: only after {} without a use would each have asked again.",
                words(needed.as_secs())
            ));
        }
        let others = self.secrets.iter().filter(|other| other.id != secret.id && other.is_live(now));
        let (count, last) = others.fold((0, None), |(count, last), other| {
            (count + 1, last.max(other.last_use.as_ref().map(|use_of_other| use_of_other.at)))
        });
        evidence.push(match (count, last) {
            (0, _) => "It is the client's only live secret.".to_owned(),
            (_, None) => "No other live secret of the client was ever used.".to_owned(),
            (_, Some(at)) => {
                format!("Another live secret of the client was used {} ago.", ago(at))
            }
        });
        Retirement { is_safe: is_idle && count > 0 && last.is_some_and(|at| at >= since), evidence }
    }
}

/// A length of time as people say it.
fn words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
