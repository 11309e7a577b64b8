//! Usage adds up: across folds, kills, and whatever is read.

use std::path::PathBuf;
use std::time::Duration;

use fuuffy_domain::{ClientSlot, Counted, Ended, EnvironmentName, Minute, Timestamp, Usage};

use super::{Grouping, Step, UsageBook, UsageQuery, UsageRow};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("usage")
    }

    fn open(&self) -> UsageBook {
        UsageBook::open(self.path(), EnvironmentName::Testing, Vec::new())
    }
}

fn counted(client: u32, at: Timestamp, route: &str, requests: u64) -> Counted {
    let mut usage = Usage { bytes_out: 10 * requests, ..Usage::default() };
    for _ in 0..requests {
        usage.note(Ended {
            status: 200,
            was_limited: false,
            was_observed: false,
            has_failed: false,
            took: Duration::from_millis(2),
        });
    }
    Counted { client: ClientSlot(client), minute: Minute::of(at), route: route.into(), usage }
}

fn ask(client: Option<u32>, by: Grouping, step: Step, time: std::ops::Range<Timestamp>) -> UsageQuery {
    UsageQuery { client: client.map(ClientSlot), by, time, step }
}

fn requests(rows: &[UsageRow]) -> Vec<u64> {
    rows.iter().map(|row| row.usage.requests).collect()
}

#[tokio::test]
async fn it_adds_up_by_client_route_and_time() {
    let kept = Kept::new();
    let book = kept.open();
    let later = NOW.after(HOUR);
    book.add(vec![counted(0, NOW, "/a", 3), counted(1, NOW, "/a", 1), counted(0, NOW, "/b", 2)], NOW).await;
    book.add(vec![counted(0, later, "/a", 5)], later).await;
    let whole = NOW..later.after(HOUR);
    for step in [Step::Minute, Step::Hour, Step::Day] {
        let by_client = book.read(ask(None, Grouping::Client, step, whole.clone()), later).await.unwrap();
        assert_eq!(requests(&by_client), [10, 1], "{step:?}");
        assert_eq!((by_client[0].client, by_client[0].usage.bytes_out), (Some(ClientSlot(0)), 100));
        let by_route = book.read(ask(None, Grouping::Route, step, whole.clone()), later).await.unwrap();
        let routes: Vec<_> = by_route.iter().map(|row| (row.route.as_deref().unwrap(), row.usage.requests)).collect();
        assert_eq!(routes, [("/a", 9), ("/b", 2)]);
        let of_one = book.read(ask(Some(0), Grouping::Route, step, whole.clone()), later).await.unwrap();
        assert_eq!(requests(&of_one), [8, 2]);
    }
    let told =
        |all: &mut Vec<_>, minute, client: ClientSlot, usage: &Usage| all.push((minute, client.0, usage.requests));
    let each = book.each_client(whole.clone(), later, told).await.unwrap();
    let (first, last) = (Minute::of(NOW), Minute::of(later));
    assert_eq!(each, [(first, 0, 5), (first, 1, 1), (last, 0, 5)]);
    assert_eq!(book.each_client(NOW..later, later, told).await.unwrap().len(), 2, "without its end");
    let by_hour = book.read(ask(None, Grouping::Time, Step::Hour, whole.clone()), later).await.unwrap();
    assert_eq!((requests(&by_hour), by_hour[0].at), (vec![6, 5], Some(NOW)));
    assert_eq!(book.read(ask(Some(9), Grouping::Time, Step::Hour, whole), later).await.unwrap(), []);
    // The step that a time is in counts whole, and the one at its end does not.
    let first = book.read(ask(None, Grouping::Time, Step::Hour, NOW.after(HOUR / 2)..later), later).await.unwrap();
    assert_eq!(requests(&first), [6]);
}

