//! From the file to memory, once, at start.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    AUDIT_START, Binding, BindingKind, CertificateId, CertificateName, CertificateRule, Checkpoint, ClaimRules, Client,
    ClientCertificate, ClientId, ClientKey, ClientKeyId, ClientSlot, ClientStatus, EnvironmentName, Identity,
    IdentityId, KeyAlgorithm, KeyId, LastUse, Lifetime, Limits, PlanName, Retiring, Revision, ScopeSet, Secret,
    SecretDigest, SecretId, Thumbprint, Timestamp, TokenDigest,
};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::Memory;
use super::audit::{AuditHead, checkpoint};
use super::batch::certificates::EXACT;
use super::writer::Mark;
use crate::IndexedToken;

/// What the writer goes on from.
pub(super) struct Loaded {
    pub(super) next_seq: i64,
    /// The number before the oldest row's.
    pub(super) swept: i64,
    pub(super) scopes: HashMap<Arc<ScopeSet>, i64>,
    pub(super) marks: VecDeque<Mark>,
    pub(super) newest: Option<Timestamp>,
    pub(super) audit: AuditHead,
}

const HOUR: i64 = 3_600_000;

pub(super) fn load(connection: &Connection, memory: &Memory, now: Timestamp) -> rusqlite::Result<Loaded> {
    let newest_client = load_clients(connection, memory)?;
    forget_unused_scopes(connection)?;
    let scopes = load_scopes(connection)?;
    let audit = load_audit_head(connection)?;
    let (scopes_of_new, marks) = (HashMap::new(), VecDeque::new());
    let mut loaded = Loaded { next_seq: 1, swept: 0, scopes: scopes_of_new, marks, newest: newest_client, audit };
    load_tokens(connection, memory, &scopes, now, &mut loaded)?;
    revoke_tokens(connection, memory)?;
    loaded.scopes = by_scope(scopes);
    Ok(loaded)
}

/// The numbers of the scopes that the file has.
pub(super) fn scopes(connection: &Connection) -> rusqlite::Result<HashMap<Arc<ScopeSet>, i64>> {
    load_scopes(connection).map(by_scope)
}

fn by_scope(scopes: HashMap<i64, Arc<ScopeSet>>) -> HashMap<Arc<ScopeSet>, i64> {
    scopes.into_iter().map(|(id, scope)| (scope, id)).collect()
}

fn load_clients(connection: &Connection, memory: &Memory) -> rusqlite::Result<Option<Timestamp>> {
    let mut secrets: HashMap<u32, Vec<Secret>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT client, secret_id, key, digest, created_at, expires_at, retired_at, last_used_at, use_count, exposed_at,
                last_used_from, last_used_by, is_pending, retiring_since, unused_for, reminded,
                quarantined_at
         FROM secrets ORDER BY client, created_at, rowid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        secrets.entry(row.get(0)?).or_default().push(secret(row)?);
    }
    let mut keys: HashMap<u32, Vec<ClientKey>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT client, key_id, kid, algorithm, jwk, created_at, use_count, last_used_at, last_used_from, last_used_by
         FROM client_keys ORDER BY client, created_at, key_id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        keys.entry(row.get(0)?).or_default().push(client_key(row)?);
    }
    let mut identities: HashMap<u32, Vec<Identity>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT client, identity_id, issuer, rules, created_at, use_count, last_used_at, last_used_from, last_used_by
         FROM client_identities ORDER BY client, created_at, identity_id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        identities.entry(row.get(0)?).or_default().push(identity(row)?);
    }
    let mut certificates: HashMap<u32, Vec<ClientCertificate>> = HashMap::new();
    let mut statement = connection.prepare(
        "SELECT client, certificate_id, kind, value, ends_at, created_at, use_count, last_used_at, last_used_from,
                last_used_by
         FROM client_certificates ORDER BY client, created_at, rowid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        certificates.entry(row.get(0)?).or_default().push(certificate(row)?);
    }
    let mut newest = None;
    let mut statement = connection.prepare(
        "SELECT slot, client_id, name, scopes, plan, token_lifetime, status, generation, created_at,
                revision, may_rotate, limits, jwks_uri, must_bind
         FROM clients ORDER BY slot",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let slot: u32 = row.get(0)?;
        let client = Client {
            secrets: secrets.remove(&slot).unwrap_or_default(),
            keys: keys.remove(&slot).unwrap_or_default(),
            identities: identities.remove(&slot).unwrap_or_default(),
            certificates: certificates.remove(&slot).unwrap_or_default(),
            ..client(row)?
        };
        newest = newest.max(Some(client.created_at));
        memory.directory.put(Arc::new(client));
    }
    Ok(newest)
}

