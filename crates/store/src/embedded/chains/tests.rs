//! What a chain answers, against a list of all rows.

use proptest::prelude::*;

use super::*;

proptest! {
    /// As a list of all rows would answer, whatever was appended, left out and forgotten.
    #[test]
    fn a_client_has_its_rows_and_nobody_elses(
        deeds in prop::collection::vec((0..4_u32, 0..6_i64, prop::option::weighted(0.1, 0..40_i64)), 0..200),
    ) {
        let chains = Chains::default();
        let (mut row, mut rows) = (100, Vec::<(i64, ClientSlot)>::new());
        for (client, hole, forgotten) in deeds {
            // Mostly there is no hole.
            row += 1 + (hole - 4).max(0);
            chains.append([(row, ClientSlot(client))]);
            rows.push((row, ClientSlot(client)));
            if let Some(kept) = forgotten {
                chains.forget(row - kept);
                rows.retain(|(number, _)| *number > row - kept);
            }
            for client in (0..4).map(ClientSlot) {
                let expected: Vec<i64> =
                    rows.iter().rev().filter(|(_, owner)| *owner == client).map(|(number, _)| *number).collect();
                prop_assert_eq!(chains.of(client), expected);
            }
        }
    }
}

#[test]
fn a_long_chain_is_whole() {
    let chains = Chains::default();
    let rows = (1..=20_000).map(|row| (row, ClientSlot(u32::try_from(row % 2).unwrap())));
    chains.append(rows);
    assert_eq!(chains.of(ClientSlot(1)).len(), 10_000);
    assert_eq!(chains.of(ClientSlot(1)).last(), Some(&1));
}

#[test]
fn clients_whose_rows_are_gone_leave_nothing_behind() {
    let chains = Chains::default();
    chains.append((1..=50_000).map(|row| (row, ClientSlot(u32::try_from(row).unwrap()))));
    chains.forget(49_999);
    assert!(chains.0.read().newest.len() <= 1026);
    chains.append([(i64::MAX, ClientSlot(1))]);
    assert_eq!(chains.0.read().distances.len(), 1, "a hole that no deed makes costs nothing");
    assert_eq!((chains.of(ClientSlot(1)), chains.of(ClientSlot(50_000))), (vec![i64::MAX], vec![]));
}