#[tokio::test]
async fn what_was_handed_over_outlasts_a_kill_and_is_counted_once() {
    let kept = Kept::new();
    let whole = NOW..NOW.after(DAY);
    let total = async |book: &UsageBook| {
        let rows = book.read(ask(None, Grouping::Time, Step::Day, whole.clone()), NOW).await.unwrap();
        requests(&rows).iter().sum::<u64>()
    };
    for round in 1..=4 {
        let book = kept.open();
        book.add(vec![counted(0, NOW, "/a", 1)], NOW).await;
        book.add(vec![counted(0, NOW, "/a", 1)], NOW).await;
        if round % 2 == 0 {
            assert_eq!(total(&book).await, 2 * round);
        }
        // Dropped as by a kill: the journal is there, and perhaps folded.
        drop(book);
    }
    let book = kept.open();
    assert_eq!(total(&book).await, 8);
    book.close(NOW).await;
    assert_eq!(total(&kept.open()).await, 8);
    let file = rusqlite::Connection::open(kept.path()).unwrap();
    let waiting: i64 = file.query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap();
    assert_eq!(waiting, 0);
}

#[tokio::test]
async fn old_rows_leave_and_what_they_come_to_stays() {
    let kept = Kept::new();
    let book = kept.open();
    book.add(vec![counted(0, NOW, "/a", 7)], NOW).await;
    let ages = [(2 * DAY, [0, 7, 7]), (35 * DAY, [0, 0, 7]), (399 * DAY, [0, 0, 7]), (402 * DAY, [0, 0, 0])];
    for (age, left) in ages {
        let now = NOW.after(age + HOUR);
        book.add(vec![counted(1, now, "/a", 1)], now).await;
        for (step, left) in [Step::Minute, Step::Hour, Step::Day].into_iter().zip(left) {
            let day = NOW..NOW.after(DAY);
            let rows = book.read(ask(Some(0), Grouping::Client, step, day), now).await.unwrap();
            assert_eq!(requests(&rows).iter().sum::<u64>(), left, "{step:?} after {age:?}");
        }
    }
}

#[tokio::test]
async fn no_room_loses_nothing_while_it_lasts() {
    let kept = Kept::new();
    let book = kept.open();
    book.add(vec![counted(0, NOW, "/a", 1)], NOW).await;
    // Somebody else holds the file, as a disk without room does: nothing can be written.
    let other = rusqlite::Connection::open(kept.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for second in 1..100 {
        book.add(vec![counted(0, NOW, "/a", 1)], NOW.after(Duration::from_secs(second))).await;
    }
    other.execute_batch("ROLLBACK").unwrap();
    let rows = book.read(ask(None, Grouping::Client, Step::Day, NOW..NOW.after(DAY)), NOW).await.unwrap();
    assert_eq!((requests(&rows), book.lost()), (vec![100], 0));
    drop(book);
    let rows = kept.open().read(ask(None, Grouping::Client, Step::Day, NOW..NOW.after(DAY)), NOW).await.unwrap();
    assert_eq!(requests(&rows), [100]);
}

/// What was undone half-way is done anew, whatever another has done in between.
#[tokio::test]
async fn a_fold_that_fails_in_its_midst_mixes_no_routes_up() {
    let kept = Kept::new();
    let book = kept.open();
    let other = rusqlite::Connection::open(kept.path()).unwrap();
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON hours BEGIN SELECT RAISE(ABORT, 'no room'); END")
        .unwrap();
    book.add(vec![counted(0, NOW, "/a", 3)], NOW).await;
    other.execute_batch("DROP TRIGGER full; INSERT INTO routes (prefix) VALUES ('/other')").unwrap();
    let rows = book.read(ask(None, Grouping::Route, Step::Day, NOW..NOW.after(DAY)), NOW).await.unwrap();
    let routes: Vec<_> = rows.iter().map(|row| (row.route.as_deref().unwrap(), row.usage.requests)).collect();
    assert_eq!(routes, [("/a", 3)]);
}

#[tokio::test]
async fn a_file_that_is_none_stops_nothing() {
    let kept = Kept::new();
    std::fs::create_dir(kept.path()).unwrap();
    let book = kept.open();
    book.add(vec![counted(0, NOW, "/a", 3)], NOW).await;
    assert_eq!(book.lost(), 3);
    assert!(book.read(ask(None, Grouping::Client, Step::Day, NOW..NOW.after(DAY)), NOW).await.is_err());
}
