//! Letters by SMTP: handed to a mail server, and told when it takes them (RFC 5321). One letter costs twenty seconds and
//! 64 KiB of what the server says at most, whatever is at the other end; it goes only where an alert may go, to an
//! address that was looked at, and in clear on loopback alone.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use fuuffy_domain::Timestamp;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Quit, Rcpt, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::letter::letter;
use super::looked::Names;
use super::private_file;
use crate::causes;
use crate::config::{EmailConfig, MailTls};
use crate::reach::Reach;

/// From the look-up of the name to the answer that the letter was taken.
const PATIENCE: Duration = Duration::from_secs(20);
/// So much of what the server says is read, TLS included.
const MOST_READ: u64 = 64 * 1024;
/// So much of an answer is told, in characters.
const MOST_TOLD: usize = 200;

/// A mail server that is ready to be called.
pub(super) struct Mailer {
    server: (String, u16),
    names: Names,
    allow_private: bool,
    /// None in clear.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    is_implicit: bool,
    login: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

/// A connection, in clear or not.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Mailer {
    pub(super) fn open(config: &EmailConfig, names: &Names) -> anyhow::Result<Self> {
        let EmailConfig { server, tls, from, to, login, allow_private } = config.clone();
        let login = login.map(|(name, file)| {
            let password = private_file::read(&file)?;
            ensure!(!password.is_empty(), "{} is empty; it must have a password", file.display());
            let password = std::str::from_utf8(&password);
            let password = password.with_context(|| format!("{} is not UTF-8", file.display()))?;
            anyhow::Ok(Credentials::new(name, password.to_owned()))
        });
        let tls_of = || {
            let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()?
                .with_platform_verifier()
                .context("no TLS; are ca-certificates installed?")?
                .with_no_client_auth();
            let name = ServerName::try_from(server.0.clone()).context("the mail server's name is none")?;
            anyhow::Ok((TlsConnector::from(Arc::new(config)), name))
        };
        let is_implicit = tls == MailTls::Implicit;
        let tls = if tls == MailTls::None { None } else { Some(tls_of()?) };
        let (login, names) = (login.transpose()?, Arc::clone(names));
        Ok(Self { server, names, allow_private, tls, is_implicit, login, from, to })
    }

    /// Hands a letter of an alert over, at `now`.
    pub(super) async fn send(&self, body: &str, now: Timestamp) -> anyhow::Result<()> {
        let letter = letter(body, &self.from, &self.to, now)?.formatted();
        match timeout(PATIENCE, self.hand_over(&letter)).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the mail server did not take the letter within {} s", PATIENCE.as_secs()),
        }
    }

    async fn hand_over(&self, letter: &[u8]) -> anyhow::Result<()> {
        // Whatever the server says beyond is as if it had closed the connection.
        let (read, write) = self.connect().await?.into_split();
        let stream: Box<dyn Stream> = Box::new(tokio::io::join(read.take(MOST_READ), write));
        let mut session = match &self.tls {
            Some((connector, name)) if self.is_implicit => {
                let stream = secured(connector, name, stream).await?;
                Session::greeted(stream).await?
            }
            Some((connector, name)) => {
                let mut session = Session::greeted(stream).await?;
                let offers = session.introduce(&self.from).await?;
                ensure!(
                    offers.iter().any(|offer| offer == "STARTTLS"),
                    "the mail server offers no STARTTLS, and nothing is sent in clear"
                );
                session.say(&Starttls, "STARTTLS", 220).await?;
                let stream = secured(connector, name, session.emptied()?).await?;
                // What was said in clear counts for nothing (RFC 3207 §4.2).
                Session::new(stream)
            }
            None => Session::greeted(stream).await?,
        };
        let offers = session.introduce(&self.from).await?;
        if let Some(login) = &self.login {
            session.sign_in(login, &offers).await?;
        }
        self.post(&mut session, letter).await?;
        // It is taken; whether the server is polite does not matter.
        let _ = session.stream.get_mut().write_all(Quit.to_string().as_bytes()).await;
        Ok(())
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let (host, port) = &self.server;
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => (self.names)(host.clone()).await.with_context(|| format!("{host} has no address"))?,
        };
        for address in &addresses {
            self.check(*address)?;
        }
        let mut failure = anyhow::anyhow!("{host} has no address");
        for address in addresses {
            match TcpStream::connect(SocketAddr::new(address, *port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = anyhow::anyhow!("no connection to {address}: {error}"),
            }
        }
        Err(failure)
    }

    /// Whether a mail server may be there.
    fn check(&self, address: IpAddr) -> anyhow::Result<()> {
        match Reach::of(address) {
            Reach::Never => bail!("{address} is an address at which no mail server can be"),
            Reach::Private if !self.allow_private => {
                bail!("{address} is a private address, and allow_private is not true")
            }
            Reach::Public | Reach::Private if self.tls.is_none() && !address.to_canonical().is_loopback() => {
                bail!("{address} is not on loopback, and nothing is sent in clear anywhere else")
            }
            Reach::Public | Reach::Private => Ok(()),
        }
    }

    /// Sends the letter to all whom the server knows. It is taken if there is one.
    async fn post(&self, session: &mut Session, letter: &[u8]) -> anyhow::Result<()> {
        session.say(&Mail::new(Some(self.from.email.clone()), Vec::new()), "MAIL FROM", 250).await?;
        let (mut known, mut refused) = (0, None);
        for to in &self.to {
            match session.ask(&Rcpt::new(to.email.clone(), Vec::new())).await? {
                answer if answer.has_code(250) || answer.has_code(251) => known += 1,
                answer => {
                    let words = format!("the mail server answered RCPT TO {} with {}", to.email, told(&answer));
                    tracing::warn!("Somebody does not get an alert: {words}");
                    refused = Some(words);
                }
            }
        }
        if let Some(words) = refused.filter(|_| known == 0) {
            bail!(words);
        }
        session.say(&Data, "DATA", 354).await?;
        session.stream.get_mut().write_all(&stuffed(letter)).await?;
        session.stream.get_mut().flush().await?;
        let answer = session.answer().await?;
        ensure!(answer.has_code(250), "the mail server answered the letter with {}", told(&answer));
        Ok(())
    }
}

