//! The embedded backend: one SQLite file an environment, one writer thread, and memory that answers.

mod acme;
mod audit;
mod backup;
mod batch;
mod chains;
mod checkpoints;
mod handover;
mod job;
mod keys;
mod lifecycle;
mod load;
mod lock;
mod log;
mod lost;
mod read;
mod reserve;
mod rsa_keys;
mod schema;
mod state;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use fuuffy_domain::{
    AuditEvent, Cause, CertificateId, Checkpoint, Client, ClientChange, ClientId, ClientKeyId, ClientSlot,
    EnvironmentName, IdentityId, Lifetime, MAX_LIVE_SECRETS, Revision, SecretId, Timestamp,
};
use tokio::sync::oneshot;

pub use acme::{AcmeItem, SealedItem};
pub use audit::AuditOptions;
pub use backup::{Inventory, Rows, copy, inspect, note_time, noted_time, versions};
pub use checkpoints::{checkpoints_path, read_checkpoints};
pub use keys::KeyNeeds;
pub use lock::DirectoryLock;
pub use log::{AuditLog, LogEntry, LogStart};
pub use state::PreviousRun;

use crate::{
    Answered, AssertionUse, AuditQuery, AuditRow, CertificateUse, Changed, Conditions, Creation, Deed, Directory,
    IdentityUse, ListedToken, Lost, NewCertificate, NewClient, NewClientKey, NewCredential, NewIdentity, NewSecret,
    NewToken, Once, Part, PartOf, SecretChange, SecretUse, Store, StoreError, TokenIndex, TokenName,
};
use batch::{Batch, Fault};
use chains::Chains;
use handover::Signing;
use job::{Urgency, Waited};
use read::Reader;
use reserve::Reserve;
use state::StateFile;
use writer::{Beside, Command, Writer};