fn secret(row: &Row<'_>) -> rusqlite::Result<Secret> {
    let time = |column: usize| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Timestamp::from_unix_millis));
    Ok(Secret {
        id: text(row, 1, SecretId::parse)?,
        digest: SecretDigest { key: KeyId(row.get(2)?), bytes: row.get(3)? },
        created_at: Timestamp::from_unix_millis(row.get(4)?),
        expires_at: time(5)?,
        retired_at: time(6)?,
        last_use: last_use(row, time(7)?, (10, 11))?,
        use_count: row.get::<_, i64>(8)?.unsigned_abs(),
        exposed_at: time(9)?,
        quarantined_at: time(16)?,
        is_pending: row.get(12)?,
        retiring: time(13)?.zip(row.get::<_, Option<i64>>(14)?).map(|(since, unused_for)| Retiring {
            since,
            unused_for: Duration::from_millis(unused_for.unsigned_abs()),
        }),
        reminded: row.get(15)?,
    })
}

fn client_key(row: &Row<'_>) -> rusqlite::Result<ClientKey> {
    let used_at = row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix_millis);
    Ok(ClientKey {
        id: text(row, 1, ClientKeyId::parse)?,
        kid: row.get::<_, Option<String>>(2)?.map(Arc::from),
        algorithm: KeyAlgorithm::parse(row.get_ref(3)?.as_str()?).ok_or(rusqlite::Error::InvalidQuery)?,
        jwk: Arc::from(row.get_ref(4)?.as_str()?),
        created_at: Timestamp::from_unix_millis(row.get(5)?),
        use_count: row.get::<_, i64>(6)?.unsigned_abs(),
        last_use: last_use(row, used_at, (8, 9))?,
    })
}

fn identity(row: &Row<'_>) -> rusqlite::Result<Identity> {
    let used_at = row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix_millis);
    Ok(Identity {
        id: text(row, 1, IdentityId::parse)?,
        issuer: Arc::from(row.get_ref(2)?.as_str()?),
        rules: text(row, 3, ClaimRules::from_json)?,
        created_at: Timestamp::from_unix_millis(row.get(4)?),
        use_count: row.get::<_, i64>(5)?.unsigned_abs(),
        last_use: last_use(row, used_at, (7, 8))?,
    })
}

fn certificate(row: &Row<'_>) -> rusqlite::Result<ClientCertificate> {
    let used_at = row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix_millis);
    let (kind, value) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
    let rule = if kind == EXACT {
        CertificateRule::Exact {
            thumbprint: Thumbprint::parse(value).ok_or(rusqlite::Error::InvalidQuery)?,
            ends_at: Timestamp::from_unix_millis(row.get(4)?),
        }
    } else {
        CertificateRule::Named(CertificateName::parse(kind, value).map_err(|error| unusable(3, error))?)
    };
    Ok(ClientCertificate {
        id: text(row, 1, CertificateId::parse)?,
        rule,
        created_at: Timestamp::from_unix_millis(row.get(5)?),
        use_count: row.get::<_, i64>(6)?.unsigned_abs(),
        last_use: last_use(row, used_at, (8, 9))?,
    })
}

/// The columns tell from where and by what.
fn last_use(row: &Row<'_>, at: Option<Timestamp>, (from, by): (usize, usize)) -> rusqlite::Result<Option<LastUse>> {
    let Some(at) = at else {
        return Ok(None);
    };
    let from = row.get::<_, Option<String>>(from)?.and_then(|text| text.parse().ok());
    Ok(Some(LastUse { at, from, agent: row.get::<_, Option<String>>(by)?.map(Arc::from) }))
}

/// A client by its own row alone.
fn client(row: &Row<'_>) -> rusqlite::Result<Client> {
    let lifetime = row.get::<_, Option<u32>>(5)?.map(Lifetime::from_seconds).transpose();
    Ok(Client {
        slot: ClientSlot(row.get(0)?),
        id: text(row, 1, ClientId::parse)?,
        name: row.get(2)?,
        scopes: text(row, 3, ScopeSet::parse)?,
        plan: text(row, 4, PlanName::parse)?,
        token_lifetime: lifetime.map_err(|error| unusable(5, error))?,
        status: match row.get_ref(6)?.as_str()? {
            "active" => ClientStatus::Active,
            "suspended" => ClientStatus::Suspended,
            _ => ClientStatus::Deleted,
        },
        generation: row.get(7)?,
        created_at: Timestamp::from_unix_millis(row.get(8)?),
        revision: Revision(row.get(9)?),
        may_rotate: row.get(10)?,
        limits: row
            .get::<_, Option<String>>(11)?
            .map(|text| Limits::parse(&text))
            .transpose()
            .map_err(|error| unusable(11, error))?,
        jwks_uri: row.get::<_, Option<String>>(12)?.map(Arc::from),
        // What is not understood is no licence for bearer tokens.
        must_bind: row
            .get::<_, Option<String>>(13)?
            .map(|text| BindingKind::parse(&text).ok_or(rusqlite::Error::InvalidQuery))
            .transpose()?,
        secrets: Vec::new(),
        keys: Vec::new(),
        identities: Vec::new(),
        certificates: Vec::new(),
    })
}

