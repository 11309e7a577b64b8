//! TLS as the server speaks it: 1.3 and 1.2 with what rustls takes for safe, X25519MLKEM768 first, and one certificate
//! for each name.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme::{ACME_TLS, Challenges};
use super::certificate::Certificate;
use super::mutual_tls::AnyCertificate;

/// The first byte of a record that begins a handshake (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

/// How a listener speaks TLS.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    names: Arc<Names>,
}

/// Who is meant by which name. Whoever names nobody means the first.
#[derive(Debug)]
struct Names {
    of: Vec<(Option<Vec<String>>, Arc<Certificate>)>,
    /// What an authority may look for in a handshake.
    challenges: Option<Arc<Challenges>>,
}

impl Names {
    /// The number of whoever is meant.
    fn find(&self, name: Option<&str>) -> usize {
        let is_meant = |hosts: &Option<Vec<String>>, name: &str| {
            hosts.as_ref().is_none_or(|hosts| hosts.iter().any(|host| host.eq_ignore_ascii_case(name)))
        };
        let meant = name.and_then(|name| self.of.iter().position(|(hosts, _)| is_meant(hosts, name)));
        meant.unwrap_or(0)
    }
}

impl ResolvesServerCert for Names {
    /// Without a certificate the handshake is refused.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(challenges) = self.challenges.as_ref().filter(|_| is_validation(&hello)) {
            return challenges.shown_for(hello.server_name()?);
        }
        let (_, certificate) = self.of.get(self.find(hello.server_name()))?;
        Some(Arc::clone(&certificate.shown()?.certified))
    }
}

/// What came of a connection to a listener that speaks TLS.
pub(super) enum Accepted {
    /// A session, and the number of whoever was meant.
    Session(Box<TlsStream<TcpStream>>, usize),
    /// Something else was spoken.
    Clear(TcpStream),
    /// Nothing came in time, or the handshake failed.
    Nothing,
}

impl Tls {
    /// For those who are known by these hosts, each by its own certificate; callers are asked for theirs where that is wanted.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub(super) fn new(
        of: Vec<(Option<Vec<String>>, Arc<Certificate>)>,
        challenges: Option<Arc<Challenges>>,
        asks_callers: bool,
    ) -> anyhow::Result<Self> {
        let names = Arc::new(Names { of, challenges });
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("no version of TLS can be spoken")?;
        let config = match asks_callers {
            true => config.with_client_cert_verifier(Arc::new(AnyCertificate::new())),
            false => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::<Names>::clone(&names));
        // All suites are good ones, and callers may choose; but scanners call it a fault where they do.
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if names.challenges.is_some() {
            config.alpn_protocols.push(ACME_TLS.to_vec());
        }
        // Sessions are kept by callers, in tickets, and not here, where their secrets would lie for weeks. The tickets'
        // keys are replaced every six hours, and those from before kept as long once more.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new().context("there is no randomness for session tickets")?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), names })
    }

    /// Shakes hands, if that is what is wanted, for so long at most.
    pub(super) async fn accept(&self, stream: TcpStream, patience: Duration) -> Accepted {
        let mut first = [0];
        match timeout(patience, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first[0] == HANDSHAKE => {}
            Ok(Ok(1)) => return Accepted::Clear(stream),
            _ => return Accepted::Nothing,
        }
        match timeout(patience, self.acceptor.accept(stream)).await {
            Ok(Ok(mut session)) if session.get_ref().1.alpn_protocol() == Some(ACME_TLS) => {
                // The certificate was all that was asked for; nothing is said by such a session (RFC 8737 §3).
                let _ = timeout(patience, session.shutdown()).await;
                Accepted::Nothing
            }
            Ok(Ok(session)) => {
                let meant = self.names.find(session.get_ref().1.server_name());
                Accepted::Session(Box::new(session), meant)
            }
            Ok(Err(error)) => nothing(&error),
            Err(_) => nothing(&io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Whether an authority looks whether a name is ours: it speaks that one protocol and no other (RFC 8737 §3).
fn is_validation(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut spoken| spoken.next() == Some(ACME_TLS) && spoken.next().is_none())
}

fn nothing(error: &io::Error) -> Accepted {
    tracing::debug!(%error, "A handshake failed");
    Accepted::Nothing
}
