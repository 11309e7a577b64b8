//! The look of secrets and tokens, and their silence.

use proptest::prelude::*;

use super::*;

#[test]
fn a_secret_has_the_documented_parts() {
    let secret = ClientSecret::from_random(SecretKind::Testing, &mut [255; 32]);
    let text = secret.reveal();
    assert_eq!(text.len(), 9 + 43 + 6);
    assert!(text.starts_with("fsk_test_"));
    assert!(secret.is_well_formed(SecretKind::Testing));
    assert!(!secret.is_well_formed(SecretKind::Production));
}

#[test]
fn a_changed_character_breaks_the_checksum() {
    let secret = ClientSecret::from_random(SecretKind::Production, &mut [7; 32]);
    let mut text = secret.reveal().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == 'a' { 'b' } else { 'a' });
    assert!(!ClientSecret::presented(&text).is_well_formed(SecretKind::Production));
}

#[test]
fn the_guides_token_is_a_token() {
    let token = AccessToken::parse("sk-418e41a74ca2e7d941fa4456d73dbed7").unwrap();
    assert_eq!(format!("{token:?}"), "AccessToken");
    for bad in ["", "sk-", "sk-418E41a74ca2e7d941fa4456d73dbed7", "sk-41 ", "418e41a74ca2e7d941fa4456d73dbed7"] {
        assert!(AccessToken::parse(bad).is_none(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn distinct_random_makes_distinct_secrets(a: [u8; 32], b: [u8; 32]) {
        let [left, right] = [a, b].map(|mut random| ClientSecret::from_random(SecretKind::Testing, &mut random));
        prop_assert_eq!(a == b, left.reveal() == right.reveal());
        prop_assert!(left.is_well_formed(SecretKind::Testing));
    }

    #[test]
    fn a_token_spends_every_bit(random: [u8; 16]) {
        let token = AccessToken::from_random(&mut random.clone());
        let digits = token.reveal().strip_prefix("sk-").unwrap();
        prop_assert_eq!(u128::from_str_radix(digits, 16).unwrap().to_be_bytes(), random);
        prop_assert!(AccessToken::parse(token.reveal()).is_some());
    }
}
