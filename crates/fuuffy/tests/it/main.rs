//! The product from outside: the real binary, real sockets, real files. One test binary, no order, no
//! sleep, no shared server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access_log;
mod admin_api;
mod agent;
mod alerts;
mod app;
mod apply;
mod audit;
mod backup;
mod clock;
mod commands;
mod configuration;
mod contract;
mod crash;
mod dashboards;
mod demo;
mod drill_command;
mod drills;
mod examples;
mod explain;
mod faults;
mod framing;
mod full_disk;
mod gateway;
mod hooks;
mod http1;
mod http2;
mod https;
mod integrator;
mod issue_local;
mod keys;
mod kills;
mod leaks;
mod lifecycle;
mod limits;
mod metrics;
mod migrate;
mod overload;
mod own_secrets;
mod revocation;
mod rotation;
mod scanned;
mod secret_sources;
mod secrets;
mod served_tls;
mod storms;
mod tidy;
mod timed;
mod tls;
mod tokens;
mod traces;
mod unusual;
mod upstream;
mod usage;
