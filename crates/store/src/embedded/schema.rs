//! The tables, how they came to be, and what is refused instead of opened.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use fuuffy_domain::EnvironmentName;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{PreviousRun, bad_file};
use crate::StoreError;

/// Marks a file as ours (`PRAGMA application_id`): "fufy".
const APPLICATION: i64 = 0x6675_6679;

/// Each brings a store one version further; `PRAGMA user_version` counts those that were done.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (environment TEXT NOT NULL);
    CREATE TABLE clients (
        slot INTEGER PRIMARY KEY,
        client_id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        plan TEXT NOT NULL,
        token_lifetime INTEGER,
        status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'deleted')),
        generation INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE secrets (
        secret_id TEXT PRIMARY KEY,
        client INTEGER NOT NULL REFERENCES clients (slot),
        key INTEGER NOT NULL,
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        retired_at INTEGER,
        last_used_at INTEGER,
        use_count INTEGER NOT NULL DEFAULT 0,
        exposed_at INTEGER
    ) STRICT;
    CREATE INDEX secrets_of_client ON secrets (client, created_at);
    CREATE TABLE scopes (id INTEGER PRIMARY KEY, scope TEXT NOT NULL UNIQUE) STRICT;
    -- Append-only, in the order of issue. No index on the digest: look-ups are answered from memory, and
    -- random writes would be what a token costs.
    CREATE TABLE tokens (
        seq INTEGER PRIMARY KEY,
        digest BLOB NOT NULL,
        client INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        scope INTEGER NOT NULL,
        key INTEGER NOT NULL,
        issued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT;
",
    "
    ALTER TABLE clients ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE clients ADD COLUMN may_rotate INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE secrets ADD COLUMN last_used_from TEXT;
    ALTER TABLE secrets ADD COLUMN last_used_by TEXT;
    ALTER TABLE secrets ADD COLUMN is_pending INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE secrets ADD COLUMN retiring_since INTEGER;
    ALTER TABLE secrets ADD COLUMN unused_for INTEGER;
    ALTER TABLE secrets ADD COLUMN reminded INTEGER;
    -- In the order in which they may be forgotten.
    CREATE TABLE revoked_tokens (
        expires_at INTEGER NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (expires_at, digest)
    ) STRICT, WITHOUT ROWID;
    -- The text of a record is what its link of the chain was made of.
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        client_id TEXT,
        record TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
    -- After the record of the same number. The one at which the log begins, if records were removed, says why.
    CREATE TABLE audit_checkpoints (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        key INTEGER NOT NULL,
        signature BLOB NOT NULL CHECK (length(signature) = 64),
        removed_by TEXT
    ) STRICT;
    CREATE INDEX audit_of_client ON audit (client_id, seq) WHERE client_id IS NOT NULL;
    CREATE TABLE answers (
        key BLOB PRIMARY KEY,
        request BLOB NOT NULL,
        sealed BLOB NOT NULL,
        at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX answers_by_age ON answers (at);
",
    "
    ALTER TABLE clients ADD COLUMN limits TEXT;
",
    "
    ALTER TABLE secrets ADD COLUMN quarantined_at INTEGER;
",
    "
    CREATE TABLE client_keys (
        client INTEGER NOT NULL REFERENCES clients (slot),
        key_id TEXT NOT NULL,
        kid TEXT,
        algorithm TEXT NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA')),
        jwk TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        last_used_from TEXT,
        last_used_by TEXT,
        use_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (client, key_id)
    ) STRICT, WITHOUT ROWID;
    -- One row decides that an assertion is used once. It lasts as long as the assertion would: some minutes.
    CREATE TABLE used_assertions (
        client INTEGER NOT NULL,
        jti BLOB NOT NULL CHECK (length(jti) = 32),
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (client, jti)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX used_assertions_by_end ON used_assertions (expires_at);
",
    "
    ALTER TABLE clients ADD COLUMN jwks_uri TEXT;
    -- The rules are a JSON object: each claim and the value that it must have.
    CREATE TABLE client_identities (
        client INTEGER NOT NULL REFERENCES clients (slot),
        identity_id TEXT NOT NULL,
        issuer TEXT NOT NULL,
        rules TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        last_used_from TEXT,
        last_used_by TEXT,
        use_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (client, identity_id)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE tokens ADD COLUMN binding BLOB CHECK (binding IS NULL OR length(binding) = 33);
    ALTER TABLE clients ADD COLUMN must_bind TEXT CHECK (must_bind IN ('dpop', 'certificate'));
",
    "
    -- The value is a name of its kind, or the thumbprint of the one certificate that is meant, which ends then.
    CREATE TABLE client_certificates (
        client INTEGER NOT NULL REFERENCES clients (slot),
        certificate_id TEXT NOT NULL,
        kind TEXT NOT NULL
            CHECK (kind IN ('subject_dn', 'san_dns', 'san_uri', 'san_ip', 'san_email', 'certificate')),
        value TEXT NOT NULL,
        ends_at INTEGER CHECK ((ends_at IS NULL) = (kind <> 'certificate')),
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        last_used_from TEXT,
        last_used_by TEXT,
        use_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (client, certificate_id)
    ) STRICT;
",
    "
    -- Each is beside a key of the key file, and opened by what follows from that key alone.
    CREATE TABLE rsa_keys (key INTEGER PRIMARY KEY, sealed BLOB NOT NULL) STRICT;
",
    "
    -- The same with one algorithm more, which a check of a column cannot be told otherwise.
    ALTER TABLE client_keys RENAME TO client_keys_before;
    CREATE TABLE client_keys (
        client INTEGER NOT NULL REFERENCES clients (slot),
        key_id TEXT NOT NULL,
        kid TEXT,
        algorithm TEXT NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256')),
        jwk TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER,
        last_used_from TEXT,
        last_used_by TEXT,
        use_count INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (client, key_id)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO client_keys
        SELECT client, key_id, kid, algorithm, jwk, created_at, last_used_at, last_used_from, last_used_by, use_count
        FROM client_keys_before;
    DROP TABLE client_keys_before;
",
    "
    -- Accounts with authorities and what they gave, opened by what follows from that key alone.
    CREATE TABLE acme_items (
        authority TEXT NOT NULL,
        item TEXT NOT NULL CHECK (item IN ('account', 'certificate', 'progress')),
        key INTEGER NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (authority, item)
    ) STRICT;
",
];

/// Opens the file and brings it to the newest version.
pub(super) fn open(
    path: &Path,
    environment: EnvironmentName,
    previous: &PreviousRun,
) -> Result<Connection, StoreError> {
    // Made here, so that it never exists with a wider mode; SQLite gives its other files the same.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| bad_file(path, error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| unreadable(path, &error))?;
    let ours = |error: rusqlite::Error| unreadable(path, &error);
    let version = version(&connection, path)?;
    if matches!(previous, PreviousRun::Failed(_)) {
        check(&connection, path)?;
    }
    prepare(&mut connection, version, environment).map_err(ours)?;
    refuse_other(&connection, environment, path)?;
    Ok(connection)
}

/// The version of a file that is ours; 0 for an empty one.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let (application, version, tables) = identity(connection).map_err(|error| unreadable(path, &error))?;
    let is_empty = tables == 0 && version == 0 && application == 0;
    if !is_empty && application != APPLICATION {
        return Err(bad_file(path, "a SQLite database, but not one of fuuffy's; name another data_dir"));
    }
    let known = newest_version();
    if version > known {
        return Err(bad_file(
            path,
            format!("written by a newer fuuffy (version {version}, this one knows {known}); use the newer one"),
        ));
    }
    Ok(version)
}

/// The version that a store is brought to.
pub(super) fn newest_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// A store is opened only for the environment that it was written for.
pub(super) fn refuse_other(
    connection: &Connection,
    environment: EnvironmentName,
    path: &Path,
) -> Result<(), StoreError> {
    let written_for: String = connection
        .query_row("SELECT environment FROM meta", [], |row| row.get(0))
        .map_err(|error| unreadable(path, &error))?;
    if written_for != environment.as_str() {
        return Err(bad_file(
            path,
            format!(
                "the store of the environment {written_for}, not of {environment}; put the files back in their places"
            ),
        ));
    }
    Ok(())
}

fn identity(connection: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((application, version, tables))
}

fn prepare(connection: &mut Connection, version: i64, environment: EnvironmentName) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -16_000)?;
    connection.set_prepared_statement_cache_capacity(64);
    let done = usize::try_from(version).unwrap_or(0);
    let transaction = connection.transaction()?;
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", i64::try_from(number + 1).unwrap_or(i64::MAX))?;
    }
    if done == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.execute("INSERT INTO meta (environment) VALUES (?1)", [environment.as_str()])?;
    }
    transaction.commit()
}

