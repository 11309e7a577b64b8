//! A hop in front of a gateway, over TLS on both sides, that changes nothing and keeps what callers send: so a test sees what
//! a library did, whatever it says that it did.

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::upstream::{Seen, read_request};

/// What came by one connection.
type Kept = Arc<Mutex<Vec<u8>>>;

/// The hop. It ends when it is dropped, connections and all.
pub(super) struct Hop {
    connections: Arc<Mutex<Vec<Kept>>>,
    runtime: Option<Runtime>,
}

impl Hop {
    /// At an address, in front of a gateway that has the same certificate. Whoever signed it is in the same folder.
    pub(super) fn start(address: SocketAddr, behind: SocketAddr, tls: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(tls.join("cert.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(tls.join("key.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(tls.join("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let acceptor = server.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let connector = client.unwrap().with_root_certificates(roots).with_no_client_auth();
        let ends = (TlsAcceptor::from(Arc::new(acceptor)), TlsConnector::from(Arc::new(connector)));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let connections: Arc<Mutex<Vec<Kept>>> = Arc::default();
        let all = Arc::clone(&connections);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Kept::default();
                all.lock().unwrap().push(Arc::clone(&kept));
                // One that breaks off is its caller's concern.
                tokio::spawn(pass(stream, behind, ends.clone(), kept));
            }
        });
        Self { connections, runtime: Some(runtime) }
    }

    /// The requests since this was asked last, each connection's in its order.
    pub(super) fn take(&self) -> Vec<Seen> {
        let connections = std::mem::take(&mut *self.connections.lock().unwrap());
        let requests = connections.iter().flat_map(|kept| {
            let mut bytes = Cursor::new(kept.lock().unwrap().clone());
            let mut unread = Vec::new();
            std::iter::from_fn(move || read_request(&mut bytes, &mut unread))
        });
        requests.collect()
    }
}

impl Drop for Hop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn pass(
    stream: TcpStream,
    behind: SocketAddr,
    (acceptor, connector): (TlsAcceptor, TlsConnector),
    kept: Kept,
) -> std::io::Result<()> {
    let (mut from_caller, mut to_caller) = split(acceptor.accept(stream).await?);
    let gateway = connector.connect(ServerName::from(behind.ip()), TcpStream::connect(behind).await?).await?;
    let (mut from_gateway, mut to_gateway) = split(gateway);
    let there = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            match from_caller.read(&mut bytes).await? {
                0 => return to_gateway.shutdown().await,
                count => {
                    kept.lock().unwrap().extend_from_slice(&bytes[..count]);
                    to_gateway.write_all(&bytes[..count]).await?;
                    to_gateway.flush().await?;
                }
            }
        }
    };
    let back = async {
        copy(&mut from_gateway, &mut to_caller).await?;
        to_caller.shutdown().await
    };
    tokio::try_join!(there, back)?;
    Ok(())
}
