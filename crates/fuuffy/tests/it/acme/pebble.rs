//! An authority that speaks ACME and is not ours: Let's Encrypt's pebble, with a DNS in which every name is this machine.
//! `./check` installs both.

use std::io::{BufRead as _, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use super::until;
use crate::http1::{Connection, message};
use crate::ports::free;
use crate::tls::Authority;

/// The key that an account may have to be tied to, and its id.
pub(super) const EAB_KEY: (&str, &str) =
    ("customer-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");

/// Where an authority is, whether it runs or not.
pub(super) struct Site {
    folder: TempDir,
    authority: Authority,
    pub(super) address: SocketAddr,
    management: SocketAddr,
    /// Where it looks for names in handshakes, and by plain HTTP.
    pub(super) tls: SocketAddr,
    pub(super) http: SocketAddr,
    wants_eab: bool,
}

/// An authority that runs. It ends when it is dropped, and knows nothing any more when it is started again.
pub(super) struct Pebble<'a> {
    site: &'a Site,
    _dns: Ends,
    _it: Ends,
}

/// A program that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Site {
    pub(super) fn new() -> Self {
        let [address, management, tls, http] = [(); 4].map(|()| free());
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let files = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        authority.certify_to("localhost", (&files[0], &files[1]));
        authority.write_to(&folder.path().join("ca.pem"));
        Self { folder, authority, address, management, tls, http, wants_eab: false }
    }

    /// One that takes only its customers.
    pub(super) fn for_customers() -> Self {
        Self { wants_eab: true, ..Self::new() }
    }

    /// The section of a configuration that names it.
    pub(super) fn section(&self, more: &str) -> String {
        format!(
            "[acme]\ndirectory = \"https://localhost:{}/dir\"\nca_file = {:?}\nagree_to_terms = true\ncontact = [\"ops@example.com\"]\n{more}\n",
            self.address.port(),
            self.file("ca.pem"),
        )
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn start(&self) -> Pebble<'_> {
        let (dns, of_dns) = (free().to_string(), free().to_string());
        let mut command = Command::new("pebble-challtestsrv");
        command.args(["-dns01", &dns, "-management", &of_dns, "-defaultIPv6", ""]);
        command.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let of_dns = started(&mut command, "Starting management server");
        let config = json!({"pebble": {
            "listenAddress": self.address.to_string(),
            "managementListenAddress": self.management.to_string(),
            "certificate": self.file("cert.pem"),
            "privateKey": self.file("key.pem"),
            "httpPort": self.http.port(),
            "tlsPort": self.tls.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.wants_eab,
            "externalAccountMACKeys": {EAB_KEY.0: EAB_KEY.1},
        }});
        std::fs::write(self.file("pebble.json"), config.to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.arg("-config").arg(self.file("pebble.json")).args(["-dnsserver", &dns]);
        // By default it waits, and refuses what is right, by chance.
        for (name, value) in [("VA_NOSLEEP", "1"), ("WFE_NONCEREJECT", "0"), ("AUTHZREUSE", "0")] {
            command.env(format!("PEBBLE_{name}"), value);
        }
        let it = started(&mut command, "ACME directory available");
        // It says so a moment before it listens.
        let listens = |address: &SocketAddr| TcpStream::connect(address).is_ok();
        until("pebble listens", || [self.address, self.management].iter().all(listens));
        Pebble { site: self, _dns: of_dns, _it: it }
    }
}

impl Pebble<'_> {
    /// What trusts the certificates that it gives.
    pub(super) fn roots(&self) -> RootCertStore {
        let of_management = ClientConnection::new(
            callers(self.site.authority.roots(), &[]),
            ServerName::try_from("localhost".to_owned()).unwrap(),
        )
        .unwrap();
        let socket = TcpStream::connect(self.site.management).unwrap();
        let mut connection = Connection::over(StreamOwned::new(of_management, socket));
        connection.send(message(self.site.management, "GET", "/roots/0", &[("host", "localhost")], ""));
        let reply = connection.reply().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(reply.text().as_bytes()).unwrap()).unwrap();
        roots
    }
}

/// Callers that trust these, and speak these protocols.
pub(super) fn callers(roots: RootCertStore, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Arc::new(config)
}

/// Starts a program, and waits until it says so.
fn started(command: &mut Command, words: &str) -> Ends {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = Ends(child.expect("pebble is not there, run ./check"));
    let mut log = BufReader::new(child.0.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains(words) {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{command:?} did not start: {said}");
    }
    // What it says from here on is read, so that it can go on saying it.
    std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
    child
}
