//! The machine's clock, the operating system's random generator, and its resolver of names. The only place that asks
//! them.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use fuuffy_client::BoxFuture;
use fuuffy_domain::{Entropy, NoEntropy, TimeSource, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The machine's clocks: the calendar, and time since boot with sleep included.
#[derive(Debug, Clone, Copy)]
pub struct SystemTime;

impl TimeSource for SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is where the system clock is passed in from")]
    fn wall(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is passed in from")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(bytes).map_err(|_| NoEntropy)
    }
}

/// The addresses of a name, as this machine knows them.
pub(super) fn addresses(name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    Box::pin(async move {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    })
}

/// Lets all other threads go before this one (nice(2)). Where that is not to be had, it works on as the others do.
pub(super) fn give_way() {
    const LAST: i32 = 19;
    let _ = rustix::process::nice(LAST);
}
