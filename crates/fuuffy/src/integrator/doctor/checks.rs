//! The checks, each by itself: what it finds, or what failed and what to do about it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use fuuffy_client::{
    BaseUrl, Body, Client, ClientCertificate, ClientProof, ClientSecret, Environment, Error, ErrorKind,
    HttpClient as _, Refused, ReqwestClient, TlsFault,
};
use fuuffy_protocol::SecretKind;
use http::uri::Scheme;
use http::{HeaderMap, Request, StatusCode, header};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::{Settings, tell};
use super::Finding;
use crate::{causes, server};

/// The longest wait for one address to answer.
const CONNECT: Duration = Duration::from_secs(5);
/// A calendar that is further off is worth a word.
const SKEW: Duration = Duration::from_secs(60);

/// What is wrong before anything was sent.
pub(super) fn wrong_setup(error: Error) -> Finding {
    let advice = "see the variables and the profile in the README, or `fuuffy request --help`";
    Finding::failed("variables", error.to_string(), advice).of_configuration()
}

/// Whether there are credentials, and whether they look like this environment's.
pub(super) async fn variables(settings: &Settings<'_>) -> Result<Finding, Finding> {
    let source = settings.variables().credentials().map_err(wrong_setup)?;
    let credentials = source.read().await.map_err(|error| {
        let advice = "the secret is where the variables or the profile say, or they say the wrong place";
        Finding::failed("variables", error.to_string(), advice).of_configuration()
    })?;
    let (environment, id) = (settings.environment, &credentials.client_id);
    let Ok(secret) = credentials.secret() else {
        let what = match credentials.proof {
            ClientProof::Identity(_) => "a platform's token",
            ClientProof::Certificate => "a certificate",
            _ => "a private key",
        };
        return Ok(Finding::ok("variables", format!("environment {environment}, client {id}, and {what}")));
    };
    let found = format!("environment {environment}, client {id}, and a secret");
    let Some(kind) = kind_of(secret) else {
        let advice = "secrets of this product begin with fsk_test_ or fsk_live_; is it the right one?";
        return Ok(Finding::warning("variables", found, advice));
    };
    if kind != kind_for(environment) {
        let (mine, other) = (kind.prefix(), if environment == Environment::Testing { "production" } else { "testing" });
        let found = format!("the secret begins with {mine}: it is for {other}, and the environment is {environment}");
        let advice = format!("use the secret of {environment}, or say --environment {other}");
        return Err(Finding::failed("variables", found, advice).of_configuration());
    }
    if !secret.is_well_formed(kind) {
        let found = "the secret's checksum is wrong: it was cut or changed when it was copied";
        return Err(Finding::failed("variables", found, "copy it once more, whole").of_configuration());
    }
    Ok(Finding::ok("variables", found))
}

fn kind_of(secret: &ClientSecret) -> Option<SecretKind> {
    [SecretKind::Testing, SecretKind::Production].into_iter().find(|kind| secret.reveal().starts_with(kind.prefix()))
}

const fn kind_for(environment: Environment) -> SecretKind {
    match environment {
        Environment::Testing => SecretKind::Testing,
        Environment::Production => SecretKind::Production,
    }
}

/// Where the API is.
pub(super) fn base_url(settings: &Settings<'_>) -> Result<BaseUrl, Finding> {
    settings.variables().base_url(settings.environment).map_err(|error| {
        let advice = "FUUFFY_BASE_URL is like https://testing-api-gateway.fuuffy.com/v1";
        Finding::failed("base URL", error.to_string(), advice).of_configuration()
    })
}

/// Whether the path that is tried is one below the base URL.
pub(super) fn path(base_url: &BaseUrl, path: &str) -> Result<(), Finding> {
    let joined = base_url.join(path).map(drop);
    joined.map_err(|error| {
        Finding::failed("API call", error.to_string(), "name a path that the API has by --path").of_configuration()
    })
}

/// Who is connected to first: the API, or the proxy that stands between.
pub(super) struct Hop {
    host: String,
    port: u16,
    is_proxy: bool,
}

impl Hop {
    /// By the same variables as the HTTP client beneath goes by.
    pub(super) fn towards(base_url: &BaseUrl) -> Self {
        let proxy = || Matcher::from_env().intercept(&base_url.join("/").ok()?);
        if let Some(proxy) = proxy().filter(|_| base_url.is_https())
            && let Some(host) = proxy.uri().host()
        {
            let usual = if proxy.uri().scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
            let port = proxy.uri().port_u16().unwrap_or(usual);
            return Self { host: host.trim_matches(['[', ']']).to_owned(), port, is_proxy: true };
        }
        Self { host: base_url.host().to_owned(), port: base_url.port(), is_proxy: false }
    }

