//! The embedded backend: one SQLite file an environment, one writer thread, and memory that answers.

mod batch;
mod load;
mod lock;
mod schema;
mod state;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use fuuffy_domain::{
    Client, ClientId, ClientStatus, EnvironmentName, KeyId, Lifetime, MAX_LIVE_SECRETS, SecretId, Timestamp,
};
use tokio::sync::oneshot;

pub use lock::DirectoryLock;
pub use state::PreviousRun;

use crate::{AddSecret, Deed, Directory, NewClient, NewSecret, NewToken, SecretChange, Store, StoreError, TokenIndex};
use batch::{Batch, Fault};
use state::StateFile;
use writer::{Command, Writer};

/// What is needed to open an environment's store.
#[derive(Debug)]
pub struct OpenOptions {
    /// The database file. Files beside it have its name with an ending.
    pub path: PathBuf,
    /// Whose it is; a file of the other environment is refused.
    pub environment: EnvironmentName,
    /// The longest life of a token.
    pub longest_lifetime: Lifetime,
    /// The key that new token digests are made with.
    pub key: KeyId,
    /// The time of opening.
    pub now: Timestamp,
}

/// What was found on opening.
#[derive(Debug)]
pub struct OpenReport {
    /// Clients that are not deleted.
    pub clients: usize,
    /// Tokens that are live or expired lately.
    pub tokens: usize,
    /// How the last run ended.
    pub previous: PreviousRun,
}

/// Deeds that may wait at once; they are done in a fraction of a second.
const MAX_WAITING: usize = 16_384;

/// The store of one environment in one SQLite file.
pub struct EmbeddedStore {
    memory: Arc<Memory>,
    waiting: Arc<()>,
    commands: mpsc::Sender<Command>,
    newest: Option<Timestamp>,
}

/// What readers see, and the writer changes after each commit.
pub(crate) struct Memory {
    pub(crate) directory: Directory,
    pub(crate) tokens: TokenIndex,
    pub(crate) is_writable: AtomicBool,
}

impl EmbeddedStore {
    /// Opens the store, or makes an empty one where there never was one.
    ///
    /// # Errors
    /// [`StoreError::BadFile`] for a file that is missing, foreign, damaged, or the other environment's.
    pub fn open(options: OpenOptions) -> Result<(Self, OpenReport), StoreError> {
        let (state, found) = StateFile::open(&options.path, options.now)?;
        let connection = schema::open(&options.path, options.environment, &found.previous)?;
        let memory = Arc::new(Memory {
            directory: Directory::default(),
            tokens: TokenIndex::new(options.longest_lifetime),
            is_writable: AtomicBool::new(true),
        });
        let loaded =
            load::load(&connection, &memory, options.now).map_err(|error| schema::unreadable(&options.path, &error))?;
        state
            .write("running")
            .map_err(|error| bad_file(&options.path, format!("the state file cannot be written: {error}")))?;
        let report = OpenReport {
            clients: memory.directory.list().len(),
            tokens: memory.tokens.len(),
            previous: found.previous,
        };
        let newest = loaded.newest.max(found.at);
        let writer = Writer::new(connection, Arc::clone(&memory), state, loaded, options.key);
        let commands = writer
            .spawn(options.environment)
            .map_err(|error| StoreError::Unwritable(format!("the writer thread cannot start: {error}")))?;
        Ok((Self { memory, waiting: Arc::new(()), commands, newest }, report))
    }

    /// Lets the store drop what has expired. Cheap; meant for once a second.
    pub fn tick(&self, now: Timestamp) {
        // A closed store has nothing to drop.
        let _ = self.commands.send(Command::Tick(now));
    }

