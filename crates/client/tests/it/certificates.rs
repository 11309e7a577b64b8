//! A client that shows a certificate: it proves the client alone or beside something else, and each token is used over
//! connections that show the certificate which it was granted for.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::test_util::{Answer, Received};
use fuuffy_client::{
    AccessToken, BaseUrl, Body, BoxFuture, CertificateCredentials, CertificateFiles, ClientBuilder, ClientCertificate,
    Error, ErrorKind, Grant, HttpClient, ReqwestClient, TokenCache, TransportError, Variables,
};
use http::uri::Scheme;
use http::{Request, Response, Uri};
use parking_lot::Mutex;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use crate::place::{ORDERS, Place};

const TOKENS: &str = "/v1/auth/token";
const HOUR: Duration = Duration::from_secs(3600);

/// Stands for TLS: tells the server which certificate a connection shows.
struct Showing {
    thumbprint: String,
    server: Uri,
    http: ReqwestClient,
}

impl HttpClient for Showing {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert("x-shown", self.thumbprint.parse().unwrap());
        let mut uri = parts.uri.into_parts();
        assert_eq!(uri.scheme, Some(Scheme::HTTPS));
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = self.server.authority().cloned();
        parts.uri = Uri::from_parts(uri).unwrap();
        self.http.send(Request::from_parts(parts, body))
    }
}