    fn whose(&self) -> &'static str {
        if self.is_proxy { " (the proxy that HTTPS_PROXY or ALL_PROXY names)" } else { "" }
    }

    fn place(&self) -> &'static str {
        if self.is_proxy { "the host in HTTPS_PROXY or ALL_PROXY" } else { "the host in the base URL" }
    }
}

/// The addresses of whoever is connected to first.
pub(super) async fn name_resolution(hop: &Hop) -> Result<Vec<SocketAddr>, Finding> {
    let host = &hop.host;
    let advice = format!("check {}, and this machine's DNS and network", hop.place());
    let failed = |why: String| Finding::failed("name resolution", why, &*advice);
    let found = tokio::net::lookup_host((host.as_str(), hop.port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|error| failed(format!("{host} has no address: {error}")))?.collect();
    if addresses.is_empty() { Err(failed(format!("{host} has no address"))) } else { Ok(addresses) }
}

/// Addresses, for people.
pub(super) fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>().join(", ")
}

/// Whether one of the addresses takes connections.
pub(super) async fn connection(hop: &Hop, addresses: &[SocketAddr]) -> Result<Finding, Finding> {
    let mut last = String::new();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(Finding::ok("connection", format!("{address} takes connections{}", hop.whose()))),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: nothing came within {} s", CONNECT.as_secs()),
        }
    }
    let advice = format!("is the server running, is port {} right, and does a firewall stand between?", hop.port);
    Err(Finding::failed("connection", format!("{last}{}", hop.whose()), advice))
}

/// Whether an exchange without any token works, certificate and all; and the server's calendar.
pub(super) async fn tls(
    base_url: &BaseUrl,
    certificate: Option<&ClientCertificate>,
) -> Result<(Finding, Option<SystemTime>), Finding> {
    let failed = |why: String, advice: &str| Finding::failed("TLS", why, advice);
    let exchange = async {
        let http = match certificate {
            Some(certificate) => ReqwestClient::showing(base_url, certificate)?,
            None => ReqwestClient::new(base_url)?,
        };
        let request = Request::get(base_url.join("/")?).body(Body::empty());
        let request = request.map_err(|_| Error::configuration("the base URL makes no request"))?;
        let sent = http.send(request).await;
        Ok::<_, Error>(
            sent.map_err(|error| failed(causes::said(&error), advice_on_tls(error.tls_fault(), certificate.is_some()))),
        )
    };
    let sent = exchange.await.map_err(|error| failed(error.to_string(), "see the base URL"))?;
    let response = sent?;
    let date =
        response.headers().get(header::DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let found =
        if base_url.is_https() { "the certificate is trusted" } else { "none is needed: http:// to this machine" };
    Ok((Finding::ok("TLS", found), date))
}

/// What to do, by what was wrong.
fn advice_on_tls(fault: Option<TlsFault>, shows_certificate: bool) -> &'static str {
    match fault {
        Some(TlsFault::UnknownAuthority) => {
            "if the authority is your own, let SSL_CERT_FILE name a file with its certificate (PEM); if not, somebody \
             may stand between: trust nothing that you cannot name"
        }
        Some(TlsFault::Expired) => {
            "whoever runs the gateway renews it; if it was renewed, is this machine's clock right?"
        }
        Some(TlsFault::NotYetValid) => {
            "is this machine's clock right? if it is, whoever runs the gateway has the wrong one"
        }
        Some(TlsFault::WrongName) => {
            "write the host in the base URL as the certificate has it, or is that another server's address?"
        }
        Some(TlsFault::ClientCertificate) => {
            "the server, or a proxy before it, takes certificates of its own authorities alone: ask whoever runs it which, \
             and set FUUFFY_CLIENT_CERT_FILE and FUUFFY_CLIENT_CERT_KEY_FILE"
        }
        Some(TlsFault::NotTls) => {
            "is the port that of HTTPS? http:// is for a gateway on this machine alone; does a proxy stand between \
             (HTTPS_PROXY)?"
        }
        Some(_) => "whoever runs the gateway replaces it",
        // A server that does not take the certificate may break off before it has said so.
        None if shows_certificate => {
            "does the port speak HTTPS, and does the server, or a proxy before it, take the client's certificate?"
        }
        None => {
            "does the port speak HTTPS? does a proxy stand between (HTTPS_PROXY)? does the server want a certificate \
             (FUUFFY_CLIENT_CERT_FILE)?"
        }
    }
}

