//! From a file's text to the resolved configuration, section by section.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use fuuffy_domain::{EnvironmentName, Grade, LeakGrades, Lifetime, Limit, NonceUse, Plan, PlanName};
use fuuffy_issuer::{SigningAlgorithm, TokenFormat, TokenLimits};
use http::Uri;
use ipnet::IpNet;
use toml::de::DeTable;

use super::base_url::{base_url, default_base_url, is_loopback};
use super::routes::routes;
use super::table::{Source, Table};
use super::{
    AccessLogTarget, AdminConfig, AuditConfig, CertificateFiles, Config, ConnectionLimits, EnvironmentConfig,
    EnvironmentConfigs, Mistake, OtlpConfig, TlsMode, WebhookConfig, keys,
};
use crate::reach::{MayReach, address_in};

pub(super) fn read(text: &str, folder: &Path) -> Result<Config, Vec<Mistake>> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        source.note(error.span().map_or(0, |span| span.start), error.message().replace('\n', ", "));
    }
    let config = (errors.is_empty())
        .then(|| config(&Table::new(&source, &keys::ROOT, String::new(), 0..0, root.get_ref()), folder))
        .flatten();
    let mistakes = source.into_mistakes();
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes),
    }
}

fn config(root: &Table<'_>, folder: &Path) -> Option<Config> {
    let data_dir = root.parsed("data_dir", |path| (!path.is_empty()).then(|| path.to_owned()));
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let workers = root.number("workers", 1..=1024).unwrap_or_else(cores);
    let shutdown_grace = root.duration("shutdown_grace", "30s");
    let admin = admin(root, folder);
    let otlp = root.table("telemetry", &keys::TELEMETRY).and_then(|table| table.table("otlp", &keys::OTLP));
    let otlp = otlp.and_then(|table| self::otlp(&table, folder));
    let plans = plans(root);
    let acme = root.table("acme", &keys::ACME).and_then(|table| super::acme::read(&table, folder));
    let environments = environments(root, folder);
    let config = Config {
        data_dir: folder.join(data_dir.unwrap_or_else(|| "data".to_owned())),
        workers,
        shutdown_grace,
        admin,
        acme,
        otlp,
        environments: environments?,
        plans,
    };
    super::acme::refuse_what_does_not_fit(root, &config);
    refuse_shared_listeners(root, &config);
    refuse_costs_beyond_plans(root, &config);
    Some(config)
}

fn admin(root: &Table<'_>, folder: &Path) -> AdminConfig {
    let table = root.table("admin", &keys::ADMIN);
    let listen = table.as_ref().and_then(|table| table.parsed("listen", address));
    if let (Some(table), Some(listen)) = (&table, listen)
        && !listen.ip().is_loopback()
        && !table.has("tls")
    {
        table.mistake("listen", "a listener that is not on loopback must have TLS; expected [admin.tls] with cert and key, or an address on loopback");
    }
    let tls = table.and_then(|table| certificate_files(table.table("tls", &keys::TLS)?, folder));
    AdminConfig { listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9080))), tls }
}

fn otlp(table: &Table<'_>, folder: &Path) -> Option<OtlpConfig> {
    if cfg!(not(feature = "otlp")) {
        table.whole(
            "this fuuffy was built without the feature otlp; build it with --features otlp, or take the table out",
        );
    }
    let headers_file = table.parsed("headers_file", |path| (!path.is_empty()).then(|| folder.join(path)));
    let endpoint = table.required("endpoint", |text| {
        let url = reqwest::Url::parse(text).ok()?;
        let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        (matches!(url.scheme(), "https" | "http") && is_bare && url.has_host()).then_some(url)
    });
    let is_safe = |url: &reqwest::Url| url.scheme() == "https" || url.host_str().is_some_and(is_loopback);
    if endpoint.as_ref().is_some_and(|url| headers_file.is_some() && !is_safe(url)) {
        table.mistake(
            "endpoint",
            "expected an https:// URL, or one on loopback; headers_file would go out in the clear",
        );
    }
    let one_in = table.number("one_in", 1..=1_000_000).and_then(|one_in| u32::try_from(one_in).ok()).unwrap_or(1);
    Some(OtlpConfig { endpoint: endpoint?.to_string(), headers_file, one_in })
}

