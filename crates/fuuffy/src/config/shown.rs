//! A resolved configuration as people and programs read it: the file's own names, nothing left out.

use std::collections::{BTreeMap, BTreeSet};

use fuuffy_domain::{Grade, Limit, NonceUse};
use fuuffy_gateway::UpstreamProtocol;
use serde::Serialize;
use serde_json::Value;

use super::quantity::{show_age, show_duration};
use super::{
    AccessLogTarget, AcmeConfig, CertificateFiles, ChallengeKind, Config, EmailConfig, EnvironmentConfig,
    IdentityIssuerConfig, KeysFrom, PublishedConfig, RouteConfig, TlsMode,
};

#[derive(Serialize)]
struct Shown {
    data_dir: String,
    workers: usize,
    shutdown_grace: String,
    admin: Admin,
    #[serde(skip_serializing_if = "Option::is_none")]
    acme: Option<Acme>,
    #[serde(skip_serializing_if = "Option::is_none")]
    telemetry: Option<Telemetry>,
    environments: Environments,
    plans: BTreeMap<String, Plan>,
}

#[derive(Serialize)]
struct Admin {
    listen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Tls {
    Word(&'static str),
    Own { cert: String, key: String },
}

#[derive(Serialize)]
struct Acme {
    directory: String,
    agree_to_terms: bool,
    contact: Vec<String>,
    challenge: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eab_key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eab_key_file: Option<String>,
}

#[derive(Serialize)]
struct Telemetry {
    otlp: Otlp,
}

#[derive(Serialize)]
struct Otlp {
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers_file: Option<String>,
    one_in: u32,
}

#[derive(Serialize)]
struct Environments {
    #[serde(skip_serializing_if = "Option::is_none")]
    testing: Option<Environment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    production: Option<Environment>,
}

#[derive(Serialize)]
struct Environment {
    listen: String,
    base_url: String,
    hosts: Vec<String>,
    token_lifetime: String,
    token_bytes: usize,
    token_format: &'static str,
    token_signing_alg: &'static str,
    introspection_signing_alg: &'static str,
    dpop_nonces: &'static str,
    retire_unused_after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutual_tls: Option<MutualTls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminders: Option<Reminders>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_log: Option<String>,
    leaks: Leaks,
    published_keys: Published,
    audit: Audit,
    limits: Limits,
    identity_issuers: Vec<IdentityIssuer>,
    routes: Vec<Route>,
}

#[derive(Serialize)]
struct MutualTls {
    #[serde(skip_serializing_if = "Option::is_none")]
    authorities: Option<String>,
}

#[derive(Serialize)]
struct Reminders {
    webhook: String,
    webhook_key_file: String,
    webhook_allow_private: bool,
}

#[derive(Serialize)]
struct Email {
    server: String,
    tls: &'static str,
    from: String,
    to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_file: Option<String>,
    allow_private: bool,
}

/// `plain_http` is for tokens and secrets alike where it was written, and is left out where each has its own.
#[derive(Serialize)]
struct Leaks {
    url: Grade,
    browser: Grade,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain_http: Option<Grade>,
    public: Grade,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_keys: Option<String>,
    misplaced: Grade,
}

#[derive(Serialize)]
struct Published {
    allow_private: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
}

#[derive(Serialize)]
struct IdentityIssuer {
    issuer: String,
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_file: Option<String>,
    binding_claims: Vec<String>,
    longest_life: String,
    #[serde(flatten)]
    published: Published,
}

#[derive(Serialize)]
struct Audit {
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<String>,
}

#[derive(Serialize)]
struct Limits {
    connections: usize,
    header_timeout: String,
    idle_timeout: String,
    body_timeout: String,
    max_uri: usize,
    max_header_bytes: usize,
    max_headers: usize,
    max_body: u64,
    tokens: Vec<String>,
    tokens_by_address: Vec<String>,
}

#[derive(Serialize)]
struct Route {
    prefix: String,
    upstreams: Vec<String>,
    protocol: &'static str,
    connect_timeout: String,
    response_timeout: String,
    idle_timeout: String,
    websocket: bool,
    max_body: u64,
    cost: u32,
    in_flight: u32,
    adaptive_limit: bool,
    scopes: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Plan {
    limits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<u32>,
    observe: Vec<String>,
}

pub(super) fn to_json(config: &Config) -> String {
    serde_json::to_string_pretty(&Shown::from(config)).unwrap_or_default()
}

pub(super) fn to_toml(config: &Config) -> String {
    toml::to_string_pretty(&Shown::from(config)).unwrap_or_default()
}

pub(super) fn waiting(running: &Config, later: &Config) -> Vec<String> {
    let [running, later] = [running, later].map(|config| serde_json::to_value(Shown::from(config)).unwrap_or_default());
    let mut names = Vec::new();
    note_others("", &running, &later, &mut names);
    names.retain(|name| !name.ends_with(".routes") && name.split('.').next() != Some("plans"));
    names
}

/// The names of what is other in one tree than in another: its whole name where it is missing in one of them.
fn note_others(name: &str, one: &Value, other: &Value, names: &mut Vec<String>) {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        if one != other {
            names.push(name.to_owned());
        }
        return;
    };
    let members: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    for member in members {
        let of = |tree: &serde_json::Map<String, Value>| tree.get(member).cloned().unwrap_or_default();
        let place = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
        note_others(&place, &of(one), &of(other), names);
    }
}

impl From<&Config> for Shown {
    fn from(config: &Config) -> Self {
        let plan = |plan: &fuuffy_domain::Plan| Plan {
            limits: shown(&plan.limits),
            concurrency: plan.concurrency,
            observe: shown(&plan.observe),
        };
        Self {
            data_dir: config.data_dir.display().to_string(),
            workers: config.workers,
            shutdown_grace: show_duration(config.shutdown_grace),
            admin: Admin { listen: config.admin.listen.to_string(), tls: config.admin.tls.as_ref().map(Tls::from) },
            acme: config.acme.as_ref().map(Acme::from),
            telemetry: config.otlp.as_ref().map(|otlp| Telemetry {
                otlp: Otlp {
                    endpoint: otlp.endpoint.clone(),
                    headers_file: otlp.headers_file.as_ref().map(|path| path.display().to_string()),
                    one_in: otlp.one_in,
                },
            }),
            environments: Environments {
                testing: config.environments.testing.as_ref().map(Environment::from),
                production: config.environments.production.as_ref().map(Environment::from),
            },
            plans: config.plans.iter().map(|(name, it)| (name.to_string(), plan(it))).collect(),
        }
    }
}

impl From<&CertificateFiles> for Tls {
    fn from(CertificateFiles { cert, key }: &CertificateFiles) -> Self {
        Self::Own { cert: cert.display().to_string(), key: key.display().to_string() }
    }
}

impl From<&AcmeConfig> for Acme {
    fn from(config: &AcmeConfig) -> Self {
        let listen = match config.challenge {
            ChallengeKind::TlsAlpn01 => None,
            ChallengeKind::Http01 { listen } => Some(listen.to_string()),
        };
        let (eab_key_id, eab_key_file) = config.external_account.clone().unzip();
        Self {
            directory: config.directory.clone(),
            agree_to_terms: true,
            contact: config.contact.clone(),
            challenge: config.challenge.name(),
            listen,
            ca_file: config.ca_file.as_ref().map(|path| path.display().to_string()),
            eab_key_id,
            eab_key_file: eab_key_file.map(|path| path.display().to_string()),
        }
    }
}

fn shown(limits: &[Limit]) -> Vec<String> {
    limits.iter().copied().map(String::from).collect()
}

impl From<&EnvironmentConfig> for Environment {
    fn from(config: &EnvironmentConfig) -> Self {
        let (tls, trusted_proxies) = match &config.tls {
            TlsMode::Loopback => (None, None),
            TlsMode::Own(files) => (Some(Tls::from(files)), None),
            TlsMode::Acme { .. } => (Some(Tls::Word("acme")), None),
            TlsMode::Terminated { trusted_proxies } => {
                (Some(Tls::Word("terminated")), Some(trusted_proxies.iter().map(ToString::to_string).collect()))
            }
        };
        let limits = &config.limits;
        Self {
            listen: config.listen.to_string(),
            base_url: config.base_url.clone(),
            hosts: config.hosts.clone().unwrap_or_else(|| vec!["*".to_owned()]),
            token_lifetime: config.token_lifetime.to_string(),
            token_bytes: config.token_bytes,
            token_format: config.token_format.name(),
            token_signing_alg: config.token_signing_alg.name(),
            introspection_signing_alg: config.introspection_signing_alg.name(),
            dpop_nonces: match config.dpop_nonces {
                NonceUse::WhereNeeded => "when needed",
                NonceUse::Always => "always",
            },
            retire_unused_after: config.retire_unused_after.to_string(),
            mutual_tls: config.mutual_tls.as_ref().map(|config| MutualTls {
                authorities: config.authorities.as_ref().map(|path| path.display().to_string()),
            }),
            reminders: config.reminders.as_ref().map(|webhook| Reminders {
                webhook: webhook.url.clone(),
                webhook_key_file: webhook.key_file.display().to_string(),
                webhook_allow_private: webhook.allow_private,
            }),
            email: config.email.as_ref().map(Email::from),
            tls,
            trusted_proxies,
            access_log: config.access_log.as_ref().map(|target| match target {
                AccessLogTarget::Stderr => "stderr".to_owned(),
                AccessLogTarget::File(path) => path.display().to_string(),
            }),
            leaks: Leaks {
                url: config.leaks.url,
                browser: config.leaks.browser,
                plain_http: Some(config.leaks.plain_http_token)
                    .filter(|grade| *grade == config.leaks.plain_http_secret),
                public: config.leaks.public,
                report_keys: config.report_keys.clone(),
                misplaced: config.leaks.misplaced,
            },
            published_keys: Published::from(&config.published),
            audit: Audit { retention: config.audit.retention.map(show_age) },
            limits: Limits {
                connections: limits.connections,
                header_timeout: show_duration(limits.header_timeout),
                idle_timeout: show_duration(limits.idle_timeout),
                body_timeout: show_duration(limits.body_timeout),
                max_uri: limits.max_uri,
                max_header_bytes: limits.max_header_bytes,
                max_headers: limits.max_headers,
                max_body: limits.max_body,
                tokens: shown(&config.token_limits.by_client.limits),
                tokens_by_address: shown(&config.token_limits.by_address.limits),
            },
            identity_issuers: config.identity_issuers.iter().map(IdentityIssuer::from).collect(),
            routes: config.routes.iter().map(Route::from).collect(),
        }
    }
}

impl From<&EmailConfig> for Email {
    fn from(config: &EmailConfig) -> Self {
        let (host, port) = &config.server;
        let login = config.login.as_ref();
        Self {
            server: if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
            tls: config.tls.name(),
            from: config.from.to_string(),
            to: config.to.iter().map(ToString::to_string).collect(),
            username: login.map(|(name, _)| name.clone()),
            password_file: login.map(|(_, file)| file.display().to_string()),
            allow_private: config.allow_private,
        }
    }
}

impl From<&PublishedConfig> for Published {
    fn from(config: &PublishedConfig) -> Self {
        let ca_file = config.ca_file.as_ref().map(|path| path.display().to_string());
        Self { allow_private: config.allow_private, ca_file }
    }
}

impl From<&IdentityIssuerConfig> for IdentityIssuer {
    fn from(config: &IdentityIssuerConfig) -> Self {
        let trusted = &config.trusted;
        let (jwks_uri, jwks_file) = match &config.keys {
            KeysFrom::Metadata => (None, None),
            KeysFrom::Url(url) => (Some(url.clone()), None),
            KeysFrom::File(path) => (None, Some(path.display().to_string())),
        };
        Self {
            issuer: trusted.issuer.to_string(),
            audience: trusted.audience.clone(),
            jwks_uri,
            jwks_file,
            binding_claims: trusted.binding_claims.clone(),
            longest_life: trusted.longest_life.to_string(),
            published: Published::from(&config.published),
        }
    }
}

impl From<&RouteConfig> for Route {
    fn from(config: &RouteConfig) -> Self {
        let scopes = [("read", &config.route.read), ("write", &config.route.write)];
        Self {
            prefix: config.route.prefix.clone(),
            upstreams: config.upstreams.iter().map(|upstream| format!("http://{}", upstream.authority)).collect(),
            protocol: match config.protocol {
                UpstreamProtocol::Http1 => "http1",
                UpstreamProtocol::Http2 => "http2",
            },
            connect_timeout: show_duration(config.connect_timeout),
            response_timeout: show_duration(config.response_timeout),
            idle_timeout: show_duration(config.idle_timeout),
            websocket: config.websocket,
            max_body: config.max_body,
            cost: config.cost,
            in_flight: config.in_flight,
            adaptive_limit: config.adapts,
            scopes: scopes
                .into_iter()
                .filter(|(_, scope)| !scope.is_empty())
                .map(|(key, scope)| (key, scope.to_string()))
                .collect(),
        }
    }
}
