//! A letter on the wire.

use super::*;

#[test]
fn no_line_of_a_letter_ends_it() {
    for (letter, wire) in [
        ("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
        (".a", "..a\r\n.\r\n"),
        ("..\r\nb.\r\n", "...\r\nb.\r\n.\r\n"),
        ("", "\r\n.\r\n"),
    ] {
        assert_eq!(String::from_utf8(stuffed(letter.as_bytes())).unwrap(), wire, "{letter:?}");
    }
}
