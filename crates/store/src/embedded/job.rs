//! A deed on its way through the writer: done in a transaction, and answered when that has ended. One that
//! takes access away can be done again, in the next transaction, where there was no room for the first.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::batch::{Batch, Fault};
use crate::StoreError;

/// A deed, whatever it answers.
pub(super) trait Job: Send {
    /// Writes it. Fails where the whole transaction does.
    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()>;

    /// Tells its caller how it ended.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);

    /// How it stands to others that wait.
    fn urgency(&self) -> Urgency;
}

/// How a deed stands to others that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A token: as many as there is room for.
    Token,
    /// What somebody does: there is room for it, however many tokens wait.
    Deed,
    /// What takes access away is done before all else, and even when the disk is full.
    Revocation,
}

/// A deed that somebody waits for, or has given up waiting for.
pub(super) struct Waited<T, W> {
    work: W,
    outcome: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
    /// Held by every deed that waits.
    _place: Arc<()>,
    urgency: Urgency,
}

impl<T, W> Waited<T, W>
where
    T: Send + 'static,
    W: FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
{
    /// The deed, and where its answer comes.
    pub(super) fn queue(
        work: W,
        place: Arc<()>,
        urgency: Urgency,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Box::new(Self { work, outcome: None, answer, _place: place, urgency }), answered)
    }
}

impl<T, W> Job for Waited<T, W>
where
    T: Send + 'static,
    W: FnMut(&mut Batch<'_>) -> Result<T, Fault> + Send + 'static,
{
    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        self.outcome = Some(match (self.work)(batch) {
            Ok(value) => Ok(value),
            Err(Fault::Refused(error)) => Err(error),
            Err(Fault::Sql(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { outcome, answer, .. } = *self;
        let given_up = || Err(StoreError::Unwritable("the transaction was given up".to_owned()));
        // Whoever asked may have gone; what was done stays done.
        let _ = answer.send(committed.and_then(|()| outcome.unwrap_or_else(given_up)));
    }

    fn urgency(&self) -> Urgency {
        self.urgency
    }
}

/// What the writer does by itself.
pub(super) struct Chore<W>(pub(super) W);

impl<W: FnMut(&mut Batch<'_>) -> rusqlite::Result<()> + Send> Job for Chore<W> {
    fn run(&mut self, batch: &mut Batch<'_>) -> rusqlite::Result<()> {
        (self.0)(batch)
    }

    fn answer(self: Box<Self>, _: Result<(), StoreError>) {}

    fn urgency(&self) -> Urgency {
        Urgency::Deed
    }
}
