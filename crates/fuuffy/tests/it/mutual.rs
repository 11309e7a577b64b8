//! Callers as a test owns them that show certificates: of an authority, of another one, or of nobody, as good or as bad as
//! the test wants; and a server by a clock of the test's own that asks for them.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType, date_time_ymd};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::http1::{Connection, Reply, message};
use crate::timed::Timed;
use crate::tls::Authority;
use crate::upstream::Upstream;

/// The host of the testing environment, and the name in its certificate.
pub(crate) const HOST: &str = "testing-api-gateway.fuuffy.com";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

pub(crate) type Session = StreamOwned<ClientConnection, TcpStream>;

/// A client's certificate, with all between it and its authority, and its key.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

/// A server that asks its callers for certificates, and those who vouch for them.
pub(crate) struct Mutual {
    pub(crate) timed: Timed,
    /// Who has signed the server's own certificate.
    server: Authority,
    /// Whose certificates of clients are believed.
    pub(crate) clients: Authority,
    pub(crate) upstream: Upstream,
    _folder: TempDir,
}

/// What a certificate for a client is asked for with: good until the year 4096, for clients, with each kind of name.
pub(crate) fn for_orders() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in
        [(DnType::CountryName, "DE"), (DnType::OrganizationName, "Acme, Inc."), (DnType::CommonName, "orders")]
    {
        params.distinguished_name.push(kind, value);
    }
    params.subject_alt_names = vec![
        SanType::DnsName("Orders.example.com".try_into().unwrap()),
        SanType::URI("spiffe://example.com/orders".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 7].into()),
        SanType::Rfc822Name("orders@example.com".try_into().unwrap()),
    ];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    lasting(params, (1975, 4096))
}

/// The same from the beginning of one year to that of another.
pub(crate) fn lasting(mut params: CertificateParams, (from, to): (i32, i32)) -> CertificateParams {
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

impl Shown {
    pub(crate) fn of(authority: &Authority, params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { chain: vec![authority.sign(params, &key)], key: key.serialize_der() }
    }

    pub(crate) fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key: key.serialize_der() }
    }

    /// The same certificate with the key of another one.
    pub(crate) fn with_the_key_of(&self, other: &Self) -> Self {
        Self { chain: self.chain.clone(), key: other.key.clone() }
    }

    pub(crate) fn pem(&self) -> String {
        let encoded = STANDARD.encode(&self.chain[0]);
        format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n")
    }

    /// Its key in PEM, as no operator's API ever sees it.
    pub(crate) fn key_pem(&self) -> String {
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(&self.key))
    }

    /// As `cnf` has it (RFC 8705 §3.1).
    pub(crate) fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.chain[0]))
    }

    /// As a proxy hands it on (RFC 9440 §2.2).
    pub(crate) fn field(&self) -> String {
        format!(":{}:", STANDARD.encode(&self.chain[0]))
    }

    fn certified(&self) -> rustls::sign::CertifiedKey {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let key = default_provider().key_provider.load_private_key(key).unwrap();
        rustls::sign::CertifiedKey::new(self.chain.clone(), key)
    }
}

