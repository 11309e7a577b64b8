//! A bearer token becomes a proxied request: find the route, verify, authorise, limit, forward,
//! respond, record. Runs without the issuer, and touches no disk and no database: it reads the
//! configuration's snapshot, the token index and the directory of clients, all in memory.

mod body;
mod client_cert;
mod drills;
mod fields;
mod findings;
mod forward;
mod holder;
mod meter;
mod overload;
mod proxy;
mod reason;
mod record;
mod snapshot;
mod times;
mod trail;
mod tunnel;
mod upstream;

pub use body::{CallerBody, ResponseBody};
pub use client_cert::take_client_cert;
pub use fields::{CallerFields, remove_hop_by_hop, set_trace, takes_trailers, trace_of};
pub use overload::RouteStanding;
pub use proxy::Gateway;
pub use record::{Outcome, Traffic};
pub use snapshot::{RouteSettings, Snapshot, SnapshotFault, Upstream, UpstreamProtocol};
pub use times::{Histogram, TimesOfRoute};
pub use trail::{Exchange, OnEnd, Spans, Traced, Trail};
pub use tunnel::Tunnel;
pub use upstream::Pools;
