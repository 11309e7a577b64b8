//! The access log: one line of JSON for each request that is over.
//!
//! Whoever serves callers waits for no disk: lines go through a bounded queue to a thread that writes them. What has no
//! room in it, or cannot be written, is counted, and said once a minute.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use fuuffy_domain::EnvironmentName;
use fuuffy_gateway::Exchange;
use parking_lot::Mutex;
use serde::Serialize;

use crate::config::AccessLogTarget;

/// Lines that wait for the thread at most.
const QUEUE: usize = 8192;
/// Bytes that are written at once at most, but for the last line of them.
const BATCH: usize = 64 * 1024;

/// An access log that is open.
pub(super) struct AccessLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and everybody else tell each other.
#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    /// How many of those the log was told of.
    told: AtomicU64,
    /// Whether the file is to be opened anew.
    reopens: AtomicBool,
}

enum Message {
    Line(Box<Exchange>),
    /// There is something else to do.
    Look,
    End,
}

/// Where lines go.
enum Sink {
    Stderr,
    File(PathBuf, File),
}

/// A line. What is not known of a request is null.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: String,
    environment: EnvironmentName,
    client_id: Option<&'a str>,
    peer: std::net::IpAddr,
    method: &'a str,
    path: &'a str,
    route: Option<&'a str>,
    status: Option<u16>,
    code: Option<&'static str>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    head_ms: Option<f64>,
    upstream_ms: Option<f64>,
    broke_off: bool,
    user_agent: Option<&'a str>,
    trace_id: Option<String>,
}

impl AccessLog {
    /// Opens the log and starts its thread.
    pub(super) fn open(target: &AccessLogTarget, environment: EnvironmentName) -> anyhow::Result<Self> {
        let sink = match target {
            AccessLogTarget::Stderr => Sink::Stderr,
            AccessLogTarget::File(path) => Sink::File(path.clone(), open(path)?),
        };
        let (queue, messages) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { environment, sink, shared: Arc::clone(&shared), tears: false };
        let thread = std::thread::Builder::new().name(format!("access-{environment}"));
        let thread = thread.spawn(move || writer.run(&messages)).context("cannot start a thread")?;
        Ok(Self { queue, shared, thread: Mutex::new(Some(thread)) })
    }

    /// Has a line written, if there is room for it.
    pub(super) fn write(&self, exchange: Exchange) {
        if self.queue.try_send(Message::Line(Box::new(exchange))).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew: whoever rotates logs has moved it away.
    pub(super) fn reopen(&self) {
        self.shared.reopens.store(true, Ordering::Release);
        // Where there is no room, the thread is awake already.
        let _ = self.queue.try_send(Message::Look);
    }

    /// Lines that were lost since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Says how many lines were lost since it was said last, if any were.
    pub(super) fn tell_dropped(&self, environment: EnvironmentName) {
        let dropped = self.dropped();
        let lines = dropped - self.shared.told.swap(dropped, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(%environment, lines, "The access log lost lines: its disk is full, or slower than the requests come");
        }
    }

    /// Writes what waits, and ends. Nobody has a line any more who is still under way.
    pub(super) async fn close(self: &Arc<Self>) {
        let log = Arc::clone(self);
        let ended = tokio::task::spawn_blocking(move || {
            let _ = log.queue.send(Message::End);
            log.thread.lock().take().is_none_or(|thread| thread.join().is_ok())
        });
        if !matches!(ended.await, Ok(true)) {
            tracing::error!("The thread of the access log panicked");
        }
    }
}

/// Opens a file to add to; whoever makes it may write, and the machine's group of it may read.
fn open(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o640).open(path);
    opened.with_context(|| format!("access_log: {} cannot be opened", path.display()))
}

struct Writer {
    environment: EnvironmentName,
    sink: Sink,
    shared: Arc<Shared>,
    /// Whether the last line was cut off.
    tears: bool,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH + 4096);
        let mut lines = 0;
        let mut next = messages.recv().ok();
        while let Some(message) = next {
            match message {
                Message::Line(exchange) => {
                    // Text and numbers always are JSON.
                    if write_line(&mut batch, self.environment, &exchange).is_ok() {
                        lines += 1;
                    }
                }
                Message::Look => {}
                Message::End => break,
            }
            if self.shared.reopens.swap(false, Ordering::AcqRel) {
                self.flush(&mut batch, &mut lines);
                self.reopen();
            }
            next = match messages.try_recv() {
                Ok(message) if batch.len() < BATCH => Some(message),
                waiting => {
                    self.flush(&mut batch, &mut lines);
                    match waiting {
                        Ok(message) => Some(message),
                        Err(TryRecvError::Empty) => messages.recv().ok(),
                        Err(TryRecvError::Disconnected) => None,
                    }
                }
            };
        }
        self.flush(&mut batch, &mut lines);
    }

    fn flush(&mut self, batch: &mut Vec<u8>, lines: &mut u64) {
        if *lines > 0 && self.put(batch).is_err() {
            self.shared.dropped.fetch_add(*lines, Ordering::Relaxed);
            self.tears = true;
        }
        batch.clear();
        *lines = 0;
    }

    /// After a write that failed the file may end within a line, which ends there.
    fn put(&mut self, batch: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stderr => io::stderr().lock().write_all(batch),
            Sink::File(_, file) => {
                if self.tears {
                    file.write_all(b"\n")?;
                    self.tears = false;
                }
                file.write_all(batch)
            }
        }
    }

    fn reopen(&mut self) {
        if let Sink::File(path, file) = &mut self.sink {
            match open(path) {
                Ok(new) => (*file, self.tears) = (new, false),
                Err(error) => {
                    tracing::error!(environment = %self.environment, error = format!("{error:#}"), "The access log goes on in the file that was moved away");
                }
            }
        }
    }
}

fn write_line(into: &mut Vec<u8>, environment: EnvironmentName, exchange: &Exchange) -> serde_json::Result<()> {
    let line = Line {
        time: exchange.context.now.to_string(),
        request_id: exchange.context.id.to_string(),
        environment,
        client_id: exchange.client.as_ref().map(fuuffy_domain::ClientId::as_str),
        peer: exchange.context.peer,
        method: &exchange.method,
        path: &exchange.path,
        route: exchange.route.as_deref(),
        status: exchange.status,
        code: exchange.code,
        bytes_in: exchange.bytes_in,
        bytes_out: exchange.bytes_out,
        duration_ms: millis(exchange.took),
        head_ms: exchange.until_head.map(millis),
        upstream_ms: exchange.upstream.map(|(asked, answered)| millis(answered.saturating_sub(asked))),
        broke_off: exchange.broke_off,
        user_agent: exchange.agent.as_deref(),
        trace_id: exchange.traced.map(|traced| traced.trace.to_string()),
    };
    serde_json::to_writer(&mut *into, &line)?;
    into.push(b'\n');
    Ok(())
}

/// Milliseconds, to the microsecond.
#[expect(clippy::cast_precision_loss, reason = "a float has room for the microseconds of 285 years")]
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
