//! Full handshakes of TLS 1.3, one after the other on each of so many threads: no session is resumed, and the next one
//! begins when the server has ended this one. `benches/tls` runs it, beside whichever server it names.
//!
//!     handshakes ADDRESS COUNT AT_ONCE x25519|x25519mlkem768     (says how long they took)

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, SignatureScheme};
use socket2::SockRef;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [address, count, at_once, group] = words[..] else {
        // As `cargo test --benches` runs it.
        return Ok(());
    };
    let (config, count) = (config(group)?, count.parse()?);
    let took = shake(address.parse()?, &config, count, at_once.parse()?)?;
    let told = serde_json::json!({"handshakes": count, "seconds": took.as_secs_f64()});
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// A client that speaks TLS 1.3 by one key exchange, and has no session to go on with.
fn config(group: &str) -> anyhow::Result<Arc<ClientConfig>> {
    let mut provider = default_provider();
    provider.kx_groups = match group {
        "x25519" => vec![kx_group::X25519],
        "x25519mlkem768" => vec![kx_group::X25519MLKEM768],
        other => bail!("no key exchange {other}"),
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13])?;
    let mut config = config.dangerous().with_custom_certificate_verifier(Arc::new(Credulous)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn shake(address: SocketAddr, config: &Arc<ClientConfig>, count: usize, at_once: usize) -> anyhow::Result<Duration> {
    let (left, begun) = (AtomicUsize::new(count), Instant::now());
    std::thread::scope(|scope| {
        let shake_on = || -> anyhow::Result<()> {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                shake_once(address, config)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(shake_on)).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread ended"))??;
        }
        Ok(begun.elapsed())
    })
}

fn shake_once(address: SocketAddr, config: &Arc<ClientConfig>) -> anyhow::Result<()> {
    let mut socket = TcpStream::connect(address).context("no connection")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    // Its port is free again at once, so that there are enough of them.
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))?;
    let mut client = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
    while client.is_handshaking() {
        client.complete_io(&mut socket)?;
    }
    ensure!(client.handshake_kind() == Some(HandshakeKind::Full), "a handshake was {:?}", client.handshake_kind());
    // The server's tickets: it has read our end of the handshake.
    ensure!(client.read_tls(&mut socket)? > 0, "the server ended the connection");
    client.process_new_packets()?;
    Ok(())
}

/// Takes any certificate, since what a client does is not measured.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
