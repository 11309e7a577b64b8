//! What reaches a terminal, however it was cut into pieces.

use proptest::prelude::*;

use super::*;

fn written(pieces: &[&[u8]], is_terminal: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut terminal = Terminal::on(&mut out, is_terminal);
    for piece in pieces {
        terminal.write_all(piece).unwrap();
    }
    terminal.flush().unwrap();
    out
}

#[test]
fn letters_reach_a_terminal_and_controls_do_not() {
    let said = "é ü €\t中\r\n\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\u{a0}".as_bytes();
    let shown = "é ü €\t中\r\n\u{fffd}]0;title\u{fffd}\u{fffd}31m\u{fffd}\u{a0}";
    assert_eq!(written(&[said], true), shown.as_bytes());
    assert_eq!(written(&[said], false), said);
    assert_eq!(written(&[b"a\xc2"], true), b"a\xc2", "a letter that was cut off");
}

proptest! {
    #[test]
    fn no_cut_lets_a_control_through(said in any::<String>(), cut in 0_usize..40) {
        let (start, end) = said.as_bytes().split_at(cut.min(said.len()));
        let shown = String::from_utf8(written(&[start, end], true)).unwrap();
        prop_assert!(!shown.chars().any(|it| it.is_control() && !"\n\r\t".contains(it)));
        prop_assert_eq!(shown.chars().count(), said.chars().count());
    }
}
