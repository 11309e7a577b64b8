//! A secret that its client replaces by itself.

mod model;
mod places;
mod routine;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use fuuffy_client::test_util::{Answer, Received};
use fuuffy_client::{Client, ErrorKind, Event, ExecCredentials, FileCredentials, Rotation};
use serde_json::json;
use tempfile::TempDir;

use crate::place::Place;

const SECRETS: &str = "/v1/auth/secrets";
const CONFIRM: &str = "/v1/auth/secrets/confirm";
const TOKEN: &str = "/v1/auth/token";
/// The calendar of the tests' clock begins here, and the server's agrees.
const DATE: &str = "Fri, 15 Jan 2027 08:00:00 GMT";
const MONTHS_AGO: &str = "2026-10-15T08:00:00.000Z";

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What the server says of the secret that is presented, beside another.
fn shown(status: &str, created_at: &str) -> Answer {
    let shown = json!({"data": [
        {"secret_id": "sec_0", "created_at": "2020-01-01T00:00:00Z", "expires_at": null, "status": "live",
         "presented": false},
        {"secret_id": "sec_1", "created_at": created_at, "expires_at": null, "status": status, "presented": true},
    ]});
    Answer::json(200, shown.to_string()).field("date", DATE)
}

fn added(secret: &str) -> Answer {
    let added = json!({"data": {"secret_id": "sec_2", "client_secret": secret, "expires_at": null}});
    Answer::json(201, added.to_string())
}

fn confirmed() -> Answer {
    let confirmed = json!({"data": {"secret_id": "sec_2", "retiring": ["sec_1"], "unused_for": "86400s"}});
    Answer::json(200, confirmed.to_string())
}

/// A server that takes part in one replacement.
async fn replacing(new: &str) -> Place {
    let place = Place::new().await;
    place.server.then(SECRETS, [shown("live", MONTHS_AGO), added(new)]);
    place.server.always(CONFIRM, confirmed());
    place
}

/// A folder with a secret in a file.
fn kept(secret: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write(&path, secret, mode);
    (folder, path)
}

/// A client with its secret in a file.
fn filed(place: &Place, path: &Path) -> Client {
    place.builder().credential_source(FileCredentials::new("my-id", path)).build().unwrap()
}

/// `Basic …` of `my-id` and a secret.
fn basic(secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("my-id:{secret}")))
}

#[tokio::test]
async fn a_secret_is_asked_for_kept_proven_and_confirmed() {
    let (place, (folder, path)) = (replacing("new").await, kept("old\n", 0o400));
    let Rotation::Replaced(confirmed) = filed(&place, &path).rotate(Some(Duration::ZERO)).await.unwrap() else {
        panic!("it was not replaced");
    };
    assert_eq!((confirmed.secret_id.as_str(), confirmed.retiring), ("sec_2", vec!["sec_1".to_owned()]));
    assert_eq!(confirmed.unused_for, Duration::from_secs(86_400));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n", "it ends as it ended before");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o400);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.len() == 2 && left.iter().any(|name| name == ".secret.lock"), "{left:?}");

    let by = |path: &str| -> Vec<String> {
        let of = |it: &Received| it.headers["authorization"].to_str().unwrap().to_owned();
        place.server.received(path).iter().map(of).collect()
    };
    assert_eq!(by(SECRETS), [basic("old"), basic("old")]);
    assert_eq!(by(CONFIRM), [basic("new")], "with the secret that was read back");
    let proof = place.server.received(TOKEN);
    assert!(proof.len() == 1 && proof[0].body.ends_with(b"client_secret=new"), "{proof:?}");
    assert_eq!(place.heard(|event| *event == Event::SecretRotated), 1);
}