/// By this machine's calendar.
pub(super) fn now() -> SystemTime {
    use fuuffy_domain::TimeSource as _;

    let millis = u64::try_from(server::SystemTime.wall().unix_millis()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// Whether this machine's calendar is the server's.
pub(super) fn clock(date: Option<SystemTime>) -> Finding {
    let Some(date) = date else {
        return Finding::ok("clock", "the server does not tell the time");
    };
    let (apart, word) = match date.duration_since(now()) {
        Ok(ahead) => (ahead, "behind"),
        Err(behind) => (behind.duration(), "ahead of"),
    };
    if apart < SKEW {
        return Finding::ok("clock", "agrees with the server's");
    }
    let found = format!("this machine's clock is {} s {word} the server's", apart.as_secs());
    Finding::warning("clock", found, "tokens work all the same; logs are easier to compare with NTP running")
}

/// Whether a token is granted.
pub(super) async fn token(client: &Client) -> Result<Finding, Finding> {
    let token = client.tokens().token().await.map_err(|error| {
        tell::tell_way_to_reason(error.code(), error.request_id());
        let advice = match (error.code(), error.kind()) {
            (Some("invalid_client"), _) => {
                "the id, or what proves it, is wrong, retired or another environment's; whoever runs the gateway can look at \
                 the client's secrets, keys and certificates and add one"
            }
            (Some("unauthorized_client"), _) => "the client is suspended; ask whoever runs the gateway",
            (Some("invalid_scope"), _) => "ask for a scope that the client has, or for none",
            (Some("rate_limit_exceeded"), _) => {
                "wait as long as the answer says; does a program ask for a token for each call?"
            }
            (Some("not_found"), _) => "is the base URL's path right? it ends in /v1",
            (_, ErrorKind::Refused) => "whoever runs the gateway finds the reason by the request id",
            _ => "is the base URL that of the gateway?",
        };
        Finding::failed("token", error.to_string(), advice)
    })?;
    let scope = token.scope().map(|scope| format!(", for {scope}")).unwrap_or_default();
    Ok(Finding::ok("token", format!("granted for {} s{scope}", token.expires_in().as_secs())))
}

/// The secret that the token was granted for ends soon.
pub(super) fn secret_that_ends(at: SystemTime) -> Finding {
    let found = format!("the secret ends on {}", httpdate::fmt_http_date(at));
    let advice = "replace it by `fuuffy rotate`, or ask whoever runs the gateway for another (fuuffy secrets add)";
    Finding::warning("secret", found, advice)
}

/// Whether a call goes through, and what is left of the limits.
pub(super) async fn call(client: &Client, path: &str) -> Result<(Finding, Finding), Finding> {
    let failed = |found: String, advice: &str| Finding::failed("API call", found, advice);
    let sent = client.get(path).send_any().await;
    let response =
        sent.map_err(|error| failed(error.to_string(), "whoever runs the gateway finds the reason by the request id"))?;
    let (status, id) = (response.status(), response.request_id());
    let limits = limits(response.headers());
    if !status.is_success() {
        let refused = response.bytes().await.ok().and_then(|bytes| Refused::parse(&bytes));
        tell::tell_way_to_reason(refused.as_ref().map(|refused| refused.code.as_str()), id.as_deref());
    }
    let id = id.map(|id| format!(" (request {id})")).unwrap_or_default();
    let found = format!("GET {path} was answered with {status}{id}");
    let call = match status {
        _ if status.is_success() => Finding::ok("API call", found),
        StatusCode::NOT_FOUND => Finding::warning("API call", found, "name a path that the API has by --path"),
        StatusCode::FORBIDDEN => {
            Finding::warning("API call", found, "the client lacks the scope; whoever runs the gateway can give it one")
        }
        StatusCode::TOO_MANY_REQUESTS => {
            Finding::warning("API call", found, "the limit is used up; wait, and call less often")
        }
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            return Err(failed(
                found,
                "the API behind the gateway has a problem; whoever runs it knows the request id",
            ));
        }
        _ => return Err(failed(found, "whoever runs the gateway finds the reason by the request id")),
    };
    Ok((call, limits))
}

fn limits(headers: &HeaderMap) -> Finding {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let Some((limit, remaining)) = number("x-ratelimit-limit").zip(number("x-ratelimit-remaining")) else {
        return Finding::ok("limits left", "the answer tells none");
    };
    let found = format!("{remaining} of {limit} requests in the tightest window");
    if remaining.saturating_mul(10) < limit {
        return Finding::warning("limits left", found, "call less often, or ask for a larger plan");
    }
    Finding::ok("limits left", found)
}
