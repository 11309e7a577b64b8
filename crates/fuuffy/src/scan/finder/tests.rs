//! Each secret is found once, where it is, whatever stands around it; and nothing else is.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A reader that hands out a few bytes at a time.
struct Drops<'a>(&'a [u8], usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.1).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn found_in(bytes: &[u8], window: usize, drop: usize) -> Vec<Sighting> {
    let mut found = Vec::new();
    let read = Finder::with_window(true, window).search(&mut Drops(bytes, drop), &mut |it| found.push(it)).unwrap();
    assert_eq!(read, bytes.len() as u64);
    found
}

/// How a find is written among other bytes.
#[derive(Debug, Clone, Copy)]
enum Written {
    Plain,
    LittleEndian,
    BigEndian,
}

impl Written {
    fn write(self, text: &str) -> Vec<u8> {
        match self {
            Self::Plain => text.as_bytes().to_vec(),
            Self::LittleEndian => text.bytes().flat_map(|byte| [byte, 0]).collect(),
            Self::BigEndian => text.bytes().flat_map(|byte| [0, byte]).collect(),
        }
    }

    /// Bytes before the one that a find is told by.
    fn lead(self) -> usize {
        usize::from(matches!(self, Self::BigEndian))
    }
}

fn line_and_column(bytes: &[u8], at: usize) -> (u64, u64) {
    let before = &bytes[..at];
    let feeds = before.iter().filter(|byte| **byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
    (feeds as u64 + 1, (at - start) as u64 + 1)
}

fn secret() -> impl Strategy<Value = (SecretKind, [u8; 32])> {
    (prop_oneof![Just(SecretKind::Testing), Just(SecretKind::Production)], any::<[u8; 32]>())
}

fn written() -> impl Strategy<Value = Written> {
    prop_oneof![Just(Written::Plain), Just(Written::LittleEndian), Just(Written::BigEndian)]
}

/// Foreign bytes: any, or some that look much like ours.
fn around() -> impl Strategy<Value = Vec<u8>> {
    let alike = proptest::sample::select(b"fsk_test_live-0aZ\n\0".to_vec());
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..600), proptest::collection::vec(alike, 0..600)]
}

proptest! {
    #[test]
    fn a_secret_is_found_wherever_it_is(
        parts in proptest::collection::vec((around(), secret(), written()), 0..4),
        end in around(),
        window in 0_usize..1200,
        drop in 1_usize..300,
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (before, (kind, mut random), written) in parts {
            let secret = ClientSecret::from_random(kind, &mut random);
            bytes.extend(before);
            let at = bytes.len() + written.lead();
            bytes.extend(written.write(secret.reveal()));
            let (line, column) = line_and_column(&bytes, at);
            expected.push(Sighting { found: Found::Secret(kind), masked: secret.masked(), line, column });
        }
        bytes.extend(end);
        let found = found_in(&bytes, window, drop);
        let secrets: Vec<_> = found.into_iter().filter(|it| it.found != Found::Token).collect();
        prop_assert_eq!(secrets, expected);
    }

    #[test]
    fn one_character_that_is_another_one_is_no_find(
        (kind, mut random) in secret(),
        (before, after) in (around(), around()),
        at in 0..ClientSecret::LENGTH,
        other in proptest::sample::select(b"0123456789ABCXYZabcxyz_- ".to_vec()),
        written in written(),
    ) {
        let mut text = ClientSecret::from_random(kind, &mut random).reveal().as_bytes().to_vec();
        let is_same = text[at] == other;
        text[at] = other;
        let bytes = [before, written.write(std::str::from_utf8(&text).unwrap()), after].concat();
        prop_assert_eq!(found_in(&bytes, 0, 100).iter().any(|it| it.found != Found::Token), is_same);
    }

    #[test]
    fn where_the_window_ends_changes_nothing(
        bytes in around(),
        token: [u8; 16],
        before in proptest::sample::select(vec!["", "x", " "]),
        written in written(),
        window in 0_usize..1200,
    ) {
        let token = AccessToken::from_random(&mut token.clone());
        let token = written.write(&format!("{before}{}", token.reveal()));
        let bytes = [&bytes, &token[..], &bytes].concat();
        prop_assert_eq!(found_in(&bytes, window, 7), found_in(&bytes, 1 << 16, 1 << 16));
    }

    #[test]
    fn a_masked_text_has_none(before in "[ -~]{0,80}", (kind, mut random) in secret(), after in ".{0,80}") {
        let secret = ClientSecret::from_random(kind, &mut random);
        let masked = mask(&format!("{before}{}{after}", secret.reveal()));
        prop_assert!(!masked.contains(secret.reveal()) && masked.contains(&secret.masked()));
    }
}

/// Of two bytes a character has the other one zero, or it is another character.
#[test]
fn between_the_characters_there_is_nothing() {
    let secret = ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]);
    for written in [Written::LittleEndian, Written::BigEndian] {
        let right = written.write(secret.reveal());
        assert_eq!(found_in(&right, 0, 9).len(), 1);
        for at in (0..right.len()).filter(|at| right[*at] == 0) {
            let mut wrong = right.clone();
            wrong[at] = 1;
            // What is before the first character, or after the last one, is none of it.
            let is_outside = at == 0 || at == right.len() - 1;
            assert_eq!(found_in(&wrong, 0, 9).len(), usize::from(is_outside), "{at} {written:?}");
        }
    }
}

#[test]
fn a_token_is_a_word_of_its_own() {
    let token = "sk-418e41a74ca2e7d941fa4456d73dbed7";
    for (text, is_found) in [
        (format!("Bearer {token}\n"), true),
        (token.to_owned(), true),
        (format!("{{\"access_token\":\"{token}\"}}"), true),
        (format!("ta{token}"), false),
        (format!("/a-{token}"), false),
        (format!("{token}0"), false),
        (format!("{token}-"), false),
    ] {
        for written in [Written::Plain, Written::LittleEndian, Written::BigEndian] {
            // Wherever the window ends.
            for before in 0..300 {
                let bytes = [vec![b' '; before], written.write(&text)].concat();
                let found = found_in(&bytes, 0, 100);
                assert_eq!(found.iter().any(|it| it.found == Found::Token), is_found, "{text} {written:?} {before}");
            }
        }
    }
    let mut found = Vec::new();
    Finder::new(false).search(&mut Cursor::new(token), &mut |it| found.push(it)).unwrap();
    assert_eq!(found, [], "tokens only where they are asked for");
}

/// A stream that breaks off is searched as far as it went.
#[test]
fn what_came_before_an_error_is_told() {
    struct Breaks;
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let secret = ClientSecret::from_random(SecretKind::Testing, &mut [7; 32]);
    let mut found = Vec::new();
    let ended = Finder::new(false).search(&mut secret.reveal().as_bytes().chain(Breaks), &mut |it| found.push(it));
    assert_eq!((ended.unwrap_err().to_string(), found.len()), ("gone".to_owned(), 1));
}