#[tokio::test]
async fn one_that_is_young_stays_and_nothing_is_asked_for() {
    let (place, (folder, path)) = (Place::new().await, kept("old", 0o600));
    place.server.always(SECRETS, shown("live", "2027-01-10T08:00:00Z"));
    let (client, day) = (filed(&place, &path), Duration::from_secs(86_400));
    let young = client.rotate(Some(30 * day)).await.unwrap();
    assert_eq!(young, Rotation::NotDue { secret_id: "sec_1".to_owned(), due_in: 25 * day });
    // By the server's calendar, whatever this machine's says.
    place.clock.step_wall(std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(client.rotate(Some(30 * day)).await.unwrap(), young);
    assert_eq!(place.server.received(SECRETS).len(), 2);
    assert!(place.server.received(TOKEN).is_empty() && !folder.path().join(".secret.lock").exists());
}

#[tokio::test]
async fn one_that_was_kept_and_not_confirmed_is_proven_and_confirmed() {
    let (place, (_folder, path)) = (Place::new().await, kept("new", 0o600));
    place.server.always(SECRETS, shown("pending", "2027-01-15T07:59:00Z"));
    place.server.always(CONFIRM, confirmed());
    let finished = filed(&place, &path).rotate(Some(Duration::MAX)).await.unwrap();
    assert!(matches!(finished, Rotation::Finished(_)), "{finished:?}");
    assert_eq!((place.server.received(SECRETS).len(), place.server.token_requests()), (1, 1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
}

/// Wherever it breaks off, the file has a secret that works: the old one until the new one is kept, and then that.
#[tokio::test]
async fn a_server_that_fails_at_any_step_costs_nothing() {
    let answers = || {
        let failure = Answer::json(503, "{}");
        [failure, Answer::json(200, "no JSON"), Answer::json(302, "{}"), Answer::json(200, "{}").cut()]
    };
    for (step, then) in [("look", "old\n"), ("ask", "old\n"), ("prove", "s3cret\n"), ("confirm", "s3cret\n")] {
        for answer in answers() {
            let (place, (folder, path)) = (Place::new().await, kept("old\n", 0o600));
            match step {
                "look" => place.server.then(SECRETS, [answer]),
                "ask" => place.server.then(SECRETS, [shown("live", MONTHS_AGO), answer]),
                "prove" => {
                    place.server.then(SECRETS, [shown("live", MONTHS_AGO), added("s3cret")]);
                    place.server.then_tokens([answer]);
                }
                _ => {
                    place.server.then(SECRETS, [shown("live", MONTHS_AGO), added("s3cret")]);
                    place.server.then(CONFIRM, [answer]);
                }
            }
            let error = filed(&place, &path).rotate(None).await.unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), then, "{step}: {error}");
            assert_eq!(place.heard(|event| matches!(event, Event::RotationFailed { .. })), 1, "{step}: {error}");
            assert!(!folder.path().join(".secret.new").exists());
        }
    }
}

#[tokio::test]
async fn a_new_secret_that_does_not_work_makes_room_for_the_old_one() {
    let (place, (_folder, path)) = (replacing("new").await, kept("old\n", 0o600));
    place.server.always(TOKEN, Answer::refusal(401, "invalid_client"));
    let error = filed(&place, &path).rotate(None).await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_client"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    assert!(place.server.received(CONFIRM).is_empty());
}

#[tokio::test]
async fn a_client_that_may_not_and_one_that_has_too_many_are_told() {
    for (status, code) in [(403, "unauthorized_client"), (409, "too_many_secrets")] {
        let (place, (_folder, path)) = (Place::new().await, kept("old", 0o600));
        place.server.then(SECRETS, [shown("live", MONTHS_AGO), Answer::refusal(status, code)]);
        let error = filed(&place, &path).rotate(None).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some(code)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}

/// Of two at once one waits for the other, and finds that all is done.
#[tokio::test]
async fn two_that_share_a_file_replace_it_once() {
    let (place, (_folder, path)) = (Place::new().await, kept("old", 0o600));
    // Both look, whoever is first asks, and the last look is of whoever waited.
    let live = || shown("live", MONTHS_AGO);
    place.server.then(SECRETS, [live(), live(), added("new"), live()]);
    place.server.always(CONFIRM, confirmed().held());
    let (one, other) = (filed(&place, &path), filed(&place, &path));
    let both = tokio::spawn(async move { tokio::join!(one.rotate(None), other.rotate(None)) });
    place.server.until(CONFIRM, 1).await;
    place.server.release();
    let (one, other) = both.await.unwrap();
    let mut outcomes = [one.unwrap(), other.unwrap()];
    outcomes.sort_by_key(|outcome| matches!(outcome, Rotation::ByAnother { .. }));
    assert!(matches!(&outcomes, [Rotation::Replaced(_), Rotation::ByAnother { .. }]), "{outcomes:?}");
    assert_eq!(place.server.received(CONFIRM).len(), 1);
}

/// A second command that breaks off, or keeps what is no secret, leaves the old one.
#[tokio::test]
async fn a_place_that_is_half_written_gets_the_old_secret_back() {
    for breaks in ["cat > /dev/null; : > V; test -e first || { touch first; exit 1; }", "sed 's/.*:\"//; s/\".*//' > V"]
    {
        let (place, folder) = (Place::new().await, tempfile::tempdir().unwrap());
        place.server.then(SECRETS, [shown("live", MONTHS_AGO), added("s3cret")]);
        let vault = folder.path().join("V");
        let old = r#"{"client_id":"my-id","client_secret":"old"}"#;
        write(&vault, old, 0o600);
        // The first time it does what it should not, the second time what it should.
        let script =
            format!("cd {}; if test -e twice; then cat > V; else touch twice; {breaks}; fi", folder.path().display());
        let words = |script: String| ["sh", "-c", &script].map(str::to_owned);
        let source = ExecCredentials::new(words(format!("cat {}", vault.display())), None).unwrap();
        let source = source.kept_by(words(script)).unwrap();
        let client = place.builder().credential_source(source).build().unwrap();
        let error = client.rotate(None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert_eq!(std::fs::read_to_string(&vault).unwrap().trim(), old, "{breaks}");
    }
}
