//! Whoever took access away is named for what they did, and nobody for what another did.

use crate::app::{get, token};
use crate::explain::{by_secret, happened, served, with_secret};

#[test]
fn tokens_revoked_together_name_the_deed_that_revoked_them() {
    let (place, server) = served();
    let client = place.client("testing");
    let on = |words: &[&str], why: &str| {
        place.done(&[words, &["--environment", "testing", "--why", why]].concat());
    };
    let told = |token: &str| happened(&place, &get(server.testing, "/v1/orders", token));
    let first = token(server.testing, &client);
    on(&["tokens", "revoke", "--client", &client.id], "the first time");
    on(&["clients", "update", &client.id, "--name", "Bolt"], "a nicer name");
    assert!(told(&first).contains("the first time"), "{}", told(&first));
    let second = token(server.testing, &client);
    on(&["clients", "update", &client.id, "--scope", "orders:read"], "reads only");
    let third = token(server.testing, &client);
    on(&["tokens", "revoke", "--client", &client.id], "the third time");
    on(&["clients", "update", &client.id, "--scope", "orders:read orders:write"], "writes again");
    for (token, why) in [(&first, "the first time"), (&second, "reads only"), (&third, "the third time")] {
        assert!(told(token).contains(why), "{why}: {}", told(token));
    }
    on(&["clients", "suspend", &client.id], "an invoice");
    on(&["tokens", "revoke", "--client", &client.id], "to be sure");
    assert!(told(&third).contains("an invoice"), "who suspended it: {}", told(&third));
    on(&["clients", "resume", &client.id], "paid");
    assert!(told(&third).contains("the third time"), "{}", told(&third));
}

#[test]
fn tokens_revoked_alone_and_secrets_retired_are_told_apart() {
    let (place, server) = served();
    let client = place.client("testing");
    let with = |words: &[&str]| place.done(&[words, &["--environment", "testing"]].concat());
    let first = token(server.testing, &client);
    // Lives of two lengths, so that no two tokens end at once.
    with(&["clients", "update", &client.id, "--token-lifetime", "30m"]);
    let second = token(server.testing, &client);
    let listed = with(&["tokens", "list", "--client", &client.id]);
    let revoke = |place: usize, why: &str| {
        with(&["tokens", "revoke", "--token-id", listed[place]["token_id"].as_str().unwrap(), "--why", why]);
    };
    revoke(1, "the first one");
    revoke(0, "the second one");
    for (token, why) in [(&first, "the first one"), (&second, "the second one")] {
        let told = happened(&place, &get(server.testing, "/v1/orders", token));
        assert!(told.starts_with("The token had been revoked; by the local user") && told.contains(why), "{told}");
    }
    let add = || with(&["secrets", "add", "--client", &client.id]);
    let secrets = [add(), add()];
    let member = |secret: &serde_json::Value, name: &str| secret[name].as_str().unwrap().to_owned();
    for (secret, why) in secrets.iter().zip(["an old laptop", "a new laptop"]) {
        let id = member(secret, "secret_id");
        with(&["secrets", "retire", "--client", &client.id, "--secret", &id, "--why", why]);
    }
    for (secret, why) in secrets.iter().zip(["an old laptop", "a new laptop"]) {
        let refused = with_secret(server.testing, &client, &member(secret, "client_secret"));
        let told = happened(&place, &refused);
        assert!(told.contains(&member(secret, "secret_id")) && told.contains(why), "{told}");
        assert_eq!(by_secret(server.testing, &client, &refused).json()["data"]["happened"], told.as_str());
    }
}
