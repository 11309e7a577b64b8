//! Somebody who takes webhooks, and may refuse them, or do worse.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;
use tokio::time::Instant;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
/// No test waits longer for a message.
const PATIENCE: Duration = Duration::from_secs(60);

/// One message as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    pub(crate) target: String,
    pub(crate) signature: String,
    pub(crate) timestamp: String,
    pub(crate) timestamp_signature: String,
    pub(crate) body: String,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Elsewhere, on the same address.
    Redirect,
    /// None, for as long as the test lasts.
    Hang,
    /// 200, and bytes without an end.
    Stream,
    /// 200, and fields without an end.
    EndlessHead,
    /// 200, and then nothing more, though more was announced.
    Stall,
}

/// Takes messages until the test ends.
pub(crate) struct Hooks {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    folder: TempDir,
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Taken>,
    news: Condvar,
}

#[derive(Default)]
struct Taken {
    messages: Vec<Message>,
    /// For the next messages, before the usual answer.
    next: VecDeque<Answer>,
    usual: Option<Answer>,
    connections: usize,
    /// Those that hang.
    held: Vec<TcpStream>,
    /// How much each stream took before its reader went.
    streamed: Vec<usize>,
}

impl Hooks {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("webhook.key");
        std::fs::write(&key, [KEY, b"\n"].concat()).unwrap();
        let mode: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, mode).unwrap();
        let hooks = Self { address: listener.local_addr().unwrap(), shared: Arc::default(), folder };
        let shared = Arc::clone(&hooks.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || take(stream.unwrap(), &shared));
            }
        });
        hooks
    }

    /// The section of a configuration that names this webhook.
    pub(crate) fn section(&self) -> String {
        self.section_at(&format!("http://{}/hook", self.address), "webhook_allow_private = true")
    }

    /// The same, by another URL and with another last line.
    pub(crate) fn section_at(&self, url: &str, last: &str) -> String {
        let key = self.folder.path().join("webhook.key");
        format!("[environments.testing.reminders]\nwebhook = {url:?}\nwebhook_key_file = {key:?}\n{last}\n")
    }

    /// From now on every message is answered so.
    pub(crate) fn answer(&self, answer: Answer) {
        self.shared.taken.lock().usual = Some(answer);
    }

    /// The next messages are answered so.
    pub(crate) fn answer_next(&self, answers: &[Answer]) {
        self.shared.taken.lock().next.extend(answers);
    }

    pub(crate) fn taken(&self) -> Vec<Message> {
        self.shared.taken.lock().messages.clone()
    }

    /// Waits for so many messages.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Message> {
        self.wait_until(|taken| taken.messages.len() >= count);
        self.taken()
    }

    /// Waits until the reader of a stream has gone, and answers how much it took.
    pub(crate) fn wait_for_end_of_stream(&self) -> usize {
        self.wait_until(|taken| !taken.streamed.is_empty());
        self.shared.taken.lock().streamed[0]
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.taken.lock().connections
    }

    fn wait_until(&self, is_so: impl Fn(&Taken) -> bool) {
        let (mut taken, deadline) = (self.shared.taken.lock(), Instant::now() + PATIENCE);
        while !is_so(&taken) {
            let waited = self.shared.news.wait_until(&mut taken, deadline.into_std());
            assert!(!waited.timed_out(), "nothing came: {:?}", taken.messages);
        }
    }
}

impl Message {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }

    /// What a receiver does: both signatures are of this message.
    pub(crate) fn verify(&self) {
        let sign = |text: &str| {
            let digits = Hmac::<Sha256>::new_from_slice(KEY).unwrap().chain_update(text).finalize().into_bytes();
            digits.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(self.signature, sign(&self.body));
        assert_eq!(self.timestamp_signature, sign(&format!("{}.{}", self.timestamp, self.body)));
    }
}

fn take(mut stream: TcpStream, shared: &Shared) {
    shared.taken.lock().connections += 1;
    let Some(message) = read(&stream) else {
        return;
    };
    let answer = {
        let mut taken = shared.taken.lock();
        taken.messages.push(message);
        let answer = taken.next.pop_front().or(taken.usual).unwrap_or(Answer::Status(200));
        shared.news.notify_all();
        answer
    };
    let end = "content-length: 0\r\nconnection: close\r\n\r\n";
    match answer {
        // Whoever asked may have gone.
        Answer::Status(status) => drop(write!(stream, "HTTP/1.1 {status} As asked\r\n{end}")),
        Answer::Redirect => drop(write!(stream, "HTTP/1.1 307 Elsewhere\r\nlocation: /elsewhere\r\n{end}")),
        Answer::Hang => shared.taken.lock().held.push(stream),
        Answer::Stall => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").unwrap();
            shared.taken.lock().held.push(stream);
        }
        Answer::Stream => stream_to(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", shared),
        Answer::EndlessHead => stream_to(stream, "HTTP/1.1 200 OK\r\nx-long: ", shared),
    }
}

/// Sends bytes for as long as somebody reads them.
fn stream_to(mut stream: TcpStream, head: &str, shared: &Shared) {
    stream.write_all(head.as_bytes()).unwrap();
    let mut written = 0;
    while stream.write_all(&[b'x'; 4096]).is_ok() {
        written += 4096;
    }
    shared.taken.lock().streamed.push(written);
    shared.news.notify_all();
}

/// A request, whole; `None` where it is none.
fn read(stream: &TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let (mut message, mut length, mut line) = (Message::default(), 0, String::new());
    reader.read_line(&mut line).ok()?;
    message.target = line.split(' ').nth(1)?.to_owned();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
        let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "x-fuuffy-signature" => message.signature = value.to_owned(),
            "x-fuuffy-timestamp" => message.timestamp = value.to_owned(),
            "x-fuuffy-timestamp-signature" => message.timestamp_signature = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    message.body = String::from_utf8(body).ok()?;
    Some(message)
}
