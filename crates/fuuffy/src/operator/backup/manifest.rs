//! What a backup says of itself: which files it has, and what must be true of them before they are believed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use fuuffy_domain::{EnvironmentName, KeyId, Timestamp, key_fingerprint};
use fuuffy_store::embedded::Inventory;
use fuuffy_store::pepper::MasterKeys;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// The manifest's own name in a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// The largest manifest that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// The key file's name in a backup.
pub(super) const KEY_FILE: &str = "pepper.key";
/// The audit key file's name in a backup.
pub(super) const AUDIT_KEY_FILE: &str = "audit.key";
/// Everything that a backup may have besides stores.
const OTHERS: [&str; 8] = [
    KEY_FILE,
    AUDIT_KEY_FILE,
    "testing.audit-checkpoints",
    "production.audit-checkpoints",
    "testing.usage.sqlite3",
    "production.usage.sqlite3",
    "testing.outbox.sqlite3",
    "production.outbox.sqlite3",
];

/// A backup, by its own word.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// The version that made it.
    fuuffy: String,
    /// RFC 3339.
    pub(super) made_at: String,
    /// The keys that there were, by what tells them apart.
    pub(super) keys: Vec<KeyMark>,
    pub(super) files: Vec<FileMark>,
}

/// A key, and nothing that would help to use it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyMark {
    pub(super) id: KeyId,
    pub(super) fingerprint: String,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMark {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// Of a store alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) store: Option<StoreMark>,
}

/// What a store has in it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreMark {
    pub(super) environment: EnvironmentName,
    version: i64,
    clients: i64,
    secrets: i64,
    tokens: i64,
    audit: i64,
    /// When the server was last heard of, in milliseconds since the Unix epoch.
    pub(super) noted_at: Option<i64>,
}

impl StoreMark {
    pub(super) fn new(environment: EnvironmentName, found: &Inventory, noted_at: Option<Timestamp>) -> Self {
        let (rows, noted_at) = (found.rows, noted_at.map(Timestamp::unix_millis));
        let (clients, secrets, tokens, audit) = (rows.clients, rows.secrets, rows.tokens, rows.audit);
        Self { environment, version: found.version, clients, secrets, tokens, audit, noted_at }
    }
}

/// Where a store of an environment is in a backup.
pub(super) fn store_name(environment: EnvironmentName) -> String {
    format!("{environment}.sqlite3")
}

/// The keys of a key file, by what tells them apart.
pub(super) fn marks(keys: &MasterKeys) -> Vec<KeyMark> {
    let mark = |(id, key): &(KeyId, _)| KeyMark { id: *id, fingerprint: hex(&key_fingerprint(key)) };
    keys.iter().map(mark).collect()
}

impl Manifest {
    pub(super) fn new(made_at: Timestamp, keys: Vec<KeyMark>, files: Vec<FileMark>) -> Self {
        let fuuffy = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, fuuffy, made_at: made_at.to_string(), keys, files }
    }

    /// Reads what somebody says is a manifest.
    pub(super) fn read(source: impl Read) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let mut text = String::new();
        source.take(MAX_BYTES + 1).read_to_string(&mut text).context("its manifest cannot be read")?;
        ensure!(text.len() as u64 <= MAX_BYTES, "its manifest is too large to be one");
        let Format { format } = serde_json::from_str(&text).context("its manifest is none of fuuffy's")?;
        if format > FORMAT {
            bail!("made by a newer fuuffy (format {format}, this one knows {FORMAT}); use the newer one");
        }
        let manifest: Self = serde_json::from_str(&text).context("its manifest is damaged")?;
        manifest.checked()
    }

    /// Names lead nowhere else, and no file is there twice.
    fn checked(self) -> anyhow::Result<Self> {
        let stores = [EnvironmentName::Testing, EnvironmentName::Production].map(store_name);
        for (place, file) in self.files.iter().enumerate() {
            let is_store = stores.contains(&file.name);
            ensure!(
                is_store || OTHERS.contains(&&*file.name),
                "its manifest names {:?}, which no backup has",
                file.name
            );
            let known = self.files[..place].iter().any(|before| before.name == file.name);
            ensure!(!known, "its manifest names {} twice", file.name);
            let of = file.store.as_ref().map(|store| store_name(store.environment));
            ensure!(of == is_store.then(|| file.name.clone()), "its manifest does not say whose {} is", file.name);
        }
        ensure!(self.files.iter().any(|file| file.store.is_some()), "its manifest has no store");
        Ok(self)
    }

    pub(super) fn file(&self, name: &str) -> Option<&FileMark> {
        self.files.iter().find(|file| file.name == name)
    }

    pub(super) fn stores(&self) -> impl Iterator<Item = (&FileMark, &StoreMark)> {
        self.files.iter().filter_map(|file| Some((file, file.store.as_ref()?)))
    }
}

impl FileMark {
    pub(super) fn of(folder: &Path, name: &str, store: Option<StoreMark>) -> anyhow::Result<Self> {
        let mut file = File::open(folder.join(name)).with_context(|| name.to_owned())?;
        let (size, sha256) = copy_with_digest(&mut file, &mut io::sink())?;
        Ok(Self { name: name.to_owned(), size, sha256, store })
    }

    /// Copies the file from where it is said to be; it must be what it was.
    pub(super) fn copy(&self, from: &mut impl Read, to: &mut impl Write) -> anyhow::Result<()> {
        let mut limited = from.take(self.size.saturating_add(1));
        let (size, sha256) = copy_with_digest(&mut limited, to).with_context(|| self.name.clone())?;
        if size != self.size || sha256 != self.sha256 {
            bail!("{} is damaged: it is not what it was when the backup was made; use another backup", self.name);
        }
        Ok(())
    }
}

fn copy_with_digest(from: &mut impl Read, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut buffer, mut size, mut digest) = (vec![0; 128 * 1024], 0, Sha256::new());
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok((size, hex(&digest.finalize())));
        }
        digest.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
        size += length as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
