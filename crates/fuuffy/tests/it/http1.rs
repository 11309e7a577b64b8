//! A caller that can say anything: HTTP/1.1 by hand over a blocking socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here takes; a hang fails instead of lasting.
const PATIENCE: Duration = Duration::from_secs(20);

/// One answer, read whole.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says, and not by the connection's end.
    pub(crate) whole: bool,
}

impl Reply {
    /// The one field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} is repeated");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A connection that stays open.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
    /// The server is expected to be killed.
    may_end_anywhere: bool,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over_tcp(TcpStream::connect(address).unwrap())
    }

    /// To a server that may have been killed already.
    pub(crate) fn open_if_alive(address: SocketAddr) -> Option<Self> {
        TcpStream::connect(address).ok().map(Self::over_tcp)
    }

    /// Over a socket, on which a request may have been sent.
    pub(crate) fn over_tcp(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Box::new(stream), unread: Vec::new(), may_end_anywhere: false }
    }

    /// Over a Unix socket, on which a request has been sent.
    pub(crate) fn over_unix(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream: Box::new(stream), unread: Vec::new(), may_end_anywhere: false }
    }

    /// Over anything that bytes come and go by.
    pub(crate) fn over(stream: impl Read + Write + 'static) -> Self {
        Self { stream: Box::new(stream), unread: Vec::new(), may_end_anywhere: false }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has refused already may have closed.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// The next answer; `None` where the connection ended without one.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        self.reply_to(false)
    }

    /// The next answer; `None` where the server went before it was whole.
    pub(crate) fn reply_if_whole(&mut self) -> Option<Reply> {
        self.may_end_anywhere = true;
        self.reply().filter(|reply| reply.whole)
    }

    /// The next answer, to a HEAD request if so said.
    pub(crate) fn reply_to(&mut self, is_head: bool) -> Option<Reply> {
        let (status, headers) = loop {
            let (status, headers) = self.head()?;
            if status != 100 {
                break (status, headers);
            }
        };
        let field = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let (body, whole) = if is_head || status == 204 || status == 304 || status == 101 {
            (Vec::new(), true)
        } else if field("transfer-encoding").is_some() {
            self.chunked()
        } else if let Some(length) = field("content-length") {
            let length: usize = length.parse().unwrap();
            while self.unread.len() < length && self.read_more() {}
            let whole = self.unread.len() >= length;
            let taken = length.min(self.unread.len());
            (self.unread.drain(..taken).collect(), whole)
        } else {
            while self.read_more() {}
            (std::mem::take(&mut self.unread), true)
        };
        Some(Reply { status, headers, body, whole })
    }

    /// Whether the server has closed, and sent nothing more.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && !self.read_more()
    }

    /// So many bytes, after an upgrade.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count && self.read_more() {}
        let taken = count.min(self.unread.len());
        self.unread.drain(..taken).collect()
    }

    fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 64];
            let mut response = httparse::Response::new(&mut fields);
            if let httparse::Status::Complete(length) = response.parse(&self.unread).expect("an HTTP/1.1 answer") {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers =
                    response.headers.iter().map(|field| (field.name.to_ascii_lowercase(), text(field.value))).collect();
                let status = response.code.unwrap();
                self.unread.drain(..length);
                return Some((status, headers));
            }
            if !self.read_more() {
                assert!(
                    self.may_end_anywhere || self.unread.is_empty(),
                    "half an answer: {:?}",
                    String::from_utf8_lossy(&self.unread)
                );
                return None;
            }
        }
    }

    fn chunked(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line() else {
                return (body, false);
            };
            let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
            if size == 0 {
                loop {
                    match self.line() {
                        Some(line) if line.is_empty() => return (body, true),
                        Some(trailer) => body.extend_from_slice(format!("[{trailer}]").as_bytes()),
                        None => return (body, false),
                    }
                }
            }
            while self.unread.len() < size + 2 {
                if !self.read_more() {
                    body.append(&mut self.unread);
                    return (body, false);
                }
            }
            body.extend(self.unread.drain(..size));
            self.unread.drain(..2);
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// Reads what comes next; false at the end of the connection.
    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the server says nothing: {error}"),
        }
    }
}

/// Sends bytes by a connection of their own and reads one answer.
pub(crate) fn exchange(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Reply {
    let mut connection = Connection::open(address);
    connection.send(bytes);
    connection.reply().expect("an answer")
}

/// A request by a connection of its own.
pub(crate) fn request(address: SocketAddr, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Reply {
    let mut connection = Connection::open(address);
    connection.send(message(address, method, target, fields, body));
    connection.reply_to(method == "HEAD").expect("an answer")
}

/// The bytes of a request.
pub(crate) fn message(address: SocketAddr, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("host: {address}\r\n"));
    }
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text
}
