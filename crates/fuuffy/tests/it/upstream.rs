//! An API behind the gateway, as well or as badly behaved as a test asks for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A request as the upstream got it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} is repeated");
        first
    }
}

/// What an upstream does with a request.
pub(crate) enum Act {
    /// Sends these bytes and takes the next request.
    Answer(Vec<u8>),
    /// Sends these bytes, if any, and closes.
    AnswerAndClose(Vec<u8>),
    /// Says nothing until the gateway gives up.
    Silence,
    /// Sends these bytes and then says nothing.
    AnswerAndStall(Vec<u8>),
    /// Sends these bytes, then sends back whatever comes.
    Echo(Vec<u8>),
}

/// An upstream that listens until the test's process ends.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    closed: mpsc::Receiver<()>,
}

impl Upstream {
    /// Answers each request by `act`, which also gets how many requests came before it.
    pub(crate) fn start(act: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (kept, act) = (Arc::clone(&seen), Arc::new(act));
        let (closing, closed) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, act, closing) = (Arc::clone(&kept), Arc::clone(&act), closing.clone());
                std::thread::spawn(move || {
                    serve(stream, &kept, &*act);
                    // Few tests ask.
                    let _ = closing.send(());
                });
            }
        });
        Self { address, seen, closed }
    }

    /// Answers everything by 200 and the same JSON.
    pub(crate) fn friendly() -> Self {
        Self::start(|_, _| Act::Answer(ok(r#"{"data":[]}"#)))
    }

    /// Waits until a connection has ended.
    pub(crate) fn wait_for_close(&self) {
        self.closed.recv_timeout(Duration::from_secs(20)).expect("the gateway closes a connection");
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Seen {
        self.seen().last().expect("a request").clone()
    }
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Seen>>, act: &(dyn Fn(&Seen, usize) -> Act + Send + Sync)) {
    let mut unread = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut unread) {
        let before = {
            let mut kept = kept.lock().unwrap();
            kept.push(seen.clone());
            kept.len() - 1
        };
        // A gateway that has gone is not the upstream's concern.
        match act(&seen, before) {
            Act::Answer(bytes) => drop(stream.write_all(&bytes)),
            Act::AnswerAndClose(bytes) => return drop(stream.write_all(&bytes)),
            Act::Silence => return drop(stream.read(&mut [0; 1])),
            Act::AnswerAndStall(bytes) => {
                let _ = stream.write_all(&bytes);
                return drop(stream.read(&mut [0; 1]));
            }
            Act::Echo(bytes) => {
                let _ = stream.write_all(&bytes);
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..count]);
                }
                return;
            }
        }
    }
}

/// The next request of a stream, whatever it comes from.
pub(crate) fn read_request(stream: &mut impl Read, unread: &mut Vec<u8>) -> Option<Seen> {
    let mut seen = loop {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        if let Ok(httparse::Status::Complete(length)) = request.parse(unread) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let seen = Seen {
                method: request.method.unwrap().to_owned(),
                target: request.path.unwrap().to_owned(),
                headers: request
                    .headers
                    .iter()
                    .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                    .collect(),
                body: Vec::new(),
            };
            unread.drain(..length);
            break seen;
        }
        read_more(stream, unread)?;
    };
    if seen.field("x-early").is_some() {
        // Answered before the body is read.
    } else if seen.field("transfer-encoding").is_some() {
        // Kept with its chunk sizes: tests look at what is in it.
        while !(unread.ends_with(b"\r\n\r\n") && unread.windows(3).any(|last| last == b"0\r\n")) {
            read_more(stream, unread)?;
        }
        seen.body = std::mem::take(unread);
    } else if let Some(length) = seen.field("content-length").map(|length| length.parse::<usize>().unwrap()) {
        while unread.len() < length {
            read_more(stream, unread)?;
        }
        seen.body = unread.drain(..length).collect();
    }
    Some(seen)
}

fn read_more(stream: &mut impl Read, unread: &mut Vec<u8>) -> Option<()> {
    let mut bytes = [0; 16 * 1024];
    match stream.read(&mut bytes) {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            unread.extend_from_slice(&bytes[..count]);
            Some(())
        }
    }
}
