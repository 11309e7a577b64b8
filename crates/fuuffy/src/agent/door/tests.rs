//! Which hosts are the agent's own.

use super::is_own;

#[test]
fn loopback_names_with_the_agents_port_are_its_own() {
    for host in ["127.0.0.1:7443", "localhost:7443", "LocalHost:7443", "[::1]:7443", "127.8.9.1:7443"] {
        assert!(is_own(host, 7443), "{host}");
    }
    assert!(is_own("localhost", 80) && is_own("[::1]", 80), "80 need not be said");
}

#[test]
fn nothing_else_is() {
    for host in [
        "",
        "localhost",
        "localhost:",
        "localhost:80",
        "localhost:+7443",
        "localhost:7443:7443",
        "localhost.attacker.example:7443",
        "127.0.0.1.attacker.example:7443",
        "attacker.example:7443",
        "user@localhost:7443",
        "0.0.0.0:7443",
        "192.0.2.1:7443",
        "[::1]",
        "[::]:7443",
        "[localhost:7443",
        ":7443",
    ] {
        assert!(!is_own(host, 7443), "{host}");
    }
}