fn text<T, E: std::error::Error + Send + Sync + 'static>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(column)?.as_str()?).map_err(|error| unusable(column, error))
}

fn unusable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// Only where there are many, for it reads all tokens.
fn forget_unused_scopes(connection: &Connection) -> rusqlite::Result<()> {
    let many: bool = connection.query_row("SELECT count(*) > 1000 FROM scopes", [], |row| row.get(0))?;
    if many {
        connection.execute("DELETE FROM scopes WHERE id NOT IN (SELECT scope FROM tokens)", [])?;
    }
    Ok(())
}

fn load_scopes(connection: &Connection) -> rusqlite::Result<HashMap<i64, Arc<ScopeSet>>> {
    let mut statement = connection.prepare("SELECT id, scope FROM scopes")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, Arc::new(text(row, 1, ScopeSet::parse)?))))?;
    rows.collect()
}

fn load_tokens(
    connection: &Connection,
    memory: &Memory,
    scopes: &HashMap<i64, Arc<ScopeSet>>,
    now: Timestamp,
    loaded: &mut Loaded,
) -> rusqlite::Result<()> {
    let nothing = Arc::new(ScopeSet::default());
    let mut statement = connection.prepare(
        "SELECT seq, digest, client, generation, scope, issued_at, expires_at, binding FROM tokens ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, issued_at, expires_at): (i64, i64, i64) = (row.get(0)?, row.get(5)?, row.get(6)?);
        if loaded.next_seq == 1 {
            loaded.swept = seq - 1;
        }
        loaded.next_seq = seq + 1;
        loaded.newest = loaded.newest.max(Some(Timestamp::from_unix_millis(issued_at)));
        Mark::note(&mut loaded.marks, seq, issued_at, expires_at);
        let client = ClientSlot(row.get(2)?);
        memory.chains.append([(seq, client)]);
        if expires_at + HOUR <= now.unix_millis() {
            continue;
        }
        let scope: i64 = row.get(4)?;
        let binding = row.get_ref(7)?.as_blob_or_null()?;
        let binding =
            binding.map(|bytes| Binding::from_bytes(bytes).ok_or(rusqlite::Error::InvalidQuery)).transpose()?;
        memory.tokens.insert(&IndexedToken {
            digest: row.get(1)?,
            client,
            generation: row.get(3)?,
            scope: Arc::clone(scopes.get(&scope).unwrap_or(&nothing)),
            issued_at: Timestamp::from_unix_millis(issued_at),
            expires_at: Timestamp::from_unix_millis(expires_at),
            binding,
        });
    }
    Ok(())
}

fn revoke_tokens(connection: &Connection, memory: &Memory) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT digest FROM revoked_tokens")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        memory.tokens.revoke(&row.get::<_, TokenDigest>(0)?);
    }
    Ok(())
}

/// Where the chain of the audit log goes on.
fn load_audit_head(connection: &Connection) -> rusqlite::Result<AuditHead> {
    let signed = "SELECT seq, at FROM audit_checkpoints ORDER BY seq DESC LIMIT 1";
    let signed = connection.query_row(signed, [], |row| Ok((row.get(0)?, Timestamp::from_unix_millis(row.get(1)?))));
    let signed = signed.optional()?;
    let last = connection.query_row("SELECT seq, hash, at FROM audit ORDER BY seq DESC LIMIT 1", [], |row| {
        let at = Timestamp::from_unix_millis(row.get(2)?);
        Ok(AuditHead { sequence: row.get(0)?, hash: row.get(1)?, at, signed })
    });
    let at = Timestamp::from_unix_millis(0);
    Ok(last.optional()?.unwrap_or(AuditHead { sequence: 0, hash: AUDIT_START, at, signed }))
}

/// Checkpoints after a record, the oldest first.
pub(super) fn checkpoints_after(
    connection: &Connection,
    environment: EnvironmentName,
    record: i64,
) -> rusqlite::Result<Vec<Checkpoint>> {
    let mut statement = connection.prepare(
        "SELECT seq, at, hash, key, signature, removed_by FROM audit_checkpoints WHERE seq > ?1 ORDER BY seq",
    )?;
    statement.query_map([record], |row| checkpoint(row, 0, environment))?.collect()
}