/// A client's certificate in files, and a server that is told which one is shown.
struct Desk {
    place: Place,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let desk = Self { place: Place::new().await, folder: tempfile::tempdir().unwrap() };
        desk.issue("first", 2030);
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate until the beginning of that year, and its key. The clock says 2027.
    fn made(name: &str, until: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    /// Puts another certificate in the place of the one before.
    fn issue(&self, name: &str, until: i32) {
        let (certificate, key) = Self::made(name, until);
        std::fs::write(self.file("cert.pem"), certificate).unwrap();
        self.write_key(&key);
    }

    fn write_key(&self, key: &str) {
        std::fs::write(self.file("key.pem"), key).unwrap();
        std::fs::set_permissions(self.file("key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn files(&self) -> CertificateFiles {
        CertificateFiles::new(self.file("cert.pem"), self.file("key.pem"))
    }

    /// What is in the files.
    fn thumbprint(&self) -> String {
        self.files().read().unwrap().thumbprint().to_owned()
    }

    /// A client that shows what is in the files, and has a secret.
    fn builder(&self) -> ClientBuilder {
        let server: Uri = self.place.server.base_url().parse().unwrap();
        let clear = BaseUrl::parse(&self.place.server.base_url()).unwrap();
        let connect = move |certificate: &ClientCertificate| -> Result<Arc<dyn HttpClient>, Error> {
            let (thumbprint, server) = (certificate.thumbprint().to_owned(), server.clone());
            Ok(Arc::new(Showing { thumbprint, server, http: ReqwestClient::new(&clear)? }))
        };
        self.place
            .builder()
            .base_url("https://api.test/v1")
            .certificate_files(self.files())
            .http_client_showing(connect)
    }

    /// The same, and nothing else proves it.
    fn alone(&self) -> ClientBuilder {
        self.builder().credential_source(CertificateCredentials::new("my-id"))
    }

    /// Which certificates the requests for a path came with.
    fn shown(&self, path: &str) -> Vec<String> {
        let of = |received: &Received| received.headers["x-shown"].to_str().unwrap().to_owned();
        self.place.server.received(path).iter().map(of).collect()
    }
}

fn form(received: &Received) -> String {
    String::from_utf8(received.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_certificate_alone_proves_the_client_and_is_shown_with_each_call() {
    let desk = Desk::new().await;
    let client = desk.alone().build().unwrap();
    for _ in 0..2 {
        client.get("/orders").send().await.unwrap();
    }
    let first = desk.thumbprint();
    assert_eq!((desk.shown(TOKENS), desk.shown(ORDERS)), (vec![first.clone()], vec![first.clone(), first]));
    assert_eq!(form(&desk.place.server.received(TOKENS)[0]), "grant_type=client_credentials&client_id=my-id");
}

#[tokio::test]
async fn beside_a_secret_both_are_there() {
    let desk = Desk::new().await;
    let certificate = desk.files().read().unwrap();
    desk.builder().certificate(certificate).build().unwrap().get("/orders").send().await.unwrap();
    let asked = form(&desk.place.server.received(TOKENS)[0]);
    assert!(asked.ends_with("client_id=my-id&client_secret=my-secret"), "{asked}");
    assert_eq!(desk.shown(TOKENS), [desk.thumbprint()]);
}

/// Its token is bound to the old one, so calls go on with that until there is a token of the new one.
#[tokio::test]
async fn another_certificate_is_taken_up_with_the_next_token() {
    let desk = Desk::new().await;
    let (first, client) = (desk.thumbprint(), desk.alone().build().unwrap());
    client.get("/orders").send().await.unwrap();
    desk.issue("second", 2030);
    let second = desk.thumbprint();
    client.get("/orders").send().await.unwrap();
    desk.place.server.then_tokens([Answer::token("sk-2", 3600).held()]);
    desk.place.clock.pass(HOUR * 9 / 10);
    desk.place.server.until_token_requests(2).await;
    client.get("/orders").send().await.unwrap();
    assert_eq!(desk.shown(ORDERS), [&first; 3].map(Clone::clone), "while the token request is under way");
    desk.place.server.release();
    while client.tokens().token().await.unwrap().reveal() != "sk-2" {
        tokio::task::yield_now().await;
    }
    client.get("/orders").send().await.unwrap();
    assert_eq!(desk.shown(TOKENS), [first, second.clone()]);
    assert_eq!((desk.place.bearers().last().unwrap().as_str(), desk.shown(ORDERS).last()), ("2", Some(&second)));
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_one_of_the_new_certificate() {
    let desk = Desk::new().await;
    let (first, client) = (desk.thumbprint(), desk.alone().build().unwrap());
    client.get("/orders").send().await.unwrap();
    desk.issue("second", 2030);
    desk.place.server.then(ORDERS, [Answer::refusal(401, "invalid_token")]);
    client.get("/orders").send().await.unwrap();
    assert_eq!(desk.shown(ORDERS), [first.clone(), first, desk.thumbprint()]);
    assert_eq!(desk.place.bearers(), ["1", "1", "2"]);
}

/// Two files are not replaced at once.
#[tokio::test]
async fn a_pair_that_is_half_replaced_changes_nothing_as_long_as_the_old_one_is_good() {
    let desk = Desk::new().await;
    let (first, client) = (desk.thumbprint(), desk.alone().build().unwrap());
    let (certificate, key) = Desk::made("second", 2028);
    std::fs::write(desk.file("cert.pem"), certificate).unwrap();
    client.tokens().token().await.unwrap();
    assert_eq!(desk.shown(TOKENS), [first]);
    desk.write_key(&key);
    desk.place.clock.pass(HOUR);
    client.tokens().token().await.unwrap();
    let second = desk.thumbprint();
    assert_eq!(desk.shown(TOKENS).last(), Some(&second));
    // Until 2028 what is known does, and then what is there must be said.
    std::fs::remove_file(desk.file("key.pem")).unwrap();
    desk.place.clock.pass(HOUR);
    client.tokens().token().await.unwrap();
    assert_eq!(desk.shown(TOKENS).last(), Some(&second));
    desk.place.clock.pass(400 * 24 * HOUR);
    let error = client.tokens().token().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Credentials && error.to_string().contains("key.pem"), "{error}");
    assert_eq!(desk.place.server.token_requests(), 3);
}

#[tokio::test]
async fn a_server_that_does_not_know_the_certificate_is_told_of_with_what_to_check() {
    let desk = Desk::new().await;
    let refused = || desk.place.server.then_tokens([Answer::refusal(401, "invalid_client")]);
    refused();
    let error = desk.alone().build().unwrap().tokens().token().await.unwrap_err();
    let words = error.to_string();
    assert_eq!((error.code(), desk.place.server.token_requests()), (Some("invalid_client"), 1));
    for part in [&desk.thumbprint(), "CN=first", "fuuffy clients certificates list", "proxy"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    refused();
    let error = desk.builder().build().unwrap().tokens().token().await.unwrap_err();
    assert!(!error.to_string().contains("certificate"), "a secret was refused: {error}");
}

/// Keeps nothing, and what it was asked for.
struct Told(Arc<Mutex<Vec<String>>>);

impl TokenCache for Told {
    fn token<'a>(
        &'a self,
        _: Option<&'a AccessToken>,
        _: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        panic!("a token that may be bound is no other's")
    }

    fn bound_token<'a>(
        &'a self,
        thumbprint: &'a str,
        _: Option<&'a AccessToken>,
        fetch: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        self.0.lock().push(thumbprint.to_owned());
        fetch
    }
}

/// Answers the same token whoever asks.
struct Careless;

impl TokenCache for Careless {
    fn token<'a>(
        &'a self,
        _: Option<&'a AccessToken>,
        _: BoxFuture<'a, Result<Grant, Error>>,
    ) -> BoxFuture<'a, Result<Grant, Error>> {
        panic!("it knows nothing of certificates")
    }
}

#[tokio::test]
async fn a_cache_is_told_of_which_certificate_a_token_must_be() {
    let desk = Desk::new().await;
    let (first, told) = (desk.thumbprint(), Arc::default());
    let client = desk.alone().token_cache(Told(Arc::clone(&told))).build().unwrap();
    client.tokens().token().await.unwrap();
    desk.issue("second", 2030);
    desk.place.clock.pass(HOUR);
    client.tokens().token().await.unwrap();
    assert_eq!(*told.lock(), [first, desk.thumbprint()]);
    let client = desk.alone().token_cache(Careless).build().unwrap();
    client.tokens().token().await.unwrap();
    assert_eq!(desk.place.server.token_requests(), 3, "one that knows nothing of it is passed by");
}

#[tokio::test]
async fn what_cannot_work_is_said_before_anything_is_sent() {
    let desk = Desk::new().await;
    let refused = |builder: ClientBuilder| builder.build().unwrap_err();
    let clear = refused(desk.alone().base_url(desk.place.server.base_url()));
    assert!(clear.kind() == ErrorKind::Configuration && clear.to_string().contains("is in clear"), "{clear}");
    let http = ReqwestClient::new(&BaseUrl::parse("https://api.test/v1").unwrap()).unwrap();
    let own = refused(desk.alone().http_client(http));
    assert!(own.to_string().contains("http_client_showing"), "{own}");
    let none = desk.place.builder().credential_source(CertificateCredentials::new("my-id")).build().unwrap();
    let none = none.tokens().token().await.unwrap_err();
    assert!(none.kind() == ErrorKind::Configuration && none.to_string().contains("has none"), "{none}");
    assert_eq!(desk.place.server.token_requests(), 0);
}

#[tokio::test]
async fn the_files_are_named_where_they_are_wrong() {
    let desk = Desk::new().await;
    let refused = || desk.alone().build().unwrap_err();
    let key = std::fs::read_to_string(desk.file("key.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let says = |words: &[&str]| {
        let error = refused();
        let said = format!("{error} {error:?}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        assert!(error.kind() == ErrorKind::Credentials && !said.contains(secret), "{said}");
    };
    std::fs::set_permissions(desk.file("key.pem"), PermissionsExt::from_mode(0o640)).unwrap();
    says(&["key.pem can be read by others (mode 640)", "chmod 600"]);
    std::fs::write(desk.file("key.pem"), "").unwrap();
    std::fs::set_permissions(desk.file("key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    says(&["key.pem: the key of the client's certificate is not there"]);
    desk.write_key(&Desk::made("another", 2030).1);
    says(&["key.pem", "is not that of the first certificate in", "cert.pem"]);
    std::fs::write(desk.file("cert.pem"), &key).unwrap();
    says(&["cert.pem: the client's certificate is not there"]);
    std::fs::remove_file(desk.file("cert.pem")).unwrap();
    says(&["cannot read", "cert.pem"]);
}

#[tokio::test]
async fn variables_name_the_files() {
    let desk = Desk::new().await;
    let (certificate, key) = (desk.file("cert.pem"), desk.file("key.pem"));
    let variables = |others: &'static [(&'static str, &'static str)]| {
        let (certificate, key) = (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned());
        Variables::found_by(move |name| match name {
            "FUUFFY_CLIENT_ID" => Some("my-id".to_owned()),
            "FUUFFY_CLIENT_CERT_FILE" => Some(certificate.clone()),
            "FUUFFY_CLIENT_CERT_KEY_FILE" if others.iter().all(|(other, _)| *other != "without") => Some(key.clone()),
            _ => others.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned()),
        })
    };
    let proof = async |others| {
        let credentials = variables(others).credentials().unwrap().read().await.unwrap();
        format!("{:?}", credentials.proof)
    };
    assert_eq!(proof(&[]).await, "Certificate");
    assert!(proof(&[("FUUFFY_CLIENT_SECRET", "s")]).await.starts_with("Secret"), "both, the secret decides");
    assert_eq!(
        proof(&[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github.test/token")]).await,
        "Certificate",
        "what is named wins over what is found"
    );
    assert!(fuuffy_client::Client::builder_from(&variables(&[])).unwrap().build().is_ok());
    let half = variables(&[("without", "")]).credentials().err().unwrap().to_string();
    assert!(half.contains("FUUFFY_CLIENT_CERT_FILE is set without FUUFFY_CLIENT_CERT_KEY_FILE"), "{half}");
    let half = fuuffy_client::Client::builder_from(&variables(&[("without", ""), ("FUUFFY_CLIENT_SECRET", "s")]));
    assert!(half.is_err_and(|error| error.to_string().contains("set both")));
}