/// TLS over a connection.
async fn secured(
    connector: &TlsConnector,
    name: &ServerName<'static>,
    stream: Box<dyn Stream>,
) -> anyhow::Result<Box<dyn Stream>> {
    let stream = connector.connect(name.clone(), stream).await;
    Ok(Box::new(stream.map_err(|error| anyhow::anyhow!("no TLS with the mail server: {}", causes::said(&error)))?))
}

/// A letter as it goes over the wire: no line of it is a full stop alone but the last (RFC 5321 §4.5.2).
fn stuffed(letter: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(letter.len() + 64);
    for line in letter.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// What a server said, as far as it is told on.
fn told(answer: &Response) -> String {
    let words = answer.message().collect::<Vec<_>>().join(" ");
    let words = words.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    format!("{} {}", answer.code(), words.take(MOST_TOLD).collect::<String>())
}

/// A conversation.
struct Session {
    stream: BufReader<Box<dyn Stream>>,
}

impl Session {
    fn new(stream: Box<dyn Stream>) -> Self {
        Self { stream: BufReader::with_capacity(1024, stream) }
    }

    async fn greeted(stream: Box<dyn Stream>) -> anyhow::Result<Self> {
        let mut session = Self::new(stream);
        let greeting = session.answer().await?;
        ensure!(greeting.has_code(220), "the mail server greeted with {}", told(&greeting));
        Ok(session)
    }

    /// Says who is there, and hears what the server can do: each offer's words, in capitals.
    async fn introduce(&mut self, from: &Mailbox) -> anyhow::Result<Vec<String>> {
        let ehlo = Ehlo::new(ClientId::Domain(from.email.domain().to_owned()));
        let answer = self.say(&ehlo, "EHLO", 250).await?;
        Ok(answer.message().skip(1).map(|offer| offer.trim().to_ascii_uppercase()).collect())
    }

    /// Signs in by what both know. What the server says of it is not told on, for it may say the password again.
    async fn sign_in(&mut self, login: &Credentials, offers: &[String]) -> anyhow::Result<()> {
        let knows = |name: &str| {
            offers.iter().filter_map(|it| it.strip_prefix("AUTH ")).any(|it| it.split(' ').any(|it| it == name))
        };
        let refused =
            |answer: &Response| anyhow::anyhow!("the mail server refused the password with {}", answer.code());
        if knows("PLAIN") {
            let answer = self.ask(&Auth::new(Mechanism::Plain, login.clone(), None)?).await?;
            return if answer.has_code(235) { Ok(()) } else { Err(refused(&answer)) };
        }
        ensure!(knows("LOGIN"), "the mail server offers neither AUTH PLAIN nor AUTH LOGIN");
        let mut answer = self.ask(&Auth::new(Mechanism::Login, login.clone(), None)?).await?;
        for _ in 0..2 {
            if !answer.has_code(334) {
                return Err(refused(&answer));
            }
            let response = Auth::new_from_response(Mechanism::Login, login.clone(), &answer);
            let response = response
                .map_err(|_| anyhow::anyhow!("the mail server asks for something else than a name and a password"))?;
            answer = self.ask(&response).await?;
        }
        if answer.has_code(235) { Ok(()) } else { Err(refused(&answer)) }
    }

    /// Says something that must be answered with this code.
    async fn say(&mut self, command: &impl Display, name: &str, code: u16) -> anyhow::Result<Response> {
        let answer = self.ask(command).await?;
        ensure!(answer.has_code(code), "the mail server answered {name} with {}", told(&answer));
        Ok(answer)
    }

    async fn ask(&mut self, command: &impl Display) -> anyhow::Result<Response> {
        self.stream.get_mut().write_all(command.to_string().as_bytes()).await?;
        self.stream.get_mut().flush().await?;
        self.answer().await
    }

    /// An answer, whole: lines of a code and a hyphen, and one without (RFC 5321 §4.2).
    async fn answer(&mut self) -> anyhow::Result<Response> {
        let (mut text, mut begins) = (Vec::new(), 0);
        loop {
            let read = self.stream.read_until(b'\n', &mut text).await?;
            if read == 0 || !text.ends_with(b"\n") {
                bail!("the mail server closed the connection, or said more than {MOST_READ} bytes");
            }
            if text.get(begins + 3) != Some(&b'-') {
                break;
            }
            begins = text.len();
        }
        let text = String::from_utf8_lossy(&text);
        text.parse().map_err(|_| anyhow::anyhow!("the mail server said what is no answer"))
    }

    /// The connection, of which nothing is left unread: it would count as said under TLS.
    fn emptied(self) -> anyhow::Result<Box<dyn Stream>> {
        ensure!(self.stream.buffer().is_empty(), "the mail server said more in clear than it was asked");
        Ok(self.stream.into_inner())
    }
}

#[cfg(test)]
mod tests;
