//! Names that are looked up before anything is sent there: only addresses that may be reached are let through.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use fuuffy_client::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::reach::MayReach;

/// Who knows the addresses of a name.
pub type Names = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Looks names up, and lets through only those all of whose addresses may be reached. The connection goes to one of
/// the addresses that were looked at, for nobody looks the name up again.
pub(super) struct Looked {
    pub(super) names: Names,
    pub(super) may_reach: MayReach,
}

impl Resolve for Looked {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, may_reach) = ((self.names)(name.as_str().to_owned()), self.may_reach);
        Box::pin(async move {
            let found = found.await?;
            for address in &found {
                may_reach.check(*address)?;
            }
            // The URL has the port.
            let addresses: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
