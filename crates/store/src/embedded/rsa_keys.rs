//! The RSA keys that an environment signs by, one beside each key of the key file that needs one. They are sealed before they
//! come here, by what only the key file has.

use fuuffy_domain::KeyId;
use rusqlite::params;

use super::EmbeddedStore;
use crate::Deed;

impl EmbeddedStore {
    /// Those that are kept, as they were sealed. Beside the writer.
    pub fn rsa_keys(&self) -> Deed<Vec<(KeyId, Vec<u8>)>> {
        self.reader.read(|connection| {
            let mut statement = connection.prepare("SELECT key, sealed FROM rsa_keys ORDER BY key")?;
            statement.query_map([], |row| Ok((KeyId(row.get(0)?), row.get(1)?)))?.collect()
        })
    }

    /// From the answer on these are kept, and no others.
    pub fn keep_rsa_keys(&self, sealed: Vec<(KeyId, Vec<u8>)>) -> Deed<()> {
        self.submit(move |batch| {
            batch.connection.execute("DELETE FROM rsa_keys", [])?;
            for (key, sealed) in &sealed {
                let row = params![key.0, sealed];
                batch.connection.execute("INSERT INTO rsa_keys (key, sealed) VALUES (?1, ?2)", row)?;
            }
            Ok(())
        })
    }
}