/// What is needed to open an environment's store.
#[derive(Debug)]
pub struct OpenOptions {
    /// The database file. Files beside it have its name with an ending.
    pub path: PathBuf,
    /// Whose it is; a file of the other environment is refused.
    pub environment: EnvironmentName,
    /// The longest life of a token.
    pub longest_lifetime: Lifetime,
    /// How its audit log is kept.
    pub audit: AuditOptions,
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
/// Tokens leave so much of that to operators and revocations, however many are asked for.
const KEPT_FREE: usize = 1024;

/// The store of one environment in one SQLite file.
pub struct EmbeddedStore {
    memory: Arc<Memory>,
    waiting: Arc<()>,
    commands: mpsc::Sender<Command>,
    newest: Option<Timestamp>,
    reader: Reader,
}

/// What readers see, and the writer changes after each commit.
pub(crate) struct Memory {
    pub(crate) directory: Directory,
    pub(crate) tokens: TokenIndex,
    /// Which rows of tokens are whose.
    pub(crate) chains: Chains,
    /// No write failed yet.
    pub(crate) is_writable: AtomicBool,
    /// There is no room on the disk.
    pub(crate) is_full: AtomicBool,
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
            chains: Chains::default(),
            is_writable: AtomicBool::new(true),
            is_full: AtomicBool::new(false),
        });
        let reserve = reserved(&options, &memory)?;
        let loaded =
            load::load(&connection, &memory, options.now).map_err(|error| schema::unreadable(&options.path, &error))?;
        state
            .write("running")
            .map_err(|error| bad_file(&options.path, format!("the state file cannot be written: {error}")))?;
        let report =
            OpenReport { clients: memory.directory.len(), tokens: memory.tokens.len(), previous: found.previous };
        let newest = loaded.newest.max(found.at);
        let checkpoints = checkpoints::beside(&connection, &options, loaded.audit.sequence)
            .map_err(|error| schema::unreadable(&options.path, &error))?;
        let beside = Beside { state, checkpoints, reserve };
        let AuditOptions { keys, retention } = options.audit;
        let signing = Signing::of(&connection, keys).map_err(|error| schema::unreadable(&options.path, &error))?;
        let commands = Writer::new(connection, Arc::clone(&memory), beside, loaded, (signing, retention, options.now))
            .spawn()
            .map_err(|error| StoreError::Unwritable(format!("the writer thread cannot start: {error}")))?;
        Ok((Self { memory, waiting: Arc::new(()), commands, newest, reader: Reader::new(options.path) }, report))
    }

    /// Lets the store drop what has expired. Cheap; meant for once a second.
    pub fn tick(&self, now: Timestamp) {
        // A closed store has nothing to drop.
        let _ = self.commands.send(Command::Tick(now));
    }

    /// Whether anybody waits for something to be written.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        Arc::strong_count(&self.waiting) > 1
    }

    /// Queues a piece of work for the next transaction. It runs even if nobody waits for it any more.
    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Deed<T> {
        self.queue_once(work, Urgency::Deed)
    }

    fn queue_once<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
        urgency: Urgency,
    ) -> Deed<T> {
        let mut work = Some(work);
        // It is never done twice: only what takes access away is.
        let once =
            move |batch: &mut Batch<'_>| work.take().map_or(Err(Fault::Refused(StoreError::Full)), |work| work(batch));
        self.queue(once, urgency)
    }

    /// Queues one more of what a client proves itself by: once where that is asked for, and only if the client is as it was
    /// seen.
    fn submit_addition(
        &self,
        id: ClientId,
        on: Conditions,
        at: Timestamp,
        add: impl FnOnce(&mut Batch<'_>, &Client) -> Result<Creation, Fault> + Send + 'static,
    ) -> Deed<Creation> {
        self.submit(move |batch| {
            if let Some(once) = &on.once
                && let Some(before) = batch.answered(&once.key)?
            {
                return Ok(Creation::Before(before));
            }
            let Some(client) = batch.find(&id) else {
                return Ok(Creation::NoClient);
            };
            if on.seen.is_some_and(|seen| seen != client.revision) {
                return Ok(Creation::Stale);
            }
            let added = add(batch, &client)?;
            if let (Creation::Done(_), Some(once)) = (&added, &on.once) {
                batch.keep_answer(once, at)?;
            }
            Ok(added)
        })
    }

    /// Queues that a client proves itself by something no longer, if it is as it was seen.
    fn submit_removal(
        &self,
        id: ClientId,
        seen: Option<Revision>,
        mut remove: impl FnMut(&mut Batch<'_>, &Client) -> Result<Option<Arc<Client>>, Fault> + Send + 'static,
    ) -> Deed<Changed> {
        self.submit_revocation(move |batch| match batch.find(&id) {
            None => Ok(Changed::Nothing),
            Some(client) if seen.is_some_and(|seen| seen != client.revision) => Ok(Changed::Stale),
            Some(client) => Ok(remove(batch, &client)?.map_or(Changed::Nothing, Changed::Done)),
        })
    }

    /// The same for work that takes access away: it is done even when the disk is full.
    fn submit_revocation<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Deed<T> {
        self.queue(work, Urgency::Revocation)
    }

    fn queue<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
        urgency: Urgency,
    ) -> Deed<T> {
        if !self.memory.is_writable.load(Ordering::Acquire) {
            return Box::pin(async { Err(StoreError::Unwritable("an earlier write failed".to_owned())) });
        }
        // Every waiting deed holds one of these, until it is answered or given up.
        let place = Arc::clone(&self.waiting);
        let most = if urgency == Urgency::Token { MAX_WAITING - KEPT_FREE } else { MAX_WAITING };
        if Arc::strong_count(&place) > most + 1 {
            return Box::pin(async { Err(StoreError::Overloaded) });
        }
        let (job, answered) = Waited::queue(work, place, urgency);
        let sent = self.commands.send(Command::Job(job));
        Box::pin(async move {
            sent.map_err(|_| StoreError::Closed)?;
            answered.await.unwrap_or_else(|_| Err(StoreError::Unwritable("the transaction was given up".to_owned())))
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
        self.memory.is_writable.load(Ordering::Acquire) && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.memory.is_full.load(Ordering::Acquire)
    }

    fn create_client(&self, cause: Cause, new: NewClient, once: Option<Once>) -> Deed<Creation> {
        self.submit(move |batch| {
            if let NewCredential::Secret(secret) = &new.credential {
                batch.check_key(secret.digest.key)?;
            }
            let is_before = once.as_ref().map(|once| batch.answered(&once.key)).transpose()?.flatten().is_some();
            if !is_before && batch.is_taken(&new.id)? {
                return Ok(Creation::Taken);
            }
            let Some(once) = once else {
                return batch.insert_client(&cause, new).map(Creation::Done);
            };
            if let Some(before) = batch.answered(&once.key)? {
                return Ok(Creation::Before(before));
            }
            batch.keep_answer(&once, cause.at)?;
            batch.insert_client(&cause, new).map(Creation::Done)
        })
    }

    fn change_client(&self, cause: Cause, id: ClientId, seen: Option<Revision>, change: ClientChange) -> Deed<Changed> {
        let takes_away = matches!(change, ClientChange::Suspend | ClientChange::Delete | ClientChange::RevokeTokens);
        let work = move |batch: &mut Batch<'_>| match batch.find(&id) {
            None => Ok(Changed::Nothing),
            Some(client) if seen.is_some_and(|seen| seen != client.revision) => Ok(Changed::Stale),
            Some(client) => batch.change_client(&cause, &client, &change).map(Changed::Done),
        };
        self.queue(work, if takes_away { Urgency::Revocation } else { Urgency::Deed })
    }

    fn add_secret(&self, cause: Cause, id: ClientId, secret: NewSecret, on: Conditions) -> Deed<Creation> {
        self.submit(move |batch| {
            batch.check_key(secret.digest.key)?;
            if let Some(once) = &on.once
                && let Some(before) = batch.answered(&once.key)?
            {
                return Ok(Creation::Before(before));
            }
            let Some(mut client) = batch.find(&id) else {
                return Ok(Creation::NoClient);
            };
            if on.seen.is_some_and(|seen| seen != client.revision) {
                return Ok(Creation::Stale);
            }
            // Its right to make one may have been taken away while this was under way.
            if secret.made_by.as_ref().is_some_and(|by| !client.may_replace(by, cause.at)) {
                return Err(Fault::Refused(StoreError::Superseded));
            }
            let unused =
                client.secrets.iter().find(|known| known.is_replaceable(cause.at)).map(|known| known.id.clone());
            if let Some(unused) = unused.filter(|_| secret.made_by.is_some()) {
                let retired = batch.change_secret(&cause, &client, &unused, SecretChange::Retire)?;
                client = retired.unwrap_or(client);
            }
            if client.live_secrets(secret.created_at) >= MAX_LIVE_SECRETS {
                return Ok(Creation::TooMany);
            }
            if let Some(once) = &on.once {
                batch.keep_answer(once, cause.at)?;
            }
            batch.add_secret(&cause, &client, secret).map(Creation::Done)
        })
    }

    fn change_secret(
        &self,
        cause: Cause,
        (client, secret): (ClientId, SecretId),
        seen: Option<Revision>,
        change: SecretChange,
    ) -> Deed<Changed> {
        let takes_away = matches!(change, SecretChange::Retire | SecretChange::Quarantine);
        let work = move |batch: &mut Batch<'_>| match batch.find(&client) {
            None => Ok(Changed::Nothing),
            Some(client) if seen.is_some_and(|seen| seen != client.revision) => Ok(Changed::Stale),
            Some(client) => {
                let changed = batch.change_secret(&cause, &client, &secret, change)?;
                Ok(changed.map_or(Changed::Nothing, Changed::Done))
            }
        };
        self.queue(work, if takes_away { Urgency::Revocation } else { Urgency::Deed })
    }

    fn add_key(&self, cause: Cause, id: ClientId, key: NewClientKey, on: Conditions) -> Deed<Creation> {
        self.submit_addition(id, on, cause.at, move |batch, client| batch.add_key(&cause, client, key))
    }

    fn remove_key(
        &self,
        cause: Cause,
        (client, key): (ClientId, ClientKeyId),
        seen: Option<Revision>,
    ) -> Deed<Changed> {
        self.submit_removal(client, seen, move |batch, client| batch.remove_key(&cause, client, &key))
    }

    fn add_identity(&self, cause: Cause, id: ClientId, identity: NewIdentity, on: Conditions) -> Deed<Creation> {
        self.submit_addition(id, on, cause.at, move |batch, client| batch.add_identity(&cause, client, identity))
    }

    fn remove_identity(
        &self,
        cause: Cause,
        (client, identity): (ClientId, IdentityId),
        seen: Option<Revision>,
    ) -> Deed<Changed> {
        self.submit_removal(client, seen, move |batch, client| batch.remove_identity(&cause, client, &identity))
    }

    fn add_certificate(
        &self,
        cause: Cause,
        id: ClientId,
        certificate: NewCertificate,
        on: Conditions,
    ) -> Deed<Creation> {
        self.submit_addition(id, on, cause.at, move |batch, client| batch.add_certificate(&cause, client, certificate))
    }

    fn remove_certificate(
        &self,
        cause: Cause,
        (client, certificate): (ClientId, CertificateId),
        seen: Option<Revision>,
    ) -> Deed<Changed> {
        self.submit_removal(client, seen, move |batch, client| batch.remove_certificate(&cause, client, &certificate))
    }

    fn use_assertion(&self, used: AssertionUse) -> Deed<bool> {
        self.queue_once(move |batch| batch.use_assertion(&used), Urgency::Token)
    }

    fn use_identity(&self, used: IdentityUse) -> Deed<()> {
        self.queue_once(move |batch| batch.use_identity(&used), Urgency::Token)
    }

    fn use_certificate(&self, used: CertificateUse) -> Deed<()> {
        self.queue_once(move |batch| batch.use_certificate(&used), Urgency::Token)
    }

    fn revoke_token(&self, cause: Cause, which: TokenName) -> Deed<Option<ListedToken>> {
        self.submit_revocation(move |batch| batch.revoke_token(&cause, &which))
    }

    fn owner(&self, which: TokenName) -> Deed<Option<ClientSlot>> {
        // Asked before a token is revoked, and so even when the disk is full.
        self.submit_revocation(move |batch| Ok(batch.known_token(&which)?.map(|(_, _, entry)| entry.client)))
    }

    fn note_use(&self, used: SecretUse) -> Deed<()> {
        // As many as there is room for: the next use is noted, too.
        let work = move |batch: &mut Batch<'_>| {
            batch.note_use(&used);
            Ok(())
        };
        self.queue_once(work, Urgency::Token)
    }

    fn note(&self, cause: Cause, event: AuditEvent) -> Deed<()> {
        self.submit(move |batch| Ok(batch.audit(&cause, &event)?))
    }

    fn checkpoint(&self, now: Timestamp) -> Deed<Checkpoint> {
        self.submit(move |batch| Ok(batch.sign(now)?))
    }

    fn audit(&self, wanted: AuditQuery) -> Deed<Part<AuditRow>> {
        self.reader.read(move |connection| read::audit(connection, &wanted))
    }

    fn deed_behind(&self, client: ClientId, lost: Lost) -> Deed<Option<AuditRow>> {
        self.reader.read(move |connection| lost::deed_behind(connection, &client, &lost))
    }

    fn list_tokens(&self, client: ClientSlot, now: Timestamp, part: PartOf) -> Deed<Part<ListedToken>> {
        let generation = self.memory.directory.get(client).map_or(0, |client| client.generation);
        let memory = Arc::clone(&self.memory);
        self.reader.read(move |connection| {
            read::tokens(connection, &memory.chains.of(client), (client, generation), now, part)
        })
    }

    fn answered(&self, key: [u8; 32]) -> Deed<Option<Answered>> {
        self.submit(move |batch| Ok(batch.answered(&key)?))
    }

    fn issue_token(&self, token: NewToken) -> Deed<()> {
        self.queue_once(move |batch| batch.insert_token(&token), Urgency::Token)
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

/// The reserved space. Without room for it the store is full from the start.
fn reserved(options: &OpenOptions, memory: &Memory) -> Result<Reserve, StoreError> {
    let unusable = |error| bad_file(&options.path, format!("the file of reserved space cannot be made: {error}"));
    let reserve = Reserve::open(&options.path).map_err(unusable)?;
    match reserve.fill() {
        Ok(()) => Ok(reserve),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            tracing::error!(environment = %options.environment, "The disk is full: only revocations are written, and tokens are still validated; it goes on by itself when there is room");
            memory.is_full.store(true, Ordering::Release);
            Ok(reserve)
        }
        Err(error) => Err(unusable(error)),
    }
}

pub(crate) fn bad_file(path: &Path, problem: impl ToString) -> StoreError {
    StoreError::BadFile { file: path.display().to_string(), problem: problem.to_string() }
}

#[cfg(test)]
mod tests;
