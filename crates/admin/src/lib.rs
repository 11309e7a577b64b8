//! What operators do, written once: clients, their secrets, keys and tokens, alerts, and the audit log. [`router`] shows it as a
//! JSON API, which tells operators by their tokens, and allows what the table of deeds allows. Knows no listener.

mod alerts;
mod api;
mod audit;
mod client_certificates;
mod client_keys;
mod clients;
mod configuration;
mod deed;
mod explanations;
mod identities;
mod once;
mod operators;
mod refusals;
mod reminders;
mod roles;
mod secrets;
mod silences;
mod token_use;
mod tokens;
mod usage;

pub use alerts::{TestAlert, Tested, Untold};
pub use api::{Caller, Stranger, openapi, router};
pub use client_keys::KeysOf;
pub use configuration::Configured;
pub use deed::{DeedError, Environment};
pub use explanations::{Explanation, Reader, explain};
pub use refusals::{Refusals, note_refusals};
pub use reminders::{Reminder, due_reminders, reminded};
pub use roles::{DEEDS, Deed, Kind, SCOPES};
pub use secrets::retire_unused;
pub use usage::{ShownUsage, UsageWanted, own_usage};
