//! A store of the first version: told of, copied, brought forward, and served.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::app::{Place, ask_for_token};
use crate::keys::unlimited;

/// The first version's tables, as they were.
const FIRST: &str = "
    CREATE TABLE meta (environment TEXT NOT NULL);
    CREATE TABLE clients (slot INTEGER PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        scopes TEXT NOT NULL, plan TEXT NOT NULL, token_lifetime INTEGER,
        status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
        generation INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;
    CREATE TABLE secrets (secret_id TEXT PRIMARY KEY, client INTEGER NOT NULL REFERENCES clients (slot),
        key INTEGER NOT NULL, digest BLOB NOT NULL CHECK (length(digest) = 32), created_at INTEGER NOT NULL,
        expires_at INTEGER, retired_at INTEGER, last_used_at INTEGER, use_count INTEGER NOT NULL DEFAULT 0,
        exposed_at INTEGER) STRICT;
    CREATE INDEX secrets_of_client ON secrets (client, created_at);
    CREATE TABLE scopes (id INTEGER PRIMARY KEY, scope TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE tokens (seq INTEGER PRIMARY KEY, digest BLOB NOT NULL, client INTEGER NOT NULL,
        generation INTEGER NOT NULL, scope INTEGER NOT NULL, key INTEGER NOT NULL, issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL) STRICT;
    INSERT INTO meta SELECT environment FROM now.meta;
    INSERT INTO clients SELECT slot, client_id, name, scopes, plan, token_lifetime, status, generation, created_at
        FROM now.clients;
    INSERT INTO secrets SELECT secret_id, client, key, digest, created_at, expires_at, retired_at, last_used_at,
        use_count, exposed_at FROM now.secrets;
    PRAGMA application_id = 1718969977;
    PRAGMA user_version = 1;
";

/// The testing store as the first version would have it.
fn take_back(place: &Place) {
    let (store, old) = (place.path("data/testing.sqlite3"), place.path("data/old"));
    let first = Connection::open(&old).unwrap();
    first.execute("ATTACH ?1 AS now", [store.to_str().unwrap()]).unwrap();
    first.execute_batch(FIRST).unwrap();
    first.execute_batch("DETACH now").unwrap();
    drop(first);
    std::fs::rename(&old, &store).unwrap();
}

fn version(store: &Path) -> i64 {
    Connection::open(store).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[test]
fn an_old_store_is_told_of_copied_and_brought_forward() {
    let place = unlimited();
    let client = place.client("testing");
    let store = place.path("data/testing.sqlite3");
    let newest = version(&store);
    take_back(&place);
    let told = place.done(&["migrate", "--check"]);
    assert_eq!(told[0], json!({"environment": "testing", "version": 1, "newest": newest, "copy": null}));
    assert_eq!(told[1]["version"], newest);
    assert_eq!(version(&store), 1, "a check changes nothing");

    let done: Value = place.done(&["migrate"]);
    let copy = place.path("data/testing.sqlite3.version-1");
    assert_eq!((done[0]["copy"].as_str(), &done[1]["copy"]), (copy.to_str(), &Value::Null));
    assert_eq!((version(&store), version(&copy)), (newest, 1));
    let again = place.command(&["migrate"]);
    assert!(again.status.success() && String::from_utf8(again.stderr).unwrap().contains("Nothing to do"));
    let server = place.serve();
    assert_eq!(ask_for_token(server.testing, &client).status, 200);
    assert!(place.command(&["migrate", "--check"]).status.success(), "looking disturbs no server");
    assert!(server.stop().success());

    // The copy opens as what it was, and serving migrates it as well.
    std::fs::rename(&copy, &store).unwrap();
    let server = place.serve();
    assert_eq!(ask_for_token(server.testing, &client).status, 200);
    assert!(server.stop().success());
    assert_eq!(version(&store), newest);
}

#[test]
fn a_store_of_a_later_version_or_one_in_use_is_not_migrated() {
    let place = unlimited();
    place.client("testing");
    let store = place.path("data/testing.sqlite3");
    take_back(&place);
    let held = std::fs::File::open(place.path("data/lock")).unwrap();
    held.lock().unwrap();
    let output = place.command(&["migrate"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is in use by another fuuffy"));
    assert_eq!(version(&store), 1);
    drop(held);
    Connection::open(&store).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let output = place.command(&["migrate", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("written by a newer fuuffy"));
}
