//! What operators do, written once: clients, their secrets and tokens, and the audit log. [`router`] shows it as a JSON API.
//! Knows no listener, and nothing of how operators prove who they are.

mod api;
mod audit;
mod clients;
mod deed;
mod reminders;
mod secrets;
mod tokens;

pub use api::{Caller, router};
pub use deed::{DeedError, Environment};
pub use reminders::{Reminder, due_reminders, reminded};
pub use secrets::retire_unused;
