//! Nothing rests on the file of explanations: neither its damage nor the want of it stops a server.

use crate::app::get;
use crate::explain::{happened, id, served};
use crate::http1::request;

const UNKNOWN: &str = "sk-00000000000000000000000000000000";

#[test]
fn a_damaged_file_is_put_aside_at_the_start() {
    let (place, server) = served();
    let before = get(server.testing, "/v1/orders", UNKNOWN);
    happened(&place, &before);
    assert!(server.stop().success());
    let file = place.path("data/testing.explain.sqlite3");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..].fill(0x5a);
    std::fs::write(&file, &bytes).unwrap();
    let server = place.serve();
    assert!(place.log().contains("were damaged and were put aside"), "{}", place.log());
    assert_eq!(std::fs::read(place.path("data/testing.explain.sqlite3.damaged-1")).unwrap(), bytes);
    assert_eq!(place.command(&["explain", id(&before)]).status.code(), Some(1), "it is lost");
    assert!(happened(&place, &get(server.testing, "/v1/orders", UNKNOWN)).starts_with("Nobody knows the token"));
}

#[test]
fn a_file_that_cannot_be_opened_is_left_alone_and_counted() {
    let (place, server) = served();
    let before = get(server.testing, "/v1/orders", UNKNOWN);
    let told = happened(&place, &before);
    assert!(server.stop().success());
    // Stands in the way for any user, root included.
    let obstacle = place.path("data/testing.explain.sqlite3-wal");
    std::fs::create_dir(&obstacle).unwrap();
    let server = place.serve();
    for _ in 0..3 {
        assert_eq!(get(server.testing, "/v1/orders", UNKNOWN).status, 401);
    }
    let metrics = request(server.admin, "GET", "/metrics", &[], "").text();
    assert!(metrics.contains("fuuffy_explanations_dropped_total{environment=\"testing\"} 3\n"), "{metrics}");
    assert_eq!(place.log().matches("are not kept until the next start").count(), 1, "{}", place.log());
    assert!(server.stop().success());
    std::fs::remove_dir(&obstacle).unwrap();
    let _server = place.serve();
    assert_eq!(happened(&place, &before), told, "nothing was put aside");
}
