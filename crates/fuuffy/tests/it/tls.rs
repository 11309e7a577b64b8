//! TLS in front of a gateway, as a load balancer has it: an authority of the test's own, and a terminator that
//! tells what arrived.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// What belongs to one hop (RFC 9110 §7.6.1).
const OF_ONE_HOP: [HeaderName; 2] = [header::CONNECTION, header::TRANSFER_ENCODING];

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate and its key.
#[derive(Clone)]
pub(crate) struct Identity(Arc<ServerConfig>);

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) target: String,
    pub(crate) version: Version,
    /// The name that the client said in its handshake.
    pub(crate) name: Option<String>,
    /// The connection's number, from 0.
    pub(crate) connection: usize,
    /// The thumbprint of the certificate that the client showed.
    pub(crate) shown: Option<String>,
}

/// A server that speaks TLS and passes requests on in clear. It ends when it is dropped, connections and all.
pub(crate) struct Terminator {
    pub(crate) address: SocketAddr,
    tally: Arc<Mutex<Tally>>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Tally {
    connections: usize,
    failed: usize,
    arrivals: Vec<Arrival>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("The test's authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// Signs whatever it is asked to sign.
    pub(crate) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> CertificateDer<'static> {
        params.signed_by(key, &self.0).unwrap().der().clone()
    }

    /// One that it has signed itself.
    pub(crate) fn below(&self, name: &str) -> (Self, CertificateDer<'static>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap();
        let der = signed.der().clone();
        (Self(signed), der)
    }

    /// Writes the authority's certificate where `SSL_CERT_FILE` may point to.
    pub(crate) fn write_to(&self, path: &Path) {
        std::fs::write(path, self.0.pem()).unwrap();
    }

    /// Writes a certificate for one name, and its key, for a server that is not ours.
    pub(crate) fn certify_to(&self, name: &str, (certificate, key): (&Path, &Path)) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let pair = KeyPair::generate().unwrap();
        std::fs::write(certificate, params.signed_by(&pair, &self.0).unwrap().pem()).unwrap();
        std::fs::write(key, pair.serialize_pem()).unwrap();
    }

    /// A certificate for one name.
    pub(crate) fn certify(&self, name: &str) -> Identity {
        self.certify_for(name, (1975, 4096))
    }

    /// Writes a certificate for a name and its key down, from the beginning of one year to that of another.
    pub(crate) fn write_pair(&self, name: &str, (from, to): (i32, i32), (cert, key): (&Path, &Path)) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let pair = KeyPair::generate().unwrap();
        std::fs::write(cert, params.signed_by(&pair, &self.0).unwrap().pem()).unwrap();
        std::fs::write(key, pair.serialize_pem()).unwrap();
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What trusts this authority alone.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A certificate from the beginning of one year to that of another.
    pub(crate) fn certify_for(&self, name: &str, years: (i32, i32)) -> Identity {
        self.certify_with(name, years, (WebPkiClientVerifier::no_client_auth(), ALL_VERSIONS))
    }

    /// A certificate of a server that takes clients' certificates of this authority alone, and asks for one. In TLS 1.2 it
    /// says in the handshake what it thinks of it, in 1.3 after it.
    pub(crate) fn certify_asking(
        &self,
        name: &str,
        may_be_none: bool,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Identity {
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::new(default_provider()));
        let verifier = if may_be_none { verifier.allow_unauthenticated() } else { verifier };
        self.certify_with(name, (1975, 4096), (verifier.build().unwrap(), versions))
    }

    fn certify_with(
        &self,
        name: &str,
        (from, to): (i32, i32),
        (verifier, versions): (Arc<dyn ClientCertVerifier>, &[&'static SupportedProtocolVersion]),
    ) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Identity(Arc::new(config))
    }
}

impl Identity {
    /// The same, without HTTP/2.
    pub(crate) fn without_http2(&self) -> Self {
        let mut config = (*self.0).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self(Arc::new(config))
    }
}

impl Terminator {
    /// In front of `behind`, on a free port.
    pub(crate) fn start(identity: &Identity, behind: SocketAddr) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), identity, behind)
    }

    fn start_at(address: SocketAddr, identity: &Identity, behind: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let (address, tally) = (listener.local_addr().unwrap(), Arc::default());
        runtime.spawn(accept(listener, TlsAcceptor::from(Arc::clone(&identity.0)), behind, Arc::clone(&tally)));
        Self { address, tally, runtime: Some(runtime) }
    }

    /// Ends it with all its connections, and starts another one in its place.
    pub(crate) fn restart(mut self, identity: &Identity, behind: SocketAddr) -> Self {
        let address = self.address;
        drop(self.runtime.take());
        Self::start_at(address, identity, behind)
    }

    /// The base URL that its clients have, by the name that its certificate is for.
    pub(crate) fn base_url(&self) -> String {
        format!("https://localhost:{}/v1", self.address.port())
    }

    /// The requests so far.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.tally.lock().unwrap().arrivals.clone()
    }

    /// How many handshakes were made, and how many came to nothing.
    pub(crate) fn handshakes(&self) -> (usize, usize) {
        let tally = self.tally.lock().unwrap();
        (tally.connections, tally.failed)
    }
}

impl Drop for Terminator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, behind: SocketAddr, tally: Arc<Mutex<Tally>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (acceptor, tally) = (acceptor.clone(), Arc::clone(&tally));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else {
                tally.lock().unwrap().failed += 1;
                return;
            };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            let shown = shown.map(|own| URL_SAFE_NO_PAD.encode(Sha256::digest(own)));
            let connection = {
                let mut tally = tally.lock().unwrap();
                tally.connections += 1;
                tally.connections - 1
            };
            let broken = Arc::new(Notify::new());
            let breaks = Arc::clone(&broken);
            let service = service_fn(move |request: Request<Incoming>| {
                let (target, version) = (request.uri().path().to_owned(), request.version());
                let (name, shown) = (name.clone(), shown.clone());
                tally.lock().unwrap().arrivals.push(Arrival { target, version, name, connection, shown });
                let breaks = Arc::clone(&breaks);
                async move {
                    match pass_on(request, behind).await {
                        Err(_) => {
                            breaks.notify_one();
                            std::future::pending().await
                        }
                        passed => passed,
                    }
                }
            });
            // A client that has gone is not the terminator's concern.
            let builder = auto::Builder::new(TokioExecutor::new());
            tokio::select! {
                _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                // Where there is no answer behind it, the connection breaks off.
                () = broken.notified() => {}
            }
        });
    }
}

/// Passes a request on, on a connection of its own.
async fn pass_on(mut request: Request<Incoming>, behind: SocketAddr) -> anyhow::Result<Response<Incoming>> {
    let stream = TcpStream::connect(behind).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    if let Some(authority) = request.uri().authority() {
        let host = authority.as_str().parse()?;
        request.headers_mut().insert(header::HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    let mut response = sender.send_request(request).await?;
    for name in OF_ONE_HOP {
        response.headers_mut().remove(name);
    }
    Ok(response)
}
