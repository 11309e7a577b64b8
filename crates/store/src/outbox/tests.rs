//! What is kept until it is told, for how long, and what leaves where there is no room.

use fuuffy_domain::{AlertKind, ClientId, Silence};
use rusqlite::Connection;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

struct Kept(tempfile::TempDir);

impl Kept {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("testing.outbox.sqlite3")
    }

    fn open(&self) -> Outbox {
        Outbox::open(self.path(), EnvironmentName::Testing)
    }

    fn file(&self, most: Most) -> File {
        File::open(&self.path(), most, watch::channel(Standings::default()).0).unwrap()
    }
}

fn new(number: u32) -> NewAlert {
    NewAlert {
        id: id(number),
        name: format!("secret.expires of {number}"),
        kind: "secret.expires".to_owned(),
        body: format!("{{\"number\":{number}}}"),
    }
}

const HOOK: [Channel; 1] = [Channel::Webhook];

fn of(number: u32) -> Delivery {
    Delivery { id: id(number), channel: Channel::Webhook }
}

fn one(number: u32) -> Which {
    Which { id: Some(id(number)), channel: None }
}

fn id(number: u32) -> MessageId {
    MessageId::parse(&format!("msg_{number}")).unwrap()
}

fn ids(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| alert.id.as_str()).collect()
}

const ALL: PartOf = PartOf { skip: 0, take: 1000 };

#[tokio::test]
async fn an_alert_waits_until_it_is_told_and_is_told_once() {
    let kept = Kept::new();
    let outbox = kept.open();
    assert!(outbox.enqueue(new(1), HOOK.to_vec(), NOW).await.unwrap());
    assert!(
        !outbox.enqueue(NewAlert { id: id(2), ..new(1) }, HOOK.to_vec(), NOW).await.unwrap(),
        "there is one of that name"
    );
    drop(outbox);
    let outbox = kept.open();
    let due = outbox.due(Channel::Webhook, NOW, 10).await.unwrap();
    assert_eq!((ids(&due), due[0].body.as_str(), due[0].attempts), (vec!["msg_1"], "{\"number\":1}", 0));
    let expected = Standing { waiting: 1, dead: 0, oldest: Some(NOW), next_due: Some(NOW) };
    assert_eq!(outbox.standing().borrow().of(Channel::Webhook), expected);
    outbox.delivered(of(1), NOW).await.unwrap();
    assert_eq!(*outbox.standing().borrow(), Standings::default());
    outbox.close().await;
    let outbox = kept.open();
    assert!(!outbox.enqueue(new(1), HOOK.to_vec(), NOW.after(KEPT)).await.unwrap(), "it was told");
    assert!(
        outbox.enqueue(new(1), HOOK.to_vec(), NOW.after(KEPT + MINUTE)).await.unwrap(),
        "that is forgotten after a month"
    );
}

