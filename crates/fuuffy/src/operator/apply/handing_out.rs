//! What keeps the first secret of a new client from being lost where a run breaks off between making the client and
//! handing the secret out. Each creation is written down beside the stores, with the key that it is done once by,
//! before it is asked for; the next run asks for it again under that key and gets the same answer. Holds no secret,
//! and nothing at all once all are handed out.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fuuffy_domain::EnvironmentName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::operator::backup::{private, sync};
use crate::operator::transport::fresh_key;

/// The creations whose secrets are not handed out yet.
pub(super) struct HandingOut {
    path: PathBuf,
    begun: Vec<Begun>,
    /// Nobody else is at it, where something is to be done.
    lock: Option<File>,
}

/// A creation that was begun. Whoever has its key, and may ask the server, can have the secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    pub(super) client_id: String,
    pub(super) key: String,
    pub(super) body: Value,
}

impl HandingOut {
    /// As an earlier run left it. Only to look, nobody else need wait.
    pub(super) fn look(data_dir: &Path, environment: EnvironmentName) -> anyhow::Result<Self> {
        let path = data_dir.join(format!("apply-{environment}.json"));
        let begun = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is not as fuuffy apply writes it; move it away", path.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        Ok(Self { path, begun, lock: None })
    }

    /// The same, held until the end, so that two runs do not write over each other.
    pub(super) fn hold(data_dir: &Path, environment: EnvironmentName) -> anyhow::Result<Self> {
        let lock = File::open(data_dir).with_context(|| format!("{} cannot be read", data_dir.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another fuuffy apply is under way; wait for its end"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", data_dir.display()));
            }
        }
        let mut held = Self::look(data_dir, environment)?;
        held.lock = Some(lock);
        Ok(held)
    }

    pub(super) fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// Writes a creation down, and answers the key to ask for it with.
    pub(super) fn begin(&mut self, client_id: &str, body: &Value) -> anyhow::Result<String> {
        let key = fresh_key()?;
        self.begun.push(Begun { client_id: client_id.to_owned(), key: key.clone(), body: body.clone() });
        self.save()?;
        Ok(key)
    }

    /// A client's secret is handed out, or there is none to hand out.
    pub(super) fn end(&mut self, client_id: &str) -> anyhow::Result<()> {
        self.begun.retain(|begun| begun.client_id != client_id);
        self.save()
    }

    /// All are.
    pub(super) fn end_all(&mut self) -> anyhow::Result<()> {
        self.begun.clear();
        self.save()
    }

    /// Replaces the file whole, so that it is never half of itself.
    fn save(&self) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let next = self.path.with_extension("next");
        // A run that was killed may have left it.
        remove(&next)?;
        if self.begun.is_empty() {
            remove(&self.path)?;
            return sync(folder);
        }
        let mut file = private(&next)?;
        file.write_all(&serde_json::to_vec(&self.begun)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path).with_context(|| format!("{} cannot be written", self.path.display()))?;
        sync(folder)
    }
}

impl Drop for HandingOut {
    /// Let go of at once: closing alone would leave it to a process that is just being started, until it runs.
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = lock.unlock();
        }
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