    /// Queues a piece of work for the next transaction. It runs even if nobody waits for it any more.
    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Deed<T> {
        if !self.is_writable() {
            return Box::pin(async { Err(StoreError::Unwritable("an earlier write failed".to_owned())) });
        }
        // Every waiting deed holds one of these, until it is answered or given up.
        let place = Arc::clone(&self.waiting);
        if Arc::strong_count(&place) > MAX_WAITING + 1 {
            return Box::pin(async { Err(StoreError::Overloaded) });
        }
        let (answer, answered) = oneshot::channel();
        let job = Command::Job(Box::new(move |batch| {
            let outcome = match work(batch) {
                Ok(value) => Ok(value),
                Err(Fault::Refused(error)) => Err(error),
                Err(Fault::Sql(error)) => return Err(error),
            };
            // Whoever asked may have gone; what was done stays done.
            Ok(Box::new(move |committed: Result<(), StoreError>| {
                drop(place);
                drop(answer.send(committed.and(outcome)));
            }))
        }));
        let sent = self.commands.send(job);
        Box::pin(async move {
            sent.map_err(|_| StoreError::Closed)?;
            answered.await.unwrap_or_else(|_| Err(StoreError::Unwritable("the transaction was given up".to_owned())))
        })
    }

    fn change_client(
        &self,
        id: ClientId,
        change: impl FnOnce(&mut Client) + Send + 'static,
    ) -> Deed<Option<Arc<Client>>> {
        self.submit(move |batch| {
            let Some(client) = batch.find(&id) else {
                return Ok(None);
            };
            let mut changed = Client::clone(&client);
            change(&mut changed);
            batch.update_client(changed).map(Some)
        })
    }
}

impl Store for EmbeddedStore {
    fn directory(&self) -> &Directory {
        &self.memory.directory
    }

    fn tokens(&self) -> &TokenIndex {
        &self.memory.tokens
    }

    fn newest_record(&self) -> Option<Timestamp> {
        self.newest
    }

    fn is_writable(&self) -> bool {
        self.memory.is_writable.load(Ordering::Acquire)
    }

    fn create_client(&self, new: NewClient) -> Deed<Arc<Client>> {
        self.submit(move |batch| batch.insert_client(new))
    }

    fn suspend_client(&self, id: ClientId, _now: Timestamp) -> Deed<Option<Arc<Client>>> {
        self.change_client(id, |client| {
            if client.status == ClientStatus::Active {
                client.status = ClientStatus::Suspended;
                client.generation += 1;
            }
        })
    }

    fn resume_client(&self, id: ClientId, _now: Timestamp) -> Deed<Option<Arc<Client>>> {
        self.change_client(id, |client| client.status = ClientStatus::Active)
    }

    fn delete_client(&self, id: ClientId, _now: Timestamp) -> Deed<Option<Arc<Client>>> {
        self.change_client(id, |client| {
            client.status = ClientStatus::Deleted;
            client.generation += 1;
            client.secrets.clear();
        })
    }

    fn add_secret(&self, id: ClientId, secret: NewSecret) -> Deed<AddSecret> {
        self.submit(move |batch| {
            let Some(client) = batch.find(&id) else {
                return Ok(AddSecret::NoClient);
            };
            if client.live_secrets(secret.created_at) >= MAX_LIVE_SECRETS {
                return Ok(AddSecret::TooMany);
            }
            batch.insert_secret(&client, secret).map(AddSecret::Added)
        })
    }

    fn change_secret(&self, id: ClientId, secret: SecretId, change: SecretChange) -> Deed<Option<Arc<Client>>> {
        self.submit(move |batch| {
            let Some(client) = batch.find(&id) else {
                return Ok(None);
            };
            batch.change_secret(&client, &secret, change)
        })
    }

    fn issue_token(&self, token: NewToken) -> Deed<()> {
        self.submit(move |batch| batch.insert_token(&token))
    }

    fn close(&self) -> Deed<()> {
        let (answer, answered) = oneshot::channel();
        let sent = self.commands.send(Command::Close(answer));
        Box::pin(async move {
            match sent {
                Ok(()) => answered.await.unwrap_or(Ok(())),
                // Closed before.
                Err(_) => Ok(()),
            }
        })
    }
}

pub(crate) fn bad_file(path: &Path, problem: impl ToString) -> StoreError {
    StoreError::BadFile { file: path.display().to_string(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
