//! What is taken as a kind and as a time, and what is said of anything else.

use super::*;

#[test]
fn a_silence_lasts_from_a_second_to_a_year() {
    for (text, seconds) in [("1s", 1), ("30m", 1800), ("4h", 14_400), ("365d", 31_536_000), ("8760h", 31_536_000)] {
        assert_eq!(lasts(text).unwrap(), Duration::from_secs(seconds), "{text}");
    }
    for text in ["", "s", "0s", "0d", "366d", "8761h", "1000000s", "-1h", "+1h", "1.5h", "4", "4w", "4H", " 4h", "4ä"]
    {
        let Err(DeedError::Invalid(words)) = lasts(text) else { panic!("{text} is taken") };
        assert!(words.contains("from 1s to 365d"), "{words}");
    }
}

#[test]
fn a_kind_is_known_by_its_name_and_an_unknown_one_gets_the_nearest() {
    assert_eq!(kind("scan").unwrap(), AlertKind::Scan);
    for (text, hint) in [
        ("volume_dorp", "did you mean volume_drop?"),
        ("newnetwork", "did you mean new_network?"),
        ("x", "expected one of: volume_jump, volume_drop, "),
    ] {
        let Err(DeedError::Invalid(words)) = kind(text) else { panic!("{text} is taken") };
        assert!(words.starts_with("kind: no alert is called so; ") && words.contains(hint), "{words}");
    }
}
