//! Whatever a webhook does, it costs one task for ten seconds, and the next alert goes after that.

use std::time::Duration;

use tokio::time::Instant;

use super::{add_secret, metric, told, until};
use crate::hooks::{Answer, Hooks};
use crate::timed::Timed;

/// The first alert meets this answer, and the second one is taken.
fn meets(answer: Answer) -> (Hooks, Timed) {
    let hooks = Hooks::start();
    hooks.answer_next(&[answer]);
    let timed = told(&hooks);
    hooks.wait_for(1);
    add_secret(&timed);
    timed.pass_minute();
    (hooks, timed)
}

#[test]
fn one_that_hangs_costs_ten_seconds() {
    let started = Instant::now();
    let (hooks, timed) = meets(Answer::Hang);
    let taken = hooks.wait_for(2);
    assert!(started.elapsed() >= Duration::from_secs(9), "one at a time");
    assert_ne!(taken[0].id(), taken[1].id());
    let waiting = until(&timed, |alerts| alerts.len() == 1);
    assert_eq!((waiting[0]["message_id"].as_str(), &waiting[0]["attempts"]), (Some(&*taken[0].id()), &1.into()));
    assert_eq!(waiting[0]["error"], "no answer within 10 s");
    assert_eq!(hooks.connections(), 2);
}

#[test]
fn one_that_redirects_is_not_followed() {
    let (hooks, timed) = meets(Answer::Redirect);
    let taken = hooks.wait_for(2);
    assert!(taken.iter().all(|message| message.target == "/hook"), "{taken:?}");
    let waiting = until(&timed, |alerts| alerts.len() == 1);
    assert_eq!(waiting[0]["error"], "answered with 307 Temporary Redirect, and no redirect is followed");
    assert_eq!(hooks.connections(), 2);
}

#[test]
fn one_that_streams_for_ever_is_cut_off() {
    let (hooks, timed) = meets(Answer::Stream);
    hooks.wait_for(2);
    until(&timed, <[serde_json::Value]>::is_empty);
    // What the kernel holds on both sides comes on top.
    assert!(hooks.wait_for_end_of_stream() < 16 << 20);
    let delivered = "fuuffy_alerts_delivered_total{environment=\"testing\",channel=\"webhook\",outcome=\"delivered\"}";
    assert_eq!(metric(&timed, delivered), "2", "the status is the answer");
}

#[test]
fn one_whose_head_has_no_end_is_cut_off() {
    let (hooks, timed) = meets(Answer::EndlessHead);
    let taken = hooks.wait_for(2);
    let waiting = until(&timed, |alerts| alerts.len() == 1);
    assert_eq!(waiting[0]["message_id"], taken[0].id());
    assert!(hooks.wait_for_end_of_stream() < 16 << 20);
}

#[test]
fn one_that_breaks_off_within_its_answer_has_taken_it() {
    let (hooks, timed) = meets(Answer::Stall);
    hooks.wait_for(2);
    until(&timed, <[serde_json::Value]>::is_empty);
}