#[tokio::test]
async fn it_is_tried_for_a_day_at_growing_distances_and_then_dead() {
    let kept = Kept::new();
    let outbox = kept.open();
    outbox.enqueue(new(1), HOOK.to_vec(), NOW).await.unwrap();
    let (mut now, mut waits) = (NOW, Vec::new());
    loop {
        let why = format!("failure {}", waits.len());
        match outbox.failed(of(1), why, now, waits.len() as u64).await.unwrap() {
            Failed::Again(next) => {
                assert!(outbox.due(Channel::Webhook, next.after(Duration::ZERO), 1).await.unwrap().len() == 1);
                let before = Timestamp::from_unix_millis(next.unix_millis() - 1);
                assert!(outbox.due(Channel::Webhook, before, 1).await.unwrap().is_empty());
                waits.push(next.since(now));
                now = next;
            }
            Failed::Dead => break,
            Failed::Gone => panic!("it is there"),
        }
    }
    assert_eq!(now, NOW.after(PATIENCE), "the last attempt is when the day is over");
    for (number, wait) in waits[..waits.len() - 1].iter().enumerate() {
        let least = MINUTE * 2_u32.pow(u32::try_from(number).unwrap());
        assert!((least..=least * 2).contains(wait), "{number}: {wait:?}");
    }
    assert!((9..=12).contains(&waits.len()), "{waits:?}");
    let listed = outbox.list(Some(AlertState::Dead), ALL, now).await.unwrap();
    let dead = &listed.items[0];
    assert_eq!((listed.total, dead.next_at, dead.state), (1, None, AlertState::Dead));
    assert_eq!(dead.error, Some(format!("failure {}", waits.len())));
    assert_eq!(outbox.list(Some(AlertState::Waiting), ALL, now).await.unwrap().total, 0);
    assert_eq!(outbox.failed(of(1), String::new(), now, 0).await.unwrap(), Failed::Gone, "dead is dead");
    // And once more, for another day.
    assert_eq!(outbox.redeliver(one(1), now).await.unwrap(), 1);
    assert_eq!(ids(&outbox.due(Channel::Webhook, now, 10).await.unwrap()), ["msg_1"]);
    let again = outbox.failed(of(1), String::new(), now, 0).await.unwrap();
    assert!(matches!(again, Failed::Again(next) if next.since(now) <= 2 * MINUTE), "{again:?}");
    assert_eq!(outbox.redeliver(one(2), now).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dead_letter_is_kept_for_a_month_and_all_are_sent_once_more() {
    let kept = Kept::new();
    let outbox = kept.open();
    for number in 1..=3 {
        outbox.enqueue(new(number), HOOK.to_vec(), NOW).await.unwrap();
    }
    let day = NOW.after(PATIENCE);
    for number in 1..=2 {
        assert_eq!(outbox.failed(of(number), String::new(), day, 0).await.unwrap(), Failed::Dead);
    }
    let listed = outbox.list(None, PartOf { skip: 1, take: 1 }, day).await.unwrap();
    assert_eq!((listed.total, ids(&listed.items)), (3, vec!["msg_2"]));
    assert_eq!(outbox.count(Which::default()).await.unwrap(), 2);
    assert_eq!(outbox.count(one(3)).await.unwrap() + outbox.count(one(4)).await.unwrap(), 1);
    assert_eq!(outbox.redeliver(Which::default(), day).await.unwrap(), 2);
    let due = outbox.due(Channel::Webhook, day, 10).await.unwrap();
    assert_eq!(ids(&due), ["msg_3", "msg_1", "msg_2"], "in the order in which they are due");
    let later = day.after(PATIENCE);
    assert_eq!(outbox.failed(of(2), String::new(), later, 0).await.unwrap(), Failed::Dead);
    let last = later.after(KEPT);
    assert_eq!(outbox.list(Some(AlertState::Dead), ALL, last).await.unwrap().total, 1);
    outbox.tidy(last.after(Duration::from_millis(1))).await.unwrap();
    assert_eq!(outbox.standing().borrow().of(Channel::Webhook).dead, 0);
    assert_eq!(outbox.standing().borrow().of(Channel::Webhook).waiting, 2, "those that wait stay");
}

#[tokio::test]
async fn a_clock_that_was_ahead_keeps_no_alert_waiting() {
    let kept = Kept::new();
    let outbox = kept.open();
    let ahead = NOW.after(PATIENCE * 365);
    outbox.enqueue(new(1), HOOK.to_vec(), ahead).await.unwrap();
    outbox.enqueue(new(2), HOOK.to_vec(), NOW).await.unwrap();
    let Failed::Again(next) = outbox.failed(of(2), String::new(), NOW, 0).await.unwrap() else {
        panic!("it is tried again");
    };
    outbox.tidy(NOW).await.unwrap();
    assert_eq!(ids(&outbox.due(Channel::Webhook, NOW, 10).await.unwrap()), ["msg_1"]);
    assert!(matches!(outbox.failed(of(1), String::new(), NOW, 0).await.unwrap(), Failed::Again(_)));
    assert!(
        outbox.due(Channel::Webhook, next, 10).await.unwrap().iter().any(|alert| alert.id == id(2)),
        "the other waits as before"
    );
}

#[test]
fn where_there_is_no_room_the_oldest_dead_letter_leaves_and_else_nothing_comes() {
    let kept = Kept::new();
    let mut file = kept.file(Most { all: 4, dead: 2, told: 2 });
    for number in 1..=4 {
        assert!(file.enqueue(&new(number), &HOOK, NOW).unwrap());
    }
    assert!(matches!(file.enqueue(&new(5), &HOOK, NOW), Err(OutboxError::Full)));
    let (day, hour) = (NOW.after(PATIENCE), NOW.after(PATIENCE + HOUR));
    file.failed(&of(2), "", day, 0).unwrap();
    file.failed(&of(1), "", hour, 0).unwrap();
    assert!(file.enqueue(&new(5), &HOOK, hour).unwrap());
    let left = file.list(None, ALL, hour).unwrap();
    assert_eq!(ids(&left.items), ["msg_1", "msg_3", "msg_4", "msg_5"], "the one that died first is gone");
    file.failed(&of(3), "", hour, 0).unwrap();
    file.failed(&of(4), "", hour.after(MINUTE), 0).unwrap();
    let dead = file.list(Some(AlertState::Dead), ALL, hour).unwrap();
    assert_eq!(ids(&dead.items), ["msg_3", "msg_4"], "two at most");
    let large = NewAlert { body: "x".repeat(LARGEST + 1), ..new(6) };
    assert!(matches!(file.enqueue(&large, &HOOK, NOW), Err(OutboxError::TooLarge)));
    for number in 10..=13 {
        file.enqueue(&new(number), &HOOK, hour).unwrap();
        file.delivered(&of(number), hour.after(HOUR * number)).unwrap();
    }
    let told: i64 = Connection::open(kept.path())
        .unwrap()
        .query_row("SELECT count(*) FROM delivered", [], |row| row.get(0))
        .unwrap();
    assert_eq!(told, 2);
    assert!(!file.enqueue(&new(13), &HOOK, hour).unwrap());
}

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_one_that_cannot_be_opened_stops_nothing() {
    let kept = Kept::new();
    std::fs::write(kept.path(), vec![0x5a; 9000]).unwrap();
    let outbox = kept.open();
    assert!(outbox.enqueue(new(1), HOOK.to_vec(), NOW).await.unwrap());
    assert!(kept.0.path().join("testing.outbox.sqlite3.damaged-1").exists());
    let nowhere = Outbox::open(kept.0.path().join("nowhere/x.sqlite3"), EnvironmentName::Testing);
    assert!(matches!(nowhere.enqueue(new(1), HOOK.to_vec(), NOW).await, Err(OutboxError::Closed)));
    nowhere.close().await;
}

fn new_silence(number: usize, until: Timestamp) -> NewSilence {
    NewSilence {
        id: SilenceId::parse(&format!("sil_{number}")).unwrap(),
        client: number.is_multiple_of(2).then(|| ClientId::parse("app_1").unwrap()),
        silence: Silence { kind: number.is_multiple_of(3).then_some(AlertKind::Scan), until },
        by: "{}".to_owned(),
        why: "a load test".to_owned(),
    }
}

#[tokio::test]
async fn a_silence_is_kept_until_it_ends_and_is_counted() {
    let kept = Kept::new();
    let outbox = kept.open();
    let until = NOW.after(HOUR);
    for number in 0..4 {
        outbox.silence(new_silence(number, until.after(MINUTE * u32::try_from(number).unwrap())), NOW).await.unwrap();
    }
    outbox.count_silenced(new_silence(1, until).id, NOW.after(MINUTE)).await.unwrap();
    outbox.close().await;
    let outbox = kept.open();
    let silences = outbox.silences(NOW).await.unwrap();
    assert_eq!(silences.len(), 4);
    let expected = KeptSilence { made: new_silence(0, until), at: NOW, times: 0, last_at: None };
    assert_eq!(silences[0], expected);
    assert_eq!((silences[1].times, silences[1].last_at), (1, Some(NOW.after(MINUTE))));
    let ids =
        |silences: &[KeptSilence]| -> Vec<String> { silences.iter().map(|kept| kept.made.id.to_string()).collect() };
    assert_eq!(ids(&outbox.silences(until).await.unwrap()), ["sil_1", "sil_2", "sil_3"], "not a moment longer");
    assert!(outbox.unsilence(new_silence(2, until).id).await.unwrap());
    assert!(!outbox.unsilence(new_silence(2, until).id).await.unwrap());
    outbox.tidy(until.after(MINUTE)).await.unwrap();
    assert_eq!(ids(&outbox.silences(NOW).await.unwrap()), ["sil_3"], "what is over has gone");
}

#[test]
fn there_are_so_many_silences_and_what_is_over_makes_room() {
    let kept = Kept::new();
    let mut file = kept.file(MOST);
    for number in 0..silences::MOST {
        file.silence(&new_silence(number, NOW.after(HOUR)), NOW).unwrap();
    }
    let another = new_silence(silences::MOST, NOW.after(PATIENCE));
    assert!(matches!(file.silence(&another, NOW), Err(OutboxError::TooManySilences)));
    file.silence(&another, NOW.after(HOUR)).unwrap();
    assert_eq!(file.silences(NOW).unwrap().len(), 1);
}

#[tokio::test]
async fn a_channel_that_is_down_keeps_no_other_back() {
    let kept = Kept::new();
    let outbox = kept.open();
    assert!(outbox.enqueue(new(1), Channel::ALL.to_vec(), NOW).await.unwrap());
    assert!(!outbox.enqueue(new(1), Channel::ALL.to_vec(), NOW).await.unwrap());
    let by_email = Delivery { id: id(1), channel: Channel::Email };
    let day = NOW.after(PATIENCE);
    assert_eq!(outbox.failed(of(1), "no answer".to_owned(), day, 0).await.unwrap(), Failed::Dead);
    let due = outbox.due(Channel::Email, NOW, 10).await.unwrap();
    assert_eq!((ids(&due), due[0].channel, due[0].attempts), (vec!["msg_1"], Channel::Email, 0));
    outbox.delivered(by_email, NOW).await.unwrap();
    let standings = *outbox.standing().borrow();
    assert_eq!((standings.of(Channel::Email), standings.of(Channel::Webhook).dead), (Standing::default(), 1));
    assert!(outbox.knows(new(1).name).await.unwrap() && !outbox.knows(new(2).name).await.unwrap());
    let which = |channel| Which { id: None, channel: Some(channel) };
    assert_eq!(outbox.redeliver(which(Channel::Email), day).await.unwrap(), 0);
    assert_eq!(outbox.count(which(Channel::Webhook)).await.unwrap(), 1);
    assert_eq!(outbox.redeliver(which(Channel::Webhook), day).await.unwrap(), 1);
    assert_eq!(ids(&outbox.due(Channel::Webhook, day, 10).await.unwrap()), ["msg_1"]);
    // A channel that is new gets what comes from then on, and no room of another one is its own.
    let mut file = File::open(
        &kept.0.path().join("other"),
        Most { all: 1, dead: 1, told: 1 },
        watch::channel(Standings::default()).0,
    )
    .unwrap();
    file.enqueue(&new(1), &HOOK, NOW).unwrap();
    assert!(matches!(file.enqueue(&new(2), &Channel::ALL, NOW), Err(OutboxError::Full)));
    assert_eq!(ids(&file.due(Channel::Email, NOW, 10).unwrap()), ["msg_2"]);
}

/// As the product made files before there was a second channel.
const BEFORE: &str = "
    CREATE TABLE alerts (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL, since INTEGER NOT NULL, attempts INTEGER NOT NULL,
        next_at INTEGER, died_at INTEGER, error TEXT, CHECK ((next_at IS NULL) <> (died_at IS NULL))) STRICT;
    CREATE INDEX alerts_waiting ON alerts (next_at, number) WHERE next_at IS NOT NULL;
    CREATE TABLE told (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO alerts VALUES (7, 'msg_1', 'secret.expires of 1', 'secret.expires', '{}', 5, 6, 3, 1800000000000, NULL, 'x');
    INSERT INTO alerts VALUES (8, 'msg_2', 'secret.expires of 2', 'secret.expires', '{}', 5, 6, 9, NULL, 1800000000000, 'y');
    INSERT INTO told VALUES ('secret.expires of 3', 1800000000000);
";

#[tokio::test]
async fn a_file_of_one_channel_is_taken_over_whole() {
    let kept = Kept::new();
    Connection::open(kept.path()).unwrap().execute_batch(BEFORE).unwrap();
    for _ in 0..2 {
        let outbox = kept.open();
        let all = outbox.list(None, ALL, NOW).await.unwrap().items;
        assert_eq!(ids(&all), ["msg_1", "msg_2"]);
        assert!(all.iter().all(|alert| alert.channel == Channel::Webhook));
        assert_eq!((all[0].attempts, all[0].next_at, all[0].error.as_deref()), (3, Some(NOW), Some("x")));
        assert_eq!((all[1].state, all[1].error.as_deref()), (AlertState::Dead, Some("y")));
        assert!(!outbox.enqueue(new(3), HOOK.to_vec(), NOW).await.unwrap(), "it was told");
        outbox.close().await;
    }
    assert!(!kept.0.path().join("testing.outbox.sqlite3.damaged-1").exists());
}
