//! Creations that are done once, however often they are asked for
//! (draft-ietf-httpapi-idempotency-key-header). What was answered is kept for a day; it may have a secret in
//! it, so it is sealed with a key that cannot be made without the idempotency key, which the server keeps nowhere.

use fuuffy_domain::{Actor, AnswerKey, Revision};
use fuuffy_store::{Answered, Conditions, Creation, Once};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::deed::{DeedError, Environment};

/// That something is to be done once.
pub(crate) struct OnceOnly {
    /// Under the current key first, then under those that it replaced.
    keys: Vec<AnswerKey>,
    /// A digest of what is asked for.
    request: [u8; 32],
}

/// What was made, now or before.
pub(crate) enum Made<T> {
    /// Now, and the client's state after it, if it is known.
    Now(T, Revision),
    /// Before, under the same key.
    Before(Kept),
}

/// On what something is added to a client: that the client is as it was seen, and once, where that is asked for. The state
/// after it is known beforehand only where the state before it is.
pub(crate) fn conditions<T: Serialize>(
    environment: &Environment,
    once: Option<&OnceOnly>,
    seen: Option<Revision>,
    answer: &T,
) -> Result<Conditions, DeedError> {
    let after = seen.map(|seen| Revision(seen.0 + 1));
    let once = once.map(|once| once.keep(environment, after, answer)).transpose()?;
    Ok(Conditions { seen, once })
}

/// What came of it: `full` where there was no room for it, `taken` where there was one like it.
pub(crate) fn added<T>(
    (creation, once): (Creation, Option<&OnceOnly>),
    answer: T,
    [full, taken]: [DeedError; 2],
) -> Result<Made<T>, DeedError> {
    match (creation, once) {
        (Creation::Done(client), _) => Ok(Made::Now(answer, client.revision)),
        (Creation::Before(answered), Some(once)) => once.open(&answered).map(Made::Before),
        (Creation::TooMany, _) => Err(full),
        (Creation::Taken, _) => Err(taken),
        (Creation::Stale | Creation::Before(_), _) => Err(DeedError::Stale),
        (Creation::NoClient, _) => Err(DeedError::NotFound("client")),
    }
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) revision: Option<u32>,
    pub(crate) data: Box<RawValue>,
}

impl OnceOnly {
    /// By what an actor said, and the path and body that are asked for.
    pub(crate) fn new(environment: &Environment, actor: &Actor, said: &str, (path, body): (&str, &[u8])) -> Self {
        let who = match actor {
            Actor::Operator { client_id } => format!("operator {client_id}"),
            Actor::Client { client_id } => format!("client {client_id}"),
            // The same user of the machine, whether the server runs or not.
            Actor::Socket { uid } | Actor::Local { uid } => format!("user {uid}"),
            Actor::Server => "server".to_owned(),
        };
        let keys = environment.keyring.answer_keys(&who, said).collect();
        let request = Sha256::new().chain_update(path).chain_update([0]).chain_update(body).finalize().into();
        Self { keys, request }
    }

    /// What was answered before, if it was.
    ///
    /// # Errors
    /// Something else was asked for then, or the store could not be read.
    pub(crate) async fn before(&self, environment: &Environment) -> Result<Option<Kept>, DeedError> {
        for key in &self.keys {
            if let Some(answered) = environment.store.answered(key.name).await? {
                return self.open_with(key, &answered).map(Some);
            }
        }
        Ok(None)
    }

    /// What the store keeps if it is done now.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn keep(
        &self,
        environment: &Environment,
        revision: Option<Revision>,
        made: &impl Serialize,
    ) -> Result<Once, DeedError> {
        let key = &self.keys[0];
        let data = Zeroizing::new(serde_json::to_vec(&json(revision, made)).map_err(|_| DeedError::Unreadable)?);
        let sealed = key.seal.close(&key.name, &data, &*environment.entropy)?;
        let answer = Answered { request: self.request, sealed };
        Ok(Once { key: key.name, answer })
    }

    /// What the store kept under the current key.
    ///
    /// # Errors
    /// Something else was asked for then.
    pub(crate) fn open(&self, answered: &Answered) -> Result<Kept, DeedError> {
        self.open_with(&self.keys[0], answered)
    }

    fn open_with(&self, key: &AnswerKey, answered: &Answered) -> Result<Kept, DeedError> {
        if answered.request != self.request {
            return Err(DeedError::KeyReused);
        }
        let data = key.seal.open(&key.name, &answered.sealed).ok_or(DeedError::Unreadable)?;
        serde_json::from_slice(&data).map_err(|_| DeedError::Unreadable)
    }
}

fn json<'a, T: Serialize>(revision: Option<Revision>, made: &'a T) -> impl Serialize + use<'a, T> {
    #[derive(Serialize)]
    struct ToKeep<'a, T> {
        revision: Option<u32>,
        data: &'a T,
    }
    ToKeep { revision: revision.map(|revision| revision.0), data: made }
}