fn plans(root: &Table<'_>) -> BTreeMap<PlanName, Plan> {
    let mut plans = BTreeMap::new();
    for (name, table) in root.named("plans", &keys::PLAN) {
        let limits = limits_of(&table, "limits").unwrap_or_else(|| {
            if !table.has("limits") {
                table.mistake("limits", r#"missing; expected a list of limits such as "100/min""#);
            }
            Vec::new()
        });
        let concurrency = table.number("concurrency", 1..=1_000_000).and_then(|most| u32::try_from(most).ok());
        let observe = limits_of(&table, "observe").unwrap_or_default();
        match PlanName::parse(name) {
            Ok(name) => drop(plans.insert(name, Plan { limits, concurrency, observe })),
            Err(_) => table.whole("expected a plan's name of 1 to 64 letters, digits, '_' and '-'"),
        }
    }
    if let Ok(standard) = PlanName::parse("standard") {
        plans.entry(standard).or_insert_with(Plan::standard);
    }
    plans
}

/// Windows that can all hold at once.
fn limits_of(table: &Table<'_>, key: &str) -> Option<Vec<Limit>> {
    let limits = table.list(key, |text| Limit::parse(text).map_err(|fault| expected(&fault)))?;
    let mut seen: Vec<Limit> = Vec::new();
    for limit in &limits {
        if let Some(other) = seen.iter().find(|other| other.seconds == limit.seconds) {
            let (one, two, name) = (String::from(*other), String::from(*limit), limit.name());
            table.mistake(key, format!("expected one limit for each unit; {one:?} and {two:?} would both be called {name:?} in what callers are told, and the smaller one alone would hold"));
        }
        seen.push(*limit);
    }
    Some(limits)
}

/// A domain's own words, as a mistake begins.
fn expected(fault: &impl ToString) -> String {
    let words = fault.to_string();
    words.strip_prefix("a limit is ").map_or(words.clone(), |rest| format!("expected {rest}"))
}

fn environments(root: &Table<'_>, folder: &Path) -> Option<EnvironmentConfigs> {
    let Some(table) = root.table("environments", &keys::ENVIRONMENTS) else {
        if !root.has("environments") {
            root.mistake(
                "environments",
                "missing; expected [environments.testing], [environments.production], or both",
            );
        }
        return None;
    };
    let read = |name: EnvironmentName| {
        table.table(name.as_str(), &keys::ENVIRONMENT).map(|table| environment(name, &table, folder))
    };
    match (read(EnvironmentName::Testing), read(EnvironmentName::Production)) {
        (None, None) => {
            root.mistake("environments", "expected [environments.testing], [environments.production], or both");
            None
        }
        // An environment that cannot be read has left its mistakes behind.
        (Some(None), _) | (_, Some(None)) => None,
        (testing, production) => {
            Some(EnvironmentConfigs { testing: testing.flatten(), production: production.flatten() })
        }
    }
}

fn environment(name: EnvironmentName, table: &Table<'_>, folder: &Path) -> Option<EnvironmentConfig> {
    let listen = table.required("listen", address);
    let base_url = table.parsed("base_url", base_url).unwrap_or_else(|| default_base_url(name).to_owned());
    let hosts = hosts(table, &base_url, listen);
    let token_lifetime = table.parsed("token_lifetime", |text| Lifetime::parse(text).ok()).unwrap_or(Lifetime::HOUR);
    let token_bytes = table.number("token_bytes", 16..=32).unwrap_or(16);
    if !matches!(token_bytes, 16 | 32) {
        table.wrong("token_bytes");
    }
    let token_format = table.parsed("token_format", TokenFormat::parse).unwrap_or_default();
    let signing = |key: &str, usual| table.parsed(key, SigningAlgorithm::parse).unwrap_or(usual);
    let token_signing_alg = signing("token_signing_alg", SigningAlgorithm::Es256);
    let introspection_signing_alg = signing("introspection_signing_alg", SigningAlgorithm::EdDsa);
    let dpop_nonces = table.parsed("dpop_nonces", |text| match text {
        "when needed" => Some(NonceUse::WhereNeeded),
        "always" => Some(NonceUse::Always),
        _ => None,
    });
    let quiet = table.parsed("retire_unused_after", |text| Lifetime::parse(text).ok());
    let tls = tls(table, listen, hosts.as_deref(), folder);
    let mutual_tls = super::mutual_tls::read(table, tls.as_ref(), folder);
    let reminders = table.table("reminders", &keys::REMINDERS).and_then(|table| webhook(&table, folder));
    let email = table.table("email", &keys::EMAIL).and_then(|table| super::email::read(&table, folder));
    let leaks_table = table.table("leaks", &keys::LEAKS);
    let report_keys = leaks_table.as_ref().and_then(|table| table.parsed("report_keys", report_keys));
    let leaks = leaks(leaks_table.as_ref(), tls.as_ref());
    let published = super::identities::published(table.table("published_keys", &keys::PUBLISHED_KEYS).as_ref(), folder);
    let identity_issuers = super::identities::issuers(table, &base_url, folder);
    let audit = table.table("audit", &keys::AUDIT);
    let retention = audit.and_then(|audit| audit.parsed("retention", super::quantity::age));
    let access_log = table.parsed("access_log", |text| match text {
        "" => None,
        "stderr" => Some(AccessLogTarget::Stderr),
        path => Some(AccessLogTarget::File(folder.join(path))),
    });
    let limits_table = table.table("limits", &keys::LIMITS);
    let token_limits = token_limits(limits_table.as_ref());
    let limits = limits(limits_table.as_ref());
    let routes = routes(table, &limits);
    Some(EnvironmentConfig {
        name,
        listen: listen?,
        base_url,
        hosts,
        token_lifetime,
        token_bytes,
        token_format,
        token_signing_alg,
        introspection_signing_alg,
        dpop_nonces: dpop_nonces.unwrap_or(NonceUse::WhereNeeded),
        retire_unused_after: quiet.unwrap_or(Lifetime::DAY),
        reminders,
        email,
        tls: tls?,
        mutual_tls,
        leaks,
        report_keys,
        published,
        identity_issuers,
        audit: AuditConfig { retention },
        access_log,
        limits,
        token_limits,
        routes,
    })
}

/// Behind a proxy a wrong word of that proxy would revoke every token, so it is believed only where that was asked for.
fn leaks(table: Option<&Table<'_>>, tls: Option<&TlsMode>) -> LeakGrades {
    let grade = |key| table.and_then(|table| table.parsed(key, Grade::parse));
    let (usual, plain_http) = (LeakGrades::default(), grade("plain_http"));
    let of_token = if tls.is_some_and(TlsMode::is_own) { usual.plain_http_token } else { Grade::Warn };
    LeakGrades {
        url: grade("url").unwrap_or(usual.url),
        browser: grade("browser").unwrap_or(usual.browser),
        plain_http_secret: plain_http.unwrap_or(usual.plain_http_secret),
        plain_http_token: plain_http.unwrap_or(of_token),
        public: grade("public").unwrap_or(usual.public),
        misplaced: grade("misplaced").unwrap_or(usual.misplaced),
    }
}

fn report_keys(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback));
    (is_safe && url.username().is_empty() && url.password().is_none()).then(|| text.to_owned())
}