/// After a failed write the whole file is looked at once more.
fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| unreadable(path, &error))?;
    if verdict == "ok" { Ok(()) } else { Err(bad_file(path, format!("damaged ({verdict}); restore it from a backup"))) }
}

/// What reading the file failed with, in words for the operator.
pub(super) fn unreadable(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            bad_file(path, "not a SQLite database; restore it from a backup, or name another data_dir")
        }
        Some(ErrorCode::DatabaseCorrupt) => bad_file(path, "damaged; restore it from a backup"),
        _ => bad_file(path, format!("cannot be read ({error}); check the disk, or restore the file from a backup")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was registered before there was RS256 is there after, and what is no algorithm of ours is still refused.
    #[test]
    fn keys_of_clients_come_through_to_a_table_that_knows_one_algorithm_more() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("testing.sqlite3")).unwrap();
        let before = MIGRATIONS.iter().position(|migration| migration.contains("client_keys_before")).unwrap();
        MIGRATIONS[..before].iter().for_each(|migration| connection.execute_batch(migration).unwrap());
        let insert = |connection: &Connection, id: &str, algorithm: &str| {
            let columns = "client, key_id, kid, algorithm, jwk, created_at, last_used_at, last_used_from, use_count";
            let row = (id, algorithm);
            let values = "1, ?1, '2026', ?2, '{}', 7, 8, '127.0.0.1', 9";
            connection.execute(&format!("INSERT INTO client_keys ({columns}) VALUES ({values})"), row)
        };
        let client = "INSERT INTO clients (slot, client_id, name, scopes, plan, status, generation, created_at)
                      VALUES (1, 'app_1', 'Acme', '', 'standard', 'active', 0, 7)";
        connection.execute(client, []).unwrap();
        insert(&connection, "one", "ES256").unwrap();
        insert(&connection, "two", "RS256").unwrap_err();
        prepare(&mut connection, i64::try_from(before).unwrap(), EnvironmentName::Testing).unwrap();
        let kept = connection.query_row(
            "SELECT key_id || kid || algorithm || jwk || created_at || last_used_at || last_used_from || use_count
             FROM client_keys WHERE client = 1 AND last_used_by IS NULL",
            [],
            |row| row.get::<_, String>(0),
        );
        assert_eq!(kept.unwrap(), "one2026ES256{}78127.0.0.19");
        insert(&connection, "two", "RS256").unwrap();
        insert(&connection, "three", "PS256").unwrap_err();
    }
}
