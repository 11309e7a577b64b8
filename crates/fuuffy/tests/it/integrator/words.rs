//! What integrators' commands say, and to whom: a terminal, a pipe that nobody reads, a person in doubt.

use super::{Desk, Ran};

#[test]
fn whoever_stops_reading_is_told_nothing() {
    let desk = Desk::new();
    for arguments in [&["token"][..], &["request", "GET", "/orders"], &["doctor"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::of(desk.command(arguments).stdout(writer).output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (1, ""));
    }
}

#[test]
fn a_base_url_without_its_path_is_told_of() {
    let desk = Desk::new();
    let base_url = format!("http://{}", desk.server.testing);
    let ran = desk.run(&["token", "--base-url", &base_url]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("404 not_found") && ran.err.contains("it ends in /v1"), "{ran:?}");
}
