//! What is kept for how long, and that no flood pushes out what others want to know.

use std::net::Ipv4Addr;

use fuuffy_domain::{Audience, ClientId, EnvironmentName, Reason, RequestContext};
use fuuffy_protocol::{Refusal, TokenFault};

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

struct Kept {
    folder: tempfile::TempDir,
    number: std::cell::Cell<u64>,
}

impl Kept {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), number: std::cell::Cell::new(0) }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("testing.explain.sqlite3")
    }

    fn open(&self) -> Explanations {
        Explanations::open(self.path(), EnvironmentName::Testing, || ())
    }

    fn refused(&self, at: Timestamp, client: Option<&str>) -> Refused {
        self.number.set(self.number.get() + 1);
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.number.get().to_be_bytes());
        let context = RequestContext { id: RequestId::generate(at, random), peer: Ipv4Addr::LOCALHOST.into(), now: at };
        let refusal = Refusal::InvalidToken(TokenFault::Expired);
        let reason = Reason::TokenExpired { at: at.unix_millis() - 42_000 };
        let client = client.map(|id| ClientId::parse(id).unwrap());
        Refused { client, ..Refused::new(&context, ("GET", "/v1/orders"), &refusal, reason) }
    }
}

#[tokio::test]
async fn a_refusal_is_found_by_its_id_and_after_a_restart() {
    let kept = Kept::new();
    let explanations = kept.open();
    let refused = kept.refused(NOW, Some("app_1"));
    explanations.record(refused.clone());
    let found = explanations.find(refused.request, NOW).await.unwrap().unwrap();
    assert_eq!(found, refused);
    assert_eq!(found.happened(Audience::Client), "The token had expired 42 s before");
    drop(explanations);
    assert_eq!(kept.open().find(refused.request, NOW).await.unwrap(), Some(refused));
    let other = kept.refused(NOW, None);
    assert_eq!(kept.open().find(other.request, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn after_a_week_it_is_gone() {
    let kept = Kept::new();
    let explanations = kept.open();
    let (old, young) = (kept.refused(NOW, None), kept.refused(NOW.after(KEPT), None));
    explanations.record(old.clone());
    explanations.flush().await;
    explanations.record(young.clone());
    let (last, over) = (NOW.after(KEPT), NOW.after(KEPT + Duration::from_millis(1)));
    assert!(explanations.find(old.request, last).await.unwrap().is_some(), "seven days are not over");
    assert!(explanations.find(old.request, over).await.unwrap().is_none(), "though nothing was refused since");
    explanations.record(kept.refused(over, None));
    assert!(explanations.find(old.request, NOW).await.unwrap().is_none());
    assert!(explanations.find(young.request, over).await.unwrap().is_some());
}

#[tokio::test]
async fn a_flood_of_one_pushes_out_nobody_else() {
    let kept = Kept::new();
    let explanations = kept.open();
    let (quiet, unknown) = (kept.refused(NOW, Some("app_quiet")), kept.refused(NOW, None));
    explanations.record(quiet.clone());
    explanations.record(unknown.clone());
    let mut last = None;
    for round in 0..13 {
        for _ in 0..1000 {
            let refused = kept.refused(NOW.after(Duration::from_secs(round)), Some("app_loud"));
            explanations.record(refused.clone());
            last = Some(refused);
        }
        explanations.flush().await;
    }
    assert_eq!(explanations.dropped(), 0);
    for kept in [&quiet, &unknown, &last.unwrap()] {
        assert!(explanations.find(kept.request, NOW).await.unwrap().is_some());
    }
    let connection = Connection::open(kept.path()).unwrap();
    let loud: i64 = connection
        .query_row("SELECT count(*) FROM refusals WHERE client_id = 'app_loud'", [], |row| row.get(0))
        .unwrap();
    assert!((9_000..=MOST.each).contains(&loud), "{loud}");
}

#[test]
fn where_all_room_is_taken_whoever_has_most_loses_the_oldest() {
    let kept = Kept::new();
    let mut connection = file::open_or_replace(&kept.path()).unwrap();
    let mut rooms = Rooms::count(&connection).unwrap();
    let most = Most { each: 100, all: 300 };
    let of = |client: &str, count: usize| -> Vec<Refused> {
        (0..count).map(|_| kept.refused(NOW, Some(client).filter(|client| !client.is_empty()))).collect()
    };
    let quiet = [of("app_quiet", 15), of("", 10)].concat();
    keep(&mut connection, &quiet, &mut rooms, most).unwrap();
    for round in 0..200 {
        let loud: Vec<Refused> = (0..10).flat_map(|client| of(&format!("app_loud_{client}"), 7)).collect();
        // The last of them is kept whatever comes, and each of a few clients has its share.
        let newest = loud.last().unwrap().request;
        keep(&mut connection, &loud, &mut rooms, most).unwrap();
        assert!(file::find(&kept.path(), newest).unwrap().is_some(), "round {round}");
        let mut counts = connection.prepare("SELECT client_id, count(*) FROM refusals GROUP BY 1").unwrap();
        let counts = counts.query_map([], |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?)));
        let counts: Vec<(Option<String>, i64)> = counts.unwrap().map(Result::unwrap).collect();
        let all: i64 = counts.iter().map(|(_, count)| count).sum();
        assert!(all <= most.all && (round < 5 || all > most.all - 30), "round {round}: {all}");
        for (owner, count) in &counts {
            let is_loud = owner.as_deref().is_some_and(|owner| owner.contains("loud"));
            assert!(!is_loud || round < 5 || (20..=32).contains(count), "round {round}: {owner:?} has {count}");
        }
        // What was counted is what is there.
        let counted = Rooms::count(&connection).unwrap();
        assert_eq!(rooms, counted);
    }
    for refused in quiet {
        assert!(file::find(&kept.path(), refused.request).unwrap().is_some());
    }
}

#[test]
fn a_batch_leaves_no_more_than_there_is_room_for() {
    let kept = Kept::new();
    let mut connection = file::open_or_replace(&kept.path()).unwrap();
    let mut rooms = Rooms::count(&connection).unwrap();
    let most = Most { each: 600, all: 700 };
    let rows = |connection: &Connection| -> i64 {
        connection.query_row("SELECT count(*) FROM refusals", [], |row| row.get(0)).unwrap()
    };
    for client in ["app_1", "app_2"] {
        for _ in 0..4 {
            let batch: Vec<Refused> = (0..BATCH).map(|_| kept.refused(NOW, Some(client))).collect();
            keep(&mut connection, &batch, &mut rooms, most).unwrap();
            assert!(rows(&connection) <= most.all, "{}", rows(&connection));
        }
    }
    let twice = [kept.refused(NOW, None), kept.refused(NOW, None)];
    keep(&mut connection, &[twice[0].clone(), twice[0].clone(), twice[1].clone()], &mut rooms, most).unwrap();
    assert_eq!(rooms, Rooms::count(&connection).unwrap(), "each request once");
}

#[tokio::test]
async fn a_damaged_file_is_put_aside() {
    let kept = Kept::new();
    std::fs::write(kept.path(), vec![0x5a; 9000]).unwrap();
    let explanations = kept.open();
    let refused = kept.refused(NOW, None);
    explanations.record(refused.clone());
    assert!(explanations.find(refused.request, NOW).await.unwrap().is_some());
    assert!(kept.folder.path().join("testing.explain.sqlite3.damaged-1").exists());
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_stays_where_it_is_and_stops_nothing() {
    let kept = Kept::new();
    let explanations = kept.open();
    let refused = kept.refused(NOW, None);
    explanations.record(refused.clone());
    explanations.close().await;
    drop(explanations);
    // Stands in the way for any user, root included.
    let obstacle = kept.folder.path().join("testing.explain.sqlite3-wal");
    std::fs::create_dir(&obstacle).unwrap();
    let explanations = kept.open();
    explanations.record(kept.refused(NOW, None));
    explanations.flush().await;
    assert_eq!(explanations.dropped(), 1);
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(kept.open().find(refused.request, NOW).await.unwrap(), Some(refused), "nothing was put aside");
    let nowhere = Explanations::open(kept.folder.path().join("nowhere/x.sqlite3"), EnvironmentName::Testing, || ());
    nowhere.record(kept.refused(NOW, None));
    assert_eq!(nowhere.dropped(), 1);
    assert!(nowhere.find(kept.refused(NOW, None).request, NOW).await.is_err());
    nowhere.close().await;
}
