//! Limits as callers meet them: what they are told, and that what happens next is what they were told.

use std::time::Duration;

use fuuffy_domain::{Limit, Timestamp};
use tokio::time::Instant;

use crate::http1::Reply;
use crate::timed::{START, Timed};

mod at_once;
mod costs;
mod observed;
mod own;
mod report;
mod tokens;

/// One window by the naive model: the times at which something was taken from it.
struct Model {
    limit: Limit,
    taken: Vec<Timestamp>,
}

impl Model {
    fn new(text: &str) -> Self {
        Self { limit: Limit::parse(text).unwrap(), taken: Vec::new() }
    }

    fn move_to(&mut self, now: Timestamp) {
        if self.taken.first().is_some_and(|first| now.since(*first) >= self.length()) {
            self.taken.clear();
        }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.limit.seconds.into())
    }

    fn left(&self) -> u32 {
        self.limit.requests - u32::try_from(self.taken.len()).unwrap()
    }

    fn resets_at(&self, now: Timestamp) -> Timestamp {
        self.taken.first().copied().unwrap_or(now).after(self.length())
    }
}

fn number(reply: &Reply, name: &str) -> i64 {
    reply.field(name).unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
}

/// The members of `RateLimit` or `RateLimit-Policy`: name and two parameters.
fn listed(reply: &Reply, name: &str, keys: [&str; 2]) -> Vec<(String, i64, i64)> {
    let member = |text: &str| {
        let mut parts = text.split(';');
        let name = parts.next().unwrap().trim_matches('"').to_owned();
        let mut value = |key: &str| parts.next().unwrap().strip_prefix(&format!("{key}=")).unwrap().parse().unwrap();
        (name, value(keys[0]), value(keys[1]))
    };
    reply.field(name).unwrap().split(", ").map(member).collect()
}

/// Steps of half seconds, so that waits are no whole seconds; whoever is refused waits it out and is let in.
#[test]
fn what_callers_are_told_of_their_limits_is_what_happens() {
    let plans: [&[&str]; 4] =
        [&["3/min", "1000/h"], &["100/min", "4/h"], &["2/s", "3/min", "5/h"], &["2/s", "4/min", "9/h", "11/d"]];
    for plan in plans {
        let timed = Timed::start(&format!("\n[plans.standard]\nlimits = {plan:?}\n"));
        let mut windows: Vec<Model> = plan.iter().map(|text| Model::new(text)).collect();
        let (mut now, mut token, mut of) = (START, timed.token(), START);
        let mut pass = |now: &mut Timestamp, duration: Duration| {
            timed.time.pass(duration);
            *now = now.after(duration);
            if now.since(of) > Duration::from_secs(3000) {
                (token, of) = (timed.token(), *now);
            }
            token.clone()
        };
        let mut bears = pass(&mut now, Duration::ZERO);
        for step in [0, 1, 0, 3, 1, 0, 0, 40, 0, 2, 0, 0, 130, 1, 0, 0, 0, 7300, 0, 0, 1, 0] {
            bears = pass(&mut now, Duration::from_millis(step * 500));
            windows.iter_mut().for_each(|window| window.move_to(now));
            let fits = windows.iter().all(|window| window.left() > 0);
            if fits {
                windows.iter_mut().for_each(|window| window.taken.push(now));
            }
            let asked = Instant::now();
            let reply = timed.get(&bears);
            assert_eq!(reply.status, if fits { 200 } else { 429 }, "{plan:?} at {now}");
            agrees(&reply, &windows, now, asked.elapsed());
            if fits {
                assert_eq!(reply.field("retry-after"), None);
                continue;
            }
            let wait = Duration::from_secs(number(&reply, "retry-after").unsigned_abs());
            let longest = windows.iter().filter(|window| window.left() == 0).map(|window| window.resets_at(now)).max();
            let truth = longest.unwrap().since(now);
            assert!(wait >= truth && wait < truth + Duration::from_secs(1), "told {wait:?}, true is {truth:?}");
            bears = pass(&mut now, wait);
            windows.iter_mut().for_each(|window| window.move_to(now));
            assert_eq!(timed.get(&bears).status, 200, "{plan:?}: whoever waited {wait:?} was not let in");
            windows.iter_mut().for_each(|window| window.taken.push(now));
        }
        drop(bears);
    }
}

#[test]
fn steps_of_the_calendar_open_and_close_no_window() {
    let timed = Timed::start("\n[plans.standard]\nlimits = [\"2/min\"]\n");
    let token = timed.token();
    for hours in [0, 10, -20] {
        let statuses = [timed.get(&token).status, timed.get(&token).status];
        assert_eq!(statuses, [200, 200], "closed after a step of {hours} hours");
        timed.time.step_wall(Timestamp::from_unix_millis(START.unix_millis() + hours * 3_600_000));
        let refused = timed.get(&token);
        assert_eq!((refused.status, refused.field("retry-after")), (429, Some("60")), "a step of {hours} hours");
        timed.time.pass(Duration::from_secs(60));
    }
}

fn agrees(reply: &Reply, windows: &[Model], now: Timestamp, took: Duration) {
    let policy: Vec<_> = windows
        .iter()
        .map(|Model { limit, .. }| (limit.name().to_owned(), i64::from(limit.requests), i64::from(limit.seconds)))
        .collect();
    assert_eq!(listed(reply, "ratelimit-policy", ["q", "w"]), policy);
    let told = listed(reply, "ratelimit", ["r", "t"]);
    assert_eq!(told.len(), windows.len());
    for ((name, left, seconds), window) in told.iter().zip(windows) {
        assert_eq!((name.as_str(), *left), (window.limit.name(), i64::from(window.left())));
        // Counted from when the answer left.
        let truth = i64::try_from(window.resets_at(now).since(now).as_millis().div_ceil(1000)).unwrap();
        let slack = i64::try_from(took.as_secs()).unwrap() + 1;
        assert!(*seconds <= truth && *seconds > truth - slack - 1, "{name}: told {seconds}, true is {truth}");
    }
    let least = windows.iter().map(Model::left).min().unwrap();
    assert_eq!(number(reply, "x-ratelimit-remaining"), i64::from(least));
    let last =
        windows.iter().filter(|window| window.left() == least).max_by_key(|window| window.resets_at(now)).unwrap();
    assert_eq!(number(reply, "x-ratelimit-limit"), i64::from(last.limit.requests));
    assert_eq!(number(reply, "x-ratelimit-reset"), last.resets_at(now).unix_seconds_up());
}
