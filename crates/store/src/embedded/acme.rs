//! What is kept of authorities that give certificates by ACME. Sealed before it comes here, by what only the key file has.

use fuuffy_domain::KeyId;
use rusqlite::params;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::EmbeddedStore;
use crate::Deed;

/// One thing that is kept of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeItem {
    /// Who we are to it, with the key that proves it.
    Account,
    /// The environment's certificate, in one with its key, so that neither is ever beside another's.
    Certificate,
    /// How ordering goes.
    Progress,
}

/// It, as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedItem {
    /// The authority that it is of.
    pub authority: String,
    /// Which it is.
    pub item: AcmeItem,
    /// What it was sealed with.
    pub key: KeyId,
    /// What came of that.
    pub sealed: Vec<u8>,
}

impl AcmeItem {
    const ALL: [Self; 3] = [Self::Account, Self::Certificate, Self::Progress];

    /// Its name, in the file too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Certificate => "certificate",
            Self::Progress => "progress",
        }
    }
}

impl ToSql for AcmeItem {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for AcmeItem {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        Self::ALL.into_iter().find(|item| item.name() == name).ok_or(FromSqlError::InvalidType)
    }
}

impl EmbeddedStore {
    /// All that is kept, of every authority. Beside the writer.
    pub fn acme_items(&self) -> Deed<Vec<SealedItem>> {
        self.reader.read(|connection| {
            let mut statement = connection.prepare("SELECT authority, item, key, sealed FROM acme_items")?;
            let item = |row: &rusqlite::Row<'_>| {
                let (authority, item) = (row.get(0)?, row.get(1)?);
                Ok(SealedItem { authority, item, key: KeyId(row.get(2)?), sealed: row.get(3)? })
            };
            statement.query_map([], item)?.collect()
        })
    }

    /// From the answer on each of these is kept, in the place of the same one from before.
    pub fn keep_acme_items(&self, items: Vec<SealedItem>) -> Deed<()> {
        self.submit(move |batch| {
            for SealedItem { authority, item, key, sealed } in &items {
                batch.connection.execute(
                    "INSERT OR REPLACE INTO acme_items (authority, item, key, sealed) VALUES (?1, ?2, ?3, ?4)",
                    params![authority, item, key.0, sealed],
                )?;
            }
            Ok(())
        })
    }
}
