//! What operators do, written once: clients and their secrets. [`router`] shows it as a JSON API.
//! Knows no listener, and nothing of how operators prove who they are.

mod api;
mod clients;
mod deed;
mod secrets;

pub use api::router;
pub use deed::{DeedError, Environment};
