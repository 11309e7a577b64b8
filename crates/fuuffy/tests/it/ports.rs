//! Addresses for those who must know one before anybody listens there.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Where the next port is looked for: below those that connections get from the system.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// An address that nobody listens on, and no connection takes.
pub(crate) fn free() -> SocketAddr {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut addresses = (0..10_000).map(|_| {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        SocketAddr::from(([127, 0, 0, 1], port))
    });
    addresses.find(|address| TcpListener::bind(address).is_ok()).expect("a free port")
}
