//! What was done to a chain, told from its rows alone. Tampering with real files is tested through the binary.

use zeroize::Zeroizing;

use super::{AuditChain, Beginning, Proof};
use crate::{
    AUDIT_START, Actor, AuditEvent, AuditHash, AuditKeys, Cause, ChainState, Checkpoint, ClientId, EnvironmentName,
    KeyId, RequestId, Tampering, Timestamp, audit_hash, audit_record,
};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

#[derive(Clone)]
struct Row(i64, String, AuditHash);

fn keys() -> AuditKeys {
    AuditKeys::derive(EnvironmentName::Testing, &[(KeyId(1), Zeroizing::new([7; 32]))]).unwrap()
}

fn record(sequence: i64, client: &str) -> String {
    let cause =
        Cause { actor: Actor::Server, from: None, request: RequestId::generate(NOW, [7; 10]), at: NOW, why: None };
    let event = AuditEvent::ClientSuspended { client_id: ClientId::parse(client).unwrap() };
    audit_record(sequence, EnvironmentName::Testing, &cause, &event)
}

fn rows(count: i64) -> Vec<Row> {
    let mut previous = AUDIT_START;
    let row = |sequence| {
        let record = record(sequence, "acme");
        previous = audit_hash(&previous, &record);
        Row(sequence, record, previous)
    };
    (1..=count).map(row).collect()
}

fn sign(row: &Row) -> Checkpoint {
    let state =
        ChainState { environment: EnvironmentName::Testing, sequence: row.0, hash: row.2, at: NOW, removed_by: None };
    keys().sign(state)
}

fn follow(rows: &[Row], checkpoint: &Checkpoint, kept: &[Checkpoint]) -> Result<Proof, Tampering> {
    let mut chain = AuditChain::start(EnvironmentName::Testing, keys().public(), kept, false)?;
    for Row(stands, record, hash) in rows {
        chain.record(*stands, record, hash)?;
        if *stands == checkpoint.state.sequence {
            chain.checkpoint(checkpoint)?;
        }
    }
    chain.end()
}

fn renumber(rows: &mut [Row]) {
    for (row, number) in rows.iter_mut().zip(1..) {
        row.0 = number;
    }
}

#[test]
fn a_whole_chain_is_proven_as_far_as_it_is_signed() {
    let rows = rows(9);
    let proof = follow(&rows, &sign(&rows[6]), &[]).unwrap();
    assert_eq!(proof, Proof { beginning: Beginning::Whole, last: 9, signed_up_to: 7, signed_at: Some(NOW) });
}

#[test]
fn the_first_bad_row_is_named_and_what_was_done_to_it() {
    let whole = rows(20);
    let checkpoint = sign(&whole[19]);
    let tampered = |change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = whole.clone();
        change(&mut rows);
        follow(&rows, &checkpoint, &[]).unwrap_err()
    };
    assert_eq!(tampered(&|rows| rows[4].1 = rows[4].1.replace("acme", "else")), Tampering::Changed(5));
    assert_eq!(tampered(&|rows| rows[4].2[0] ^= 1), Tampering::Changed(5));
    assert_eq!(tampered(&|rows| drop(rows.remove(4))), Tampering::Removed(5));
    let removed_and_renumbered = |rows: &mut Vec<Row>| {
        rows.remove(4);
        renumber(rows);
    };
    assert_eq!(tampered(&removed_and_renumbered), Tampering::Removed(5));
    let inserted = |rows: &mut Vec<Row>| {
        let record = record(5, "else");
        let hash = audit_hash(&rows[3].2, &record);
        rows.insert(4, Row(5, record, hash));
        renumber(rows);
    };
    // Its own hash is right: the row after it gives it away.
    assert_eq!(tampered(&inserted), Tampering::Inserted(5));
    let inserted_without_hash = |rows: &mut Vec<Row>| {
        rows.insert(4, Row(5, record(5, "else"), [9; 32]));
        renumber(rows);
    };
    assert_eq!(tampered(&inserted_without_hash), Tampering::Inserted(5));
    let swapped = |rows: &mut Vec<Row>| {
        rows.swap(4, 7);
        renumber(rows);
    };
    assert_eq!(tampered(&swapped), Tampering::Reordered(5));
    assert_eq!(tampered(&|rows| drop(rows.drain(..3))), Tampering::CutFromStart { row: 1, up_to: 3 });
    assert_eq!(tampered(&|rows| rows.truncate(12)), Tampering::Unsigned(1));
}

