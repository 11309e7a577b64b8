//! Whose silence covers what.

use fuuffy_domain::{ClientId, Direction, Measure};
use fuuffy_store::NewSilence;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);
const UNTIL: Timestamp = Timestamp::from_unix_millis(1_800_000_060_000);
const DROP: AlertKind = AlertKind::Series(Measure::Volume, Direction::Drop);

fn kept(id: &str, client: Option<&str>, kind: Option<AlertKind>) -> KeptSilence {
    let made = NewSilence {
        id: SilenceId::parse(id).unwrap(),
        client: client.map(|id| ClientId::parse(id).unwrap()),
        silence: Silence { kind, until: UNTIL },
        by: "{}".to_owned(),
        why: String::new(),
    };
    KeptSilence { made, at: NOW, times: 0, last_at: None }
}

#[test]
fn a_silence_covers_its_client_and_its_kind_until_it_ends() {
    let all = vec![
        kept("sil_scan", None, Some(AlertKind::Scan)),
        kept("sil_own", Some("app_1"), None),
        kept("sil_gone", Some("app_2"), None),
    ];
    let silences =
        Silences::new(all, |kept| kept.made.client.as_ref().filter(|id| id.as_str() == "app_1").map(|_| ClientSlot(1)));
    assert_eq!(
        (silences.of(Some(ClientSlot(1))).len(), silences.of(Some(ClientSlot(2))).len(), silences.of(None).len()),
        (2, 1, 1)
    );
    let covering = |slot, kind, now| silences.covering(Some(ClientSlot(slot)), kind, now).map(SilenceId::as_str);
    assert_eq!(covering(1, DROP, NOW), Some("sil_own"));
    assert_eq!(covering(1, AlertKind::Scan, NOW), Some("sil_own"), "its own first");
    assert_eq!(covering(2, AlertKind::Scan, NOW), Some("sil_scan"));
    assert_eq!(covering(2, DROP, NOW), None, "of a client that is gone there is no silence of all");
    assert_eq!(covering(1, DROP, UNTIL), None);
    let of_all = |kind| silences.covering(None, kind, NOW).map(SilenceId::as_str);
    assert_eq!(
        (of_all(AlertKind::Scan), of_all(DROP)),
        (Some("sil_scan"), None),
        "what holds for all, for the environment"
    );
}
