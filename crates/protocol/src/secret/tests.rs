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
fn a_secret_is_seen_at_the_start_of_whatever_follows() {
    let secret = ClientSecret::from_random(SecretKind::Production, &mut [7; 32]);
    let text = secret.reveal();
    assert_eq!(text.len(), ClientSecret::LENGTH);
    for rest in ["", "x", "0123", "\u{e9}", "\n"] {
        let (seen, kind) = ClientSecret::at_start_of(format!("{text}{rest}").as_bytes()).unwrap();
        assert_eq!((seen.reveal(), kind), (text, SecretKind::Production));
    }
    assert!(ClientSecret::at_start_of(format!(" {text}").as_bytes()).is_none());
    assert!(ClientSecret::at_start_of(&text.as_bytes()[..text.len() - 1]).is_none());
    assert!(ClientSecret::at_start_of(text.replace("live", "test").as_bytes()).is_none(), "the checksum is over both");
}

#[test]
fn a_mask_shows_four_characters_and_nothing_of_what_no_server_made() {
    let secret = ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]);
    assert_eq!(secret.masked(), format!("{}…", &secret.reveal()[..13]));
    assert_eq!(ClientSecret::presented("fsk_test_hunter2").masked(), "…");
    assert_eq!(AccessToken::parse("sk-418e41a74ca2e7d941fa4456d73dbed7").unwrap().masked(), "sk-418e…");
}

#[test]
fn a_token_is_seen_only_where_its_digits_end() {
    let token = "sk-418e41a74ca2e7d941fa4456d73dbed7";
    for rest in ["", " ", "\"", "\n"] {
        assert_eq!(AccessToken::at_start_of(format!("{token}{rest}").as_bytes()).unwrap().reveal(), token);
    }
    for rest in ["0", "g", "-", "A"] {
        assert!(AccessToken::at_start_of(format!("{token}{rest}").as_bytes()).is_none(), "{rest:?}");
    }
    let long = format!("{token}{}", &token[3..]);
    assert_eq!(AccessToken::at_start_of(format!("{long};").as_bytes()).unwrap().reveal(), long);
    assert!(AccessToken::at_start_of(format!("{long}0").as_bytes()).is_none());
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
    fn no_bytes_are_read_beyond_their_end(bytes: Vec<u8>) {
        prop_assert!(ClientSecret::at_start_of(&bytes).is_none());
        prop_assert!(AccessToken::at_start_of(&bytes).is_none());
    }

    #[test]
    fn one_character_that_is_another_one_makes_no_secret(random: [u8; 32], at in 0..ClientSecret::LENGTH, other in "[0-9A-Za-z_]") {
        let secret = ClientSecret::from_random(SecretKind::Testing, &mut random.clone());
        let mut text = secret.reveal().to_owned();
        text.replace_range(at..=at, &other);
        prop_assert_eq!(ClientSecret::at_start_of(text.as_bytes()).is_some(), text == secret.reveal());
    }

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

/// A JWT of ours by its looks: a header that begins as ours do, and two more parts.
#[test]
fn a_jwt_is_read_where_it_looks_like_ours_and_is_shown_by_three_letters() {
    let jwt = format!("{}IngifQ.e30.c2ln", AccessToken::JWT_START);
    let token = AccessToken::parse(&jwt).unwrap();
    assert_eq!((token.reveal(), token.masked().as_str()), (jwt.as_str(), "eyJ…"));
    let within = format!("{jwt}. And so on");
    assert_eq!(AccessToken::at_start_of(within.as_bytes()).unwrap().reveal(), jwt);
    let long = |length: usize| format!("{jwt}{}", "A".repeat(length - jwt.len()));
    assert!(AccessToken::parse(&long(AccessToken::LONGEST_JWT)).is_some());
    let too_long = long(AccessToken::LONGEST_JWT + 1);
    assert!(AccessToken::at_start_of(too_long.as_bytes()).is_none());
    let unlike = [
        "eyJhbGciOiJub25lIn0.e30.c2ln".to_owned(),
        jwt.replace(".c2ln", ""),
        jwt.replace("c2ln", ""),
        jwt.replace("e30", ""),
        format!("{jwt}.c2ln"),
        format!("{jwt}="),
        format!("{jwt} "),
        jwt.to_lowercase(),
        too_long,
    ];
    for text in unlike {
        assert!(AccessToken::parse(&text).is_none(), "{text}");
        assert!(AccessToken::signed(zeroize::Zeroizing::new(text)).is_none());
    }
}
