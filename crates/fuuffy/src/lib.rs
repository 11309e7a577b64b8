//! The binary's insides: command line, configuration, wiring, listeners and telemetry. The only crate
//! that reads arguments, the environment and files, and binds sockets. Nothing depends on it.

pub mod agent;
mod causes;
pub mod cli;
pub mod config;
pub mod demo;
pub mod integrator;
pub mod operator;
mod reach;
pub mod scan;
pub mod serve;
pub mod server;
pub mod settings;
pub mod telemetry;