#[test]
fn what_was_kept_elsewhere_shows_the_end_that_was_cut() {
    let rows = rows(20);
    let early = sign(&rows[9]);
    assert!(follow(&rows[..12], &early, &[]).is_ok(), "nothing tells that there was more");
    let cut = follow(&rows[..12], &early, &[sign(&rows[16])]).unwrap_err();
    assert_eq!(cut, Tampering::CutFromEnd { row: 13, up_to: 17 });
}

/// A log that begins after a removal is proven by the key that signed the removal, whoever signed what was kept of
/// the rows before.
#[test]
fn what_was_kept_of_rows_before_the_beginning_needs_no_key() {
    let rows = rows(20);
    let others = AuditKeys::derive(EnvironmentName::Testing, &[(KeyId(2), Zeroizing::new([8; 32]))]).unwrap();
    let by_others = |row: &Row| others.sign(sign(row).state);
    let proven = |kept: &Checkpoint| {
        let kept = std::slice::from_ref(kept);
        let mut chain = AuditChain::start(EnvironmentName::Testing, keys().public(), kept, true).unwrap();
        chain.checkpoint(&sign(&rows[9])).unwrap();
        for Row(stands, record, hash) in &rows[10..] {
            chain.record(*stands, record, hash).unwrap();
        }
        chain.checkpoint(&sign(&rows[19])).unwrap();
        chain.end().map(|proof| proof.last)
    };
    assert_eq!(proven(&by_others(&rows[9])), Ok(20));
    assert_eq!(proven(&by_others(&rows[10])), Err(Tampering::BadSignature(11)));
}

#[test]
fn a_checkpoint_before_all_rows_is_no_beginning() {
    let rows = rows(20);
    let mut chain = AuditChain::start(EnvironmentName::Testing, keys().public(), &[], false).unwrap();
    chain.checkpoint(&sign(&rows[4])).unwrap();
    let Row(stands, record, hash) = &rows[5];
    assert_eq!(chain.record(*stands, record, hash), Err(Tampering::CutFromStart { row: 1, up_to: 5 }));
    let mut emptied = AuditChain::start(EnvironmentName::Testing, keys().public(), &[], false).unwrap();
    emptied.checkpoint(&sign(&rows[4])).unwrap();
    assert_eq!(emptied.end(), Err(Tampering::CutFromEnd { row: 1, up_to: 5 }));
    let mut part = AuditChain::start(EnvironmentName::Testing, keys().public(), &[], true).unwrap();
    part.checkpoint(&sign(&rows[4])).unwrap();
    part.record(*stands, record, hash).unwrap();
    assert_eq!(part.end().unwrap().beginning, Beginning::Part { after: 5 });
}

#[test]
fn a_checkpoint_holds_for_one_state_of_one_environment() {
    let rows = rows(9);
    let good = sign(&rows[8]);
    assert_eq!(Checkpoint::parse(&good.to_line()), Some(good.clone()));
    let mut swapped = good.clone();
    swapped.signature = sign(&rows[7]).signature;
    assert_eq!(follow(&rows, &swapped, &[]), Err(Tampering::BadSignature(9)));
    let mut moved = good.clone();
    moved.state.at = NOW.after(std::time::Duration::from_millis(1));
    assert_eq!(follow(&rows, &moved, &[]), Err(Tampering::BadSignature(9)));
    let others = AuditKeys::derive(EnvironmentName::Production, &[(KeyId(1), Zeroizing::new([7; 32]))]).unwrap();
    assert_eq!(follow(&rows, &others.sign(good.state), &[]), Err(Tampering::BadSignature(9)));
}
