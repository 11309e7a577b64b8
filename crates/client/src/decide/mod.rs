//! What the client decides, apart from how it acts: pure state machines that take `now` (time since some
//! fixed moment), touch no socket and no clock, and leave every effect to whoever asks them.

mod backoff;
mod gate;
mod pace;
mod response;
mod rotation;
mod token;

pub(crate) use backoff::{Budget, Escalation, RETRIES};
pub(crate) use gate::{Gates, Hold};
pub(crate) use pace::{Pace, Turn};
pub(crate) use response::{Head, Verdict, is_repeatable, names_invalid_token};
pub(crate) use rotation::{Beginning, LiveSecret, Schedule, Stage};
pub use token::Grant;
pub(crate) use token::{Ask, HeldToken, Next, TokenState};
