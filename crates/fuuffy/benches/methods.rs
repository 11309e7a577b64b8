//! Tokens by one method of client authentication, as fast as the server gives them over so many connections that are kept.
//! All that is signed is signed before the clock runs. `benches/methods` runs it, beside whichever server it names.
//!
//!     methods secret ENDPOINT CLIENT_ID COUNT AT_ONCE                              (the secret on standard input)
//!     methods private_key_jwt ENDPOINT CLIENT_ID COUNT AT_ONCE KEY AUDIENCE
//!     methods dpop ENDPOINT CLIENT_ID COUNT AT_ONCE KEY                            (the secret on standard input)
//!     methods tls ENDPOINT CLIENT_ID COUNT AT_ONCE KEY CERTIFICATE AUTHORITY

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use fuuffy::server::SystemEntropy;
use fuuffy_domain::{Entropy as _, to_hex};
use http::header::{CONTENT_TYPE, HOST, HeaderName};
use http::response::Parts;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

const PROOF: HeaderName = HeaderName::from_static("dpop");

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Sender = SendRequest<Full<Bytes>>;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [method, endpoint, client, count, at_once, files @ ..] = &words[..] else {
        // As `cargo test --benches` runs it.
        return Ok(());
    };
    let endpoint: Uri = endpoint.parse()?;
    let port = endpoint.port_u16().context("the endpoint has no port")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let client = client.to_string();
    let (proof, tls) = match (*method, files) {
        ("secret", []) => (Proof::Secret(said()?), None),
        ("private_key_jwt", [key, audience]) => {
            (Proof::Assertion(Box::new(Key::read(key)?), audience.to_string()), None)
        }
        ("dpop", [key]) => (Proof::Dpop(said()?, Box::new(Key::read(key)?)), None),
        ("tls", [key, certificate, authority]) => (Proof::Certificate, Some(tls(key, certificate, authority)?)),
        _ => bail!("not a method, or not its files"),
    };
    let asking = Arc::new(Asking { address, endpoint, client, proof, tls });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let told = runtime.block_on(asking.all(count.parse()?, at_once.parse()?))?;
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// What nobody used before, in this run or another.
fn jti() -> anyhow::Result<String> {
    let mut random = [0; 16];
    ensure!(SystemEntropy.fill(&mut random).is_ok(), "there is no randomness");
    Ok(to_hex(&random))
}

fn said() -> anyhow::Result<String> {
    let mut said = String::new();
    std::io::stdin().read_to_string(&mut said)?;
    Ok(said.trim().to_owned())
}

/// A private key on P-256, and its public half.
struct Key(EncodingKey, Jwk);

impl Key {
    fn read(path: &str) -> anyhow::Result<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_file(path)?;
        let key = EncodingKey::from_ec_der(der.secret_pkcs8_der());
        let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        Ok(Self(key, jwk))
    }
}

/// How the client proves itself.
enum Proof {
    Secret(String),
    Assertion(Box<Key>, String),
    Dpop(String, Box<Key>),
    Certificate,
}

struct Asking {
    address: SocketAddr,
    endpoint: Uri,
    client: String,
    proof: Proof,
    tls: Option<TlsConnector>,
}

impl Asking {
    async fn all(self: Arc<Self>, count: usize, at_once: usize) -> anyhow::Result<String> {
        let mut connections = Vec::new();
        for _ in 0..at_once {
            connections.push(self.connect().await?);
        }
        let first = connections.first_mut().context("at least one connection is needed")?;
        // The server may want to have its nonce in all proofs.
        let (head, _) = exchange(first, self.request(None)?).await?;
        let nonce = head.headers.get("dpop-nonce").cloned();
        let nonce = nonce.as_ref().map(|nonce| nonce.to_str()).transpose()?;
        let asked: anyhow::Result<Vec<_>> = (0..count).map(|_| self.request(nonce)).collect();
        let (asked, next) = (Arc::new(asked?), Arc::new(AtomicUsize::new(0)));
        let (begun, mut asking) = (Instant::now(), JoinSet::new());
        for mut connection in connections {
            let (asked, next) = (Arc::clone(&asked), Arc::clone(&next));
            asking.spawn(async move {
                let mut took = Vec::new();
                while let Some(request) = asked.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let (head, body) = exchange(&mut connection, request.clone()).await?;
                    ensure!(head.status == StatusCode::OK, "{}: {}", head.status, String::from_utf8_lossy(&body));
                    took.push(begun.elapsed());
                }
                Ok(took)
            });
        }
        let mut took = Vec::new();
        while let Some(done) = asking.join_next().await {
            took.append(&mut done??);
        }
        let seconds = begun.elapsed().as_secs_f64();
        took.sort_unstable();
        let p99 = took.get(took.len() * 99 / 100).map(Duration::as_micros);
        Ok(json!({"tokens": took.len(), "seconds": seconds, "p99_us": p99}).to_string())
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    fn request(&self, nonce: Option<&str>) -> anyhow::Result<Request<Full<Bytes>>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let (client, jti) = (&self.client, jti()?);
        let mut form = format!("grant_type=client_credentials&client_id={client}");
        let asked = Request::post(self.endpoint.path()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut asked = asked.header(HOST, self.endpoint.authority().context("no host")?.as_str());
        match &self.proof {
            Proof::Secret(secret) => form += &format!("&client_secret={secret}"),
            Proof::Assertion(key, audience) => {
                let Key(key, public) = &**key;
                let claims =
                    json!({"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 240, "jti": jti});
                let kid = Some(public.thumbprint(ThumbprintHash::SHA256)?);
                let assertion = encode(&Header { kid, ..Header::new(Algorithm::ES256) }, &claims, key)?;
                form += "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
                form += &format!("&client_assertion={assertion}");
            }
            Proof::Dpop(secret, key) => {
                let Key(key, jwk) = &**key;
                form += &format!("&client_secret={secret}");
                let mut claims = json!({"jti": jti, "htm": "POST", "htu": self.endpoint.to_string(), "iat": now});
                if let Some(nonce) = nonce {
                    claims["nonce"] = nonce.into();
                }
                let (typ, jwk) = (Some("dpop+jwt".to_owned()), Some(jwk.clone()));
                asked =
                    asked.header(PROOF, encode(&Header { typ, jwk, ..Header::new(Algorithm::ES256) }, &claims, key)?);
            }
            Proof::Certificate => {}
        }
        Ok(asked.body(Full::from(form))?)
    }

    async fn connect(&self) -> anyhow::Result<Sender> {
        let stream = TcpStream::connect(self.address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some(tls) => speak(tls.connect(ServerName::try_from("localhost")?, stream).await?).await,
            None => speak(stream).await,
        }
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> anyhow::Result<Sender> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> anyhow::Result<(Parts, Bytes)> {
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    Ok((head, body.collect().await?.to_bytes()))
}

/// A client's side of mutual TLS.
fn tls(key: &str, certificate: &str, authority: &str) -> anyhow::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(Path::new(authority))? {
        roots.add(certificate?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(Path::new(certificate))?.collect();
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = config.with_client_auth_cert(chain?, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsConnector::from(Arc::new(config)))
}
