//! The explanation of an alert: whole sentences, with the numbers that it rests on.

use super::Measure;
use super::alert::{Direction, Severity, Subject};
use super::track::Evidence;

/// How soon somebody should look at it.
pub(super) fn severity(measure: Measure, evidence: &Evidence) -> Severity {
    match (measure, evidence.direction) {
        (Measure::Volume, Direction::Drop) if evidence.seen <= 0.0 => Severity::Critical,
        (Measure::ErrorShare, Direction::Jump) if evidence.seen >= 0.2 => Severity::Critical,
        (Measure::Volume, Direction::Jump) if evidence.seen >= 10.0 * evidence.usual_high => Severity::Critical,
        (Measure::Volume, _) | (_, Direction::Jump) => Severity::Warning,
        (_, Direction::Drop) => Severity::Notice,
    }
}

/// What was seen, what is usual, how unlikely that is, and what to do next.
pub(super) fn of_series(subject: Subject, measure: Measure, evidence: &Evidence) -> String {
    let seen = value(measure, evidence.seen);
    let block = minutes(evidence.block_minutes);
    let (whose, made) = match subject {
        Subject::Client => ("client", "made"),
        Subject::Environment => ("environment", "got"),
    };
    let what = match measure {
        Measure::Volume if evidence.seen <= 0.0 => format!("The {whose} {made} no request in the last {block}."),
        Measure::Volume => format!("The {whose} {made} {seen} requests a minute in the last {block}."),
        Measure::Latency => format!("95 of 100 answers took up to {seen} in the last {block}."),
        Measure::Bytes => format!("A request and its answer had {seen} in the last {block}."),
        _ => format!("{seen} of the {whose}'s requests were answered with {} in the last {block}.", status(measure)),
    };
    let next = match subject {
        Subject::Client => next(measure, evidence.direction),
        Subject::Environment => next_for_all(measure, evidence.direction),
    };
    format!("{what} {} {} {next}", usual(measure, evidence), unlikely(whose, evidence))
}

fn usual(measure: Measure, evidence: &Evidence) -> String {
    let (low, high) = (value(measure, evidence.usual_low), value(measure, evidence.usual_high));
    let range = if low == high { format!("about {low}") } else { format!("{low} to {high}") };
    let unit = if measure == Measure::Volume { " requests a minute" } else { "" };
    format!("Usual at this hour of the week are {range}{unit}.")
}

/// A bound that holds for noise of any shape with one hump: P(|X − μ| ≥ λσ) ≤ 4/(9λ²) for λ > 1.63 (Vysochanskij and
/// Petunin, "Justification of the 3σ rule for unimodal distributions", Theory of Probability and Mathematical
/// Statistics 21, 1980). No normal distribution is claimed.
fn unlikely(whose: &str, evidence: &Evidence) -> String {
    let far = evidence.far.max(1.7);
    let in_so_many = (9.0 * far * far / 4.0).min(10_000.0);
    format!(
        "That is {far:.1} times as far off as this {whose} ordinarily strays: fewer than one such span in {in_so_many:.0} \
         would be as far off by chance, and the evidence has added up for {}.",
        minutes(evidence.minutes.max(2))
    )
}

const fn next(measure: Measure, direction: Direction) -> &'static str {
    match (measure, direction) {
        (Measure::Volume, Direction::Jump) => {
            "Look at which paths and addresses the requests come from; if the client's owner does not know of it, \
             rotate its secret or suspend it."
        }
        (Measure::Volume, Direction::Drop) => {
            "Ask the client's owner whether it was meant; look whether its secret expired or its requests are refused."
        }
        (Measure::ForbiddenShare, Direction::Jump) => {
            "Look at the reasons of its refusals: an expired or revoked secret, a scope it lacks, or somebody who tries."
        }
        (Measure::NotFoundShare, Direction::Jump) => {
            "Look at the paths: a new release that calls what is not there, or somebody who looks for what is."
        }
        (Measure::LimitedShare, Direction::Jump) => {
            "Look whether it retries without waiting; raise its plan or talk to its owner."
        }
        (Measure::ErrorShare, Direction::Jump) => {
            "Look at the API behind the gateway, and whether other clients meet the same errors."
        }
        (Measure::Latency, Direction::Jump) => {
            "Look at the API behind the gateway, and whether other clients wait as long."
        }
        (Measure::Bytes, Direction::Jump) => "Look at what it fetches or sends: a copy of everything, or a new use.",
        (_, Direction::Drop) => {
            "Less than usual is often good news; look whether answers have become empty, or a release changed its use."
        }
    }
}

/// What to do where it is not one client's.
const fn next_for_all(measure: Measure, direction: Direction) -> &'static str {
    match (measure, direction) {
        (Measure::Volume, Direction::Jump) => {
            "Look at which clients the requests come from (fuuffy usage), and how many of them are nobody's; set limits \
             where there are none."
        }
        (Measure::Volume, Direction::Drop) => {
            "Look whether callers reach the gateway: the proxy in front of it, its name, its certificate."
        }
        (Measure::ForbiddenShare, Direction::Jump) => {
            "Look at the reasons of the refusals: somebody who tries tokens or secrets, or a change of scopes or routes."
        }
        (Measure::NotFoundShare, Direction::Jump) => {
            "Look at the paths: a route or a release of the API that is gone, or somebody who looks for what is there."
        }
        (Measure::LimitedShare, Direction::Jump) => {
            "Look at which clients are limited (fuuffy usage): a plan that has become too small, or retries without waiting."
        }
        (Measure::ErrorShare, Direction::Jump) => {
            "Look at the API behind the gateway: which route fails (fuuffy usage --by route), and what changed there."
        }
        (Measure::Latency, Direction::Jump) => {
            "Look at the API behind the gateway: which route is slow (fuuffy usage --by route), and what it waits for."
        }
        (Measure::Bytes, Direction::Jump) => "Look at which client and route it is (fuuffy usage --by route).",
        (_, Direction::Drop) => {
            "Less than usual is often good news; look whether answers have become empty, or callers have gone."
        }
    }
}

const fn status(measure: Measure) -> &'static str {
    match measure {
        Measure::ForbiddenShare => "401 or 403",
        Measure::NotFoundShare => "404",
        Measure::LimitedShare => "429",
        _ => "500 or above",
    }
}

/// A measure's value with its unit, with as many digits as mean something.
fn value(measure: Measure, number: f32) -> String {
    match measure {
        Measure::Latency if number >= 1e6 => format!("{:.1} s", number / 1e6),
        Measure::Latency if number >= 1e4 => format!("{:.0} ms", number / 1e3),
        Measure::Latency => format!("{:.1} ms", number / 1e3),
        Measure::Bytes if number >= 1e6 => format!("{:.1} MB", number / 1e6),
        Measure::Bytes if number >= 1e4 => format!("{:.0} kB", number / 1e3),
        Measure::Bytes => format!("{number:.0} bytes"),
        Measure::Volume if number >= 10.0 => format!("{number:.0}"),
        Measure::Volume => format!("{number:.1}"),
        _ => format!("{:.1} %", number * 100.0),
    }
}

/// A number of minutes as people say it after "the last".
fn minutes(count: u32) -> String {
    match count {
        0 | 1 => "minute".to_owned(),
        2..120 => format!("{count} minutes"),
        120..2880 => format!("{} hours", count / 60),
        _ => format!("{} days", count / 1440),
    }
}