fn webhook(table: &Table<'_>, folder: &Path) -> Option<WebhookConfig> {
    let allow_private = table.boolean("webhook_allow_private").unwrap_or_default();
    let url = table.required("webhook", |text| webhook_url(text, allow_private));
    let key_file = table.required("webhook_key_file", |path| (!path.is_empty()).then(|| folder.join(path)));
    Some(WebhookConfig { url: url?, key_file: key_file?, allow_private })
}

/// What can be said of a webhook's URL before its name is looked up.
fn webhook_url(text: &str, allow_private: bool) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let is_https = url.scheme() == "https";
    let may_reach = MayReach { private: allow_private, public: is_https };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    let is_meant = is_https || (url.scheme() == "http" && allow_private);
    let is_reached = address_in(&url).is_none_or(|address| may_reach.check(address).is_ok());
    (is_meant && is_reached && is_bare && url.fragment().is_none() && url.has_host()).then(|| text.to_owned())
}

fn certificate_files(table: Table<'_>, folder: &Path) -> Option<CertificateFiles> {
    let path = |key| table.required(key, |path| (!path.is_empty()).then(|| folder.join(path)));
    let (cert, key) = (path("cert"), path("key"));
    Some(CertificateFiles { cert: cert?, key: key? })
}

fn tls(table: &Table<'_>, listen: Option<SocketAddr>, hosts: Option<&[String]>, folder: &Path) -> Option<TlsMode> {
    let proxies = table.list("trusted_proxies", |text| {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| r#"expected an address or a network, as in "10.0.0.0/8""#.to_owned())
    });
    let word = match table.has("tls") && !table.has_table("tls") {
        true => Some(table.parsed("tls", |text| matches!(text, "terminated" | "acme").then(|| text.to_owned()))),
        false => None,
    };
    let may_be_terminated = word.as_ref().is_some_and(|word| word.as_deref() != Some("acme"));
    if !may_be_terminated && proxies.is_some() {
        table.mistake("trusted_proxies", r#"expected tls = "terminated" beside it"#);
    }
    if table.has_table("tls") {
        return certificate_files(table.table("tls", &keys::TLS)?, folder).map(TlsMode::Own);
    }
    let Some(word) = word else {
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) {
            table.mistake("listen", r#"a listener that is not on loopback must have TLS; expected a table tls with cert and key, tls = "acme", tls = "terminated" with the trusted_proxies that speak it, or an address on loopback"#);
        }
        return Some(TlsMode::Loopback);
    };
    if word? == "acme" {
        return super::acme::names(table, hosts).map(|names| TlsMode::Acme { names });
    }
    match proxies {
        Some(trusted_proxies) if !trusted_proxies.is_empty() => Some(TlsMode::Terminated { trusted_proxies }),
        _ => {
            table.mistake("tls", r#"expected trusted_proxies beside it, as in ["10.0.0.0/8"]"#);
            None
        }
    }
}

fn hosts(table: &Table<'_>, base_url: &str, listen: Option<SocketAddr>) -> Option<Vec<String>> {
    let written = table.list("hosts", |host| {
        let plain =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':' | '[' | ']');
        if host == "*" || (!host.is_empty() && host.chars().all(plain)) {
            Ok(host.to_ascii_lowercase())
        } else {
            Err(r#"expected a host name without a scheme, a port or a path, as in "api.example.com""#.to_owned())
        }
    });
    match written {
        Some(hosts) if hosts.iter().any(|host| host == "*") => None,
        Some(hosts) => Some(hosts),
        None => {
            let public = base_url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
            let mut hosts: Vec<String> = public.into_iter().collect();
            if listen.is_none_or(|listen| listen.ip().is_loopback()) {
                hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
                if let Some(SocketAddr::V4(listen)) = listen {
                    hosts.push(listen.ip().to_string());
                }
            }
            hosts.sort();
            hosts.dedup();
            Some(hosts)
        }
    }
}

fn token_limits(table: Option<&Table<'_>>) -> TokenLimits {
    let plan = |key| table.and_then(|table| limits_of(table, key)).map(Plan::of).unwrap_or_default();
    TokenLimits { by_client: plan("tokens"), by_address: plan("tokens_by_address") }
}

fn limits(table: Option<&Table<'_>>) -> ConnectionLimits {
    let duration = |key, default| {
        table.map_or_else(
            || super::quantity::duration(default).unwrap_or_default(),
            |table| table.duration(key, default),
        )
    };
    let size = |key, default| table.and_then(|table| table.size(key)).unwrap_or(default);
    let bytes = |key, default| {
        // A head is held in memory whole.
        let bytes = size(key, default);
        if let Some(table) = table.filter(|_| bytes > 1 << 20) {
            table.mistake(key, "expected at most 1MiB");
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    };
    let number = |key, range, default| table.and_then(|table| table.number(key, range)).unwrap_or(default);
    ConnectionLimits {
        connections: number("connections", 1..=1_000_000, 65536),
        header_timeout: duration("header_timeout", "10s"),
        idle_timeout: duration("idle_timeout", "75s"),
        body_timeout: duration("body_timeout", "30s"),
        max_uri: bytes("max_uri", 8 << 10),
        max_header_bytes: bytes("max_header_bytes", 16 << 10),
        max_headers: number("max_headers", 1..=256, 100),
        max_body: size("max_body", 10 << 20),
    }
}

/// What costs more than a window holds could never be let through.
fn refuse_costs_beyond_plans(root: &Table<'_>, config: &Config) {
    for environment in [&config.environments.testing, &config.environments.production].into_iter().flatten() {
        for (index, route) in environment.routes.iter().enumerate() {
            for (name, plan) in &config.plans {
                if let Some(limit) = plan.limits.iter().find(|limit| limit.requests < route.cost) {
                    let (at, limit) = (format!("{}.routes[{index}].cost", environment.name), String::from(*limit));
                    root.mistake(
                        "environments",
                        format!("{at}: {} is more than the {limit:?} of plans.{name} ever lets through", route.cost),
                    );
                }
            }
        }
    }
}

fn refuse_shared_listeners(root: &Table<'_>, config: &Config) {
    let (testing, production) = (&config.environments.testing, &config.environments.production);
    let may_share = testing.as_ref().zip(production.as_ref()).is_some_and(|(one, other)| can_be_told_apart(one, other));
    let mut seen = vec![config.admin.listen];
    for environment in [testing, production].into_iter().flatten() {
        let is_taken = seen.contains(&environment.listen) && !(may_share && environment.listen != config.admin.listen);
        if environment.listen.port() != 0 && is_taken {
            root.mistake(
                "environments",
                format!("{}.listen: {} is another listener's address", environment.name, environment.listen),
            );
        }
        seen.push(environment.listen);
    }
}

/// Whether the name in a handshake says which of two environments is meant.
fn can_be_told_apart(one: &EnvironmentConfig, other: &EnvironmentConfig) -> bool {
    let have_certificates = one.tls.is_own() && other.tls.is_own();
    let names = one.hosts.as_ref().zip(other.hosts.as_ref());
    have_certificates && names.is_some_and(|(one, other)| !one.iter().any(|host| other.contains(host)))
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}
