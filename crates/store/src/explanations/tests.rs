//! What is kept for how long, and that no flood pushes out what others want to know.

use std::net::Ipv4Addr;

use fuuffy_domain::{EnvironmentName, Reason, RequestContext};
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
        Explanations::open(self.path(), EnvironmentName::Testing)
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
    assert_eq!(found.happened(), "The token had expired 42 s before");
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
    assert!((9_000..=EACH).contains(&loud), "{loud}");
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
    let nowhere = Explanations::open(kept.folder.path().join("nowhere/x.sqlite3"), EnvironmentName::Testing);
    nowhere.record(kept.refused(NOW, None));
    assert_eq!(nowhere.dropped(), 1);
    assert!(nowhere.find(kept.refused(NOW, None).request, NOW).await.is_err());
    nowhere.close().await;
}
