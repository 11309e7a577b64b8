//! The process itself, under the names that Prometheus has for every program. What the system does not tell is left out.

use fuuffy_domain::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::{Seconds, gauge, seconds};

/// Reads what the system tells of this process.
pub(super) fn registry(started: Timestamp) -> Registry {
    let mut registry = Registry::with_prefix("process");
    let start = Seconds::default();
    start.set(seconds(started.unix_millis()));
    registry.register("start_time_seconds", "When the server started, since 1970", start);
    let cpu = Counter::<f64, std::sync::atomic::AtomicU64>::default();
    let used = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds to the nanosecond, for as long as anything runs")]
    cpu.inc_by(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
    registry.register("cpu_seconds", "Time that its threads used of the processors", cpu);
    let number = |value: usize| {
        let number = Gauge::<i64>::default();
        number.set(gauge(value));
        number
    };
    if let Some(bytes) = resident_bytes() {
        registry.register("resident_memory_bytes", "Memory that it has", number(bytes));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        registry.register("open_fds", "Files and sockets that it has open", number(open.count()));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        registry.register("max_fds", "Files and sockets that it may have open", number(most));
    }
    registry
}

fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
