//! Every kind of special address, by its first and its last one.

use super::*;

fn reach(address: &str) -> Reach {
    Reach::of(address.parse().unwrap())
}

#[test]
fn private_addresses_are_private() {
    for address in [
        "127.0.0.1",
        "127.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "::1",
        "fc00::",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "64:ff9b::192.168.1.1",
    ] {
        assert_eq!(reach(address), Reach::Private, "{address}");
    }
}

#[test]
fn no_webhook_is_at_a_group_a_link_or_an_example() {
    for address in [
        "0.0.0.0",
        "0.255.255.255",
        "169.254.169.254",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.255",
        "203.0.113.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::0.0.0.0",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert_eq!(reach(address), Reach::Never, "{address}");
    }
}

#[test]
fn their_neighbours_are_public() {
    for address in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ] {
        assert_eq!(reach(address), Reach::Public, "{address}");
    }
}

#[test]
fn what_is_allowed_is_what_the_operator_said() {
    let [private, public, never] = ["10.0.0.1", "1.1.1.1", "0.0.0.0"].map(|address| address.parse::<IpAddr>().unwrap());
    let strict = MayReach { private: false, public: true };
    assert_eq!(strict.check(private), Err(Unreachable::Private(private)));
    assert_eq!(strict.check(public), Ok(()));
    assert_eq!(strict.check(never), Err(Unreachable::Never(never)));
    let in_clear = MayReach { private: true, public: false };
    assert_eq!(in_clear.check(private), Ok(()));
    assert_eq!(in_clear.check(public), Err(Unreachable::InClear(public)));
    assert_eq!(in_clear.check(never), Err(Unreachable::Never(never)));
}