/// What a caller speaks, with or without a certificate. It keeps tickets.
pub(crate) fn speaking(
    roots: RootCertStore,
    shown: Option<&Shown>,
    (versions, protocol): (&[&'static SupportedProtocolVersion], &str),
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_protocol_versions(versions);
    let config = config.unwrap().with_root_certificates(roots);
    let mut config = match shown {
        Some(shown) => {
            config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(shown.certified())))
        }
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

/// Shakes hands for a name.
pub(crate) fn session(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Session> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_nodelay(true).unwrap();
    let client = ClientConnection::new(Arc::clone(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut session = StreamOwned::new(client, socket);
    while session.conn.is_handshaking() {
        session.conn.complete_io(&mut session.sock)?;
    }
    Ok(session)
}

impl Mutual {
    pub(crate) fn start() -> Self {
        Self::with("", "")
    }

    /// With more lines for the testing environment and for its route.
    pub(crate) fn with(of_environment: &str, of_route: &str) -> Self {
        Self::before(Upstream::friendly(), of_environment, of_route)
    }

    pub(crate) fn before(upstream: Upstream, of_environment: &str, of_route: &str) -> Self {
        let (server, clients, folder) =
            (Authority::new(), Authority::named("Those of clients"), tempfile::tempdir().unwrap());
        let path = |name: &str| folder.path().join(name);
        server.write_pair(HOST, (1975, 4096), (&path("cert.pem"), &path("key.pem")));
        clients.write_to(&path("clients.pem"));
        let folder_shown = folder.path().display();
        let text = format!(
            "data_dir = \"data\"\nworkers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [environments.testing]\nlisten = \"127.0.0.1:0\"\nhosts = [\"{HOST}\"]\n\
             tls = {{ cert = \"{folder_shown}/cert.pem\", key = \"{folder_shown}/key.pem\" }}\n\
             mutual_tls = {{ authorities = \"{folder_shown}/clients.pem\" }}\n{of_environment}\n\
             [[environments.testing.routes]]\nprefix = \"/v1/orders\"\nupstreams = [\"http://{}\"]\n\
             scopes = {{ read = \"orders:read\", write = \"orders:write\" }}\n{of_route}\n",
            upstream.address
        );
        Self { timed: Timed::serving(text), server, clients, upstream, _folder: folder }
    }

    /// Registers a client with these members besides its name and scope; its id.
    pub(crate) fn register(&self, more: &Value) -> String {
        let mut body = json!({"name": "Acme", "scope": "orders:read orders:write introspect"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made = self.timed.operate("/admin/v1/testing/clients", &body.to_string());
        made["data"]["client_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }

    /// A client that is known by the subject of [`for_orders`].
    pub(crate) fn orders(&self) -> String {
        self.register(&json!({"certificate": {"subject_dn": "CN=orders,O=Acme\\, Inc.,C=DE"}}))
    }

    pub(crate) fn caller(&self, shown: Option<&Shown>) -> Arc<ClientConfig> {
        speaking(self.server.roots(), shown, (&[&TLS13, &TLS12], "http/1.1"))
    }

    pub(crate) fn speaking(
        &self,
        shown: Option<&Shown>,
        versions: &[&'static SupportedProtocolVersion],
        protocol: &str,
    ) -> Arc<ClientConfig> {
        speaking(self.server.roots(), shown, (versions, protocol))
    }

    pub(crate) fn connect(&self, config: &Arc<ClientConfig>) -> std::io::Result<Session> {
        session(self.timed.testing(), config, HOST)
    }

    /// A request on a connection of its own, that shows a certificate or none.
    pub(crate) fn request(
        &self,
        shown: Option<&Shown>,
        (method, target): (&str, &str),
        fields: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        over(self.connect(&self.caller(shown)).unwrap(), (method, target), fields, body)
    }

    /// A form for an endpoint of the token service.
    pub(crate) fn post(&self, shown: Option<&Shown>, path: &str, form: &str) -> Reply {
        self.request(shown, ("POST", path), &[FORM], form)
    }

    /// A token request by `client_id` alone.
    pub(crate) fn ask(&self, shown: Option<&Shown>, client: &str) -> Reply {
        self.post(shown, "/oauth/token", &format!("grant_type=client_credentials&client_id={client}"))
    }

    pub(crate) fn token(&self, shown: &Shown, client: &str) -> String {
        let reply = self.ask(Some(shown), client);
        assert_eq!((reply.status, &reply.json()["token_type"]), (200, &json!("Bearer")), "{}", reply.text());
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, shown: Option<&Shown>, token: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        self.request(shown, ("GET", "/v1/orders"), &[("authorization", &bearer)], "")
    }

    /// Of whose request an operator is told that it was refused, and why.
    pub(crate) fn explained(&self, refused: &Reply) -> (Value, String) {
        explained(&self.timed, refused)
    }
}

/// Of whose request an operator is told that it was refused, and why.
pub(crate) fn explained(timed: &Timed, refused: &Reply) -> (Value, String) {
    let path = format!("/admin/v1/testing/explanations/{}", refused.field("x-request-id").unwrap());
    let told = timed.shown(&path)["data"].clone();
    (told["client_id"].clone(), told["happened"].as_str().unwrap().to_owned())
}

/// A request on a session.
pub(crate) fn over(session: Session, (method, target): (&str, &str), fields: &[(&str, &str)], body: &str) -> Reply {
    let address = session.sock.peer_addr().unwrap();
    let fields: Vec<(&str, &str)> = [("host", HOST)].into_iter().chain(fields.iter().copied()).collect();
    let mut connection = Connection::over(session);
    connection.send(message(address, method, target, &fields, body));
    connection.reply().expect("an answer")
}
