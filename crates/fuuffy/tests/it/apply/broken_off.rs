//! A run that breaks off loses no secret: the next one hands it out, or says what to do where it cannot.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{CLIENTS, apply, place, words, write};
use crate::app::{Place, Registered, ask_for_token};
use crate::kills::Killer;

/// What was handed out into files.
fn handed_out(files: &[&Path]) -> BTreeMap<String, Vec<Registered>> {
    let mut handed_out = BTreeMap::<String, Vec<Registered>>::new();
    for line in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect::<String>().lines() {
        // A run that was killed may have left half a line.
        let Ok(made) = serde_json::from_str::<Value>(line) else { continue };
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        let registered = Registered { id: member("client_id"), secret: member("client_secret") };
        handed_out.entry(registered.id.clone()).or_default().push(registered);
    }
    handed_out
}

fn pending(place: &Place) -> bool {
    place.path("data/apply-testing.json").exists() || place.path("data/apply-testing.next").exists()
}

#[test]
fn a_run_that_is_killed_loses_no_secret() {
    let arguments = |place: &Place| {
        let secrets = place.path("first").to_str().unwrap().to_owned();
        ["apply", &write(place, CLIENTS), "--environment", "testing", "--secrets-to", &secrets]
            .map(str::to_owned)
            .to_vec()
    };
    let steps = Killer::build().at_every_step(
        || (place(), ()),
        arguments,
        |step, place, ()| {
            let (first, second) = (place.path("first"), place.path("second"));
            let (status, _, err) = words(&apply(place, CLIENTS, &["--secrets-to", second.to_str().unwrap()]));
            assert_eq!(status, Some(0), "step {step}: {err}");
            assert!(!pending(place), "step {step}");
            let handed_out = handed_out(&[&first, &second]);
            assert_eq!(handed_out.keys().collect::<Vec<_>>(), ["atlas", "billing"], "step {step}: {err}");
            for secrets in handed_out.values() {
                assert!(secrets.iter().all(|one| one.secret == secrets[0].secret), "step {step}: twice is the same");
            }
            // Not at every step, for it takes a server.
            if step % 8 == 0 {
                let server = place.serve();
                assert_eq!(ask_for_token(server.testing, &handed_out["billing"][0]).status, 200, "step {step}");
                assert!(server.stop().success());
            }
        },
    );
    assert!(steps > 20, "only {steps} steps were met");
}

#[test]
fn secrets_that_a_report_was_to_tell_are_told_by_the_next_one() {
    let place = place();
    place.done(&["apply", &write(&place, CLIENTS), "--environment", "testing", "--prune"]);
    let others = CLIENTS.replace("\"billing\"", "\"alpha\"").replace("\"atlas\"", "\"beta\"");
    place.done(&["apply", &write(&place, &others), "--environment", "testing", "--prune"]);
    // An id that was deleted never comes back, so this stops after its first step.
    let stopping = others.clone() + &CLIENTS[CLIENTS.find("[[clients]]").unwrap()..].replace("\"atlas\"", "\"a-new\"");
    let (status, out, err) = words(&apply(&place, &stopping, &["--json"]));
    assert!(status == Some(1) && out.is_empty() && err.contains("stopped at billing after 1 of 2"), "{out}{err}");
    assert!(pending(&place));
    let mended = stopping.replace("\"billing\"", "\"b-new\"");
    let (_, _, err) = words(&apply(&place, &mended, &["--dry-run"]));
    assert!(err.contains("a run broke off before it handed out the secret of a-new"), "{err}");
    // The server runs meanwhile: it is the same user.
    let server = place.serve();
    let report = place.done(&["apply", &write(&place, &mended), "--environment", "testing"]);
    let told: Vec<&Value> = report["secrets"].as_array().unwrap().iter().map(|one| &one["client_id"]).collect();
    assert_eq!(told, ["a-new", "b-new"]);
    assert!(!pending(&place));
    assert!(server.stop().success());
}

#[test]
fn a_secret_that_cannot_be_had_any_more_is_told() {
    let place = place();
    let broken = write(&place, &CLIENTS.replace("\"atlas\"", "\"a\"").replace("\"billing\"", "\"b\""));
    place.done(&["apply", &broken, "--environment", "testing"]);
    let body = r#"{"client_id":"a","name":"x"}"#;
    let begun = format!(r#"[{{"client_id":"a","key":"k","body":{body}}},{{"client_id":"c","key":"k","body":{body}}}]"#);
    std::fs::write(place.path("data/apply-testing.json"), begun).unwrap();
    let (status, out, err) = words(&place.command(&["apply", &broken, "--environment", "testing"]));
    assert_eq!((status, out.as_str()), (Some(0), ""), "{err}");
    assert!(err.contains("give it another: fuuffy secrets add --environment testing --client a\n"), "{err}");
    assert!(!err.contains(" c ") && !pending(&place), "{err}");
    std::fs::write(place.path("data/apply-testing.json"), "[").unwrap();
    let (status, _, err) = words(&place.command(&["apply", &broken, "--environment", "testing"]));
    assert!(status == Some(1) && err.contains("move it away"), "{err}");
}
