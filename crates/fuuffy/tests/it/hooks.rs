//! Somebody who takes webhooks, and may refuse them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;

/// One message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) signature: String,
    pub(crate) body: String,
}

/// Takes messages until the test ends.
pub(crate) struct Hooks {
    pub(crate) address: SocketAddr,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Message>>>,
}

impl Hooks {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, status, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicU16::new(200)), Arc::default());
        let hooks = Self { address, status: Arc::clone(&status), taken: Arc::clone(&taken) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                take(&stream.unwrap(), &status, &taken);
            }
        });
        hooks
    }

    /// From now on every message is answered with this status.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn taken(&self) -> Vec<Message> {
        self.taken.lock().clone()
    }
}

fn take(mut stream: &TcpStream, status: &AtomicU16, taken: &Mutex<Vec<Message>>) {
    let mut reader = BufReader::new(stream);
    let (mut signature, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        let (name, value) = line.trim_end().split_once(": ").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "x-fuuffy-signature" => signature = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    taken.lock().push(Message { signature, body: String::from_utf8(body).unwrap() });
    let status = status.load(Ordering::Relaxed);
    write!(stream, "HTTP/1.1 {status} As asked\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}
