//! Every key of the configuration: the one table that unknown keys are told by, that mistakes quote,
//! and that the reference is written from.

mod alerts;
mod register;
mod trust;

pub(super) use alerts::{EMAIL, REMINDERS};
pub(super) use register::{REGISTER, REGISTERED, REGISTERED_CERTIFICATE, REGISTERED_IDENTITY, REGISTERED_KEY};
pub(super) use trust::{IDENTITY_ISSUER, LEAKS, PUBLISHED_KEYS};

use std::fmt::Write as _;

/// One key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What a value must be; completes "expected …".
    pub(super) expects: &'static str,
    /// The default as written in a file; empty where the key is required.
    default: &'static str,
    about: &'static str,
}

/// A table of the file.
pub(super) struct Section {
    heading: &'static str,
    about: &'static str,
    pub(super) keys: &'static [Key],
}

const fn key(name: &'static str, expects: &'static str, default: &'static str, about: &'static str) -> Key {
    Key { name, expects, default, about }
}

const DURATION: &str = r#"a duration with the unit ms, s, m or h, up to a day, as in "10s""#;
const SIZE: &str = r#"a size in bytes, or with the unit KiB, MiB or GiB, as in "10MiB""#;
const ADDRESS: &str = r#"an IP address and a port, as in "127.0.0.1:8080""#;
const SCOPE: &str = r#"scopes separated by single spaces, as in "orders:read""#;
const TABLE: &str = "a table";
const LIMITS_LIST: &str = r#"a list of limits such as "100/min", each with another unit of s, min, h or d"#;

pub(super) static ROOT: Section = Section {
    heading: "the file itself",
    about: "A configuration has at least one environment.",
    keys: &[
        key(
            "data_dir",
            "a path",
            r#""data""#,
            "Where everything that lasts is kept. A relative path starts from the file's folder.",
        ),
        key("workers", "a whole number from 1 to 1024", "one for each core", "Threads that serve callers."),
        key("shutdown_grace", DURATION, r#""30s""#, "How long a shutdown waits for what is in flight."),
        key("admin", TABLE, "{}", "The operators' listener."),
        key("acme", TABLE, "none", "Who gives certificates to environments with `tls = \"acme\"`, and how."),
        key("telemetry", TABLE, "{}", "What is told to the operator's own tools."),
        key("environments", TABLE, "", "Those that are served: `testing`, `production`, or both."),
        key("plans", TABLE, "{}", "What clients may do, by the plan's name."),
    ],
};

pub(super) static ADMIN: Section = Section {
    heading: "`[admin]`",
    about: "`/livez`, `/readyz` and `/metrics`; and, for whoever has an operator's token, the API below `/admin/v1/`. The commands of operators come this way only with `--admin-url`; else they use a socket in `data_dir`.",
    keys: &[
        key(
            "listen",
            ADDRESS,
            r#""127.0.0.1:9080""#,
            "On loopback, unless it has certificates. Port 0 takes a free one; the ready line names it.",
        ),
        key("tls", "a table with cert and key", "none, on loopback only", "As an environment's."),
    ],
};

pub(super) static ACME: Section = Section {
    heading: "`[acme]`",
    about: "Certificates by ACME (RFC 8555), one for each environment with `tls = \"acme\"`: for all of its `hosts` that have a public name. They are ordered by the server itself, kept sealed in the environment's store, and renewed when two thirds of their time are over. Until there is a first one, handshakes are refused, and `/readyz` says why. `SIGHUP` tries at once what is due. With a certificate from the default directory, whose authority nobody trusts, see that it works; then name the real one.",
    keys: &[
        key(
            "directory",
            r#"an https:// URL, as in "https://acme-v02.api.letsencrypt.org/directory""#,
            r#""https://acme-staging-v02.api.letsencrypt.org/directory""#,
            "The authority's directory. The default is Let's Encrypt's for trials.",
        ),
        key(
            "agree_to_terms",
            "true",
            "",
            "Whether you agree to the authority's terms of service. Without, it gives nothing.",
        ),
        key(
            "contact",
            r#"a list of at most 10 addresses, as in ["ops@example.com"]"#,
            "[]",
            "Whom the authority may write to.",
        ),
        key(
            "challenge",
            r#""tls-alpn-01", or "http-01" with listen beside it"#,
            r#""tls-alpn-01""#,
            "How it is proven that the hosts are ours: on the listener itself, which must be reached by port 443 of each host (RFC 8737), or by plain HTTP, on port 80.",
        ),
        key(
            "listen",
            ADDRESS,
            "none",
            "With `challenge = \"http-01\"`: where the authority comes by plain HTTP. Nothing else is answered there.",
        ),
        key(
            "ca_file",
            "the path of a file of certificates in PEM",
            "the machine's authorities",
            "Whom an authority of your own is known by; no other is then trusted for it.",
        ),
        key(
            "eab_key_id",
            "a key id, with eab_key_file beside it",
            "none",
            "For authorities that tie an account to a customer (RFC 8555 §7.3.4).",
        ),
        key(
            "eab_key_file",
            "the path of a file that nobody else can read, with eab_key_id beside it",
            "none",
            "The key that belongs to it, in base64url as the authority gives it.",
        ),
    ],
};

pub(super) static TELEMETRY: Section = Section {
    heading: "`[telemetry]`",
    about: "",
    keys: &[key("otlp", TABLE, "none", "A collector that gets spans of requests.")],
};

pub(super) static OTLP: Section = Section {
    heading: "`[telemetry.otlp]`",
    about: "For a `fuuffy` that was built with the feature `otlp`; in any other this is a mistake.",
    keys: &[
        key(
            "endpoint",
            r#"an https:// or http:// URL, as in "http://127.0.0.1:4318/v1/traces""#,
            "",
            "Where spans are sent, by OTLP over HTTP in protobuf.",
        ),
        key(
            "headers_file",
            "the path of a file that nobody else can read",
            "none",
            "Header fields for the collector, one a line as `name: value`. With it the endpoint is https:// or on loopback.",
        ),
        key(
            "one_in",
            "a whole number from 1 to 1000000",
            "1",
            "Of so many traces that begin here one is recorded. A trace that a caller has begun is recorded where its `traceparent` says so.",
        ),
    ],
};

pub(super) static ENVIRONMENTS: Section = Section {
    heading: "`[environments]`",
    about: "",
    keys: &[
        key("testing", TABLE, "none", "The environment that integrators try things in."),
        key("production", TABLE, "none", "The environment that counts."),
    ],
};

pub(super) static ENVIRONMENT: Section = Section {
    heading: "`[environments.testing]`, `[environments.production]`",
    about: "Each is a world of its own: its clients, secrets and tokens are unknown in the other.",
    keys: &[
        key("listen", ADDRESS, "", "Where callers connect. Port 0 takes a free one."),
        key("base_url", r#"an https:// URL, or an http:// one on loopback"#, "the guide's", "What callers know it as."),
        key(
            "hosts",
            r#"a list of host names, as in ["api.example.com"], or ["*"]"#,
            "the host of `base_url`, and on loopback `localhost` and its addresses",
            "Hosts that are served; any other is refused with 421. `*` serves all.",
        ),
        key(
            "token_lifetime",
            r#"a whole number with the unit s, m, h or d, from 1s to 30d, as in "1h""#,
            r#""1h""#,
            "How long a token lives. A client may have a shorter life of its own.",
        ),
        key("token_bytes", "16 or 32", "16", "Random bytes in a token."),
        key(
            "token_format",
            r#""opaque" or "jwt""#,
            r#""opaque""#,
            "What a token looks like: `sk-` and digits, or a JWT (RFC 9068) that an API outside of the gateway can verify by the keys at `/oauth/jwks`. The gateway looks both up, so that what is revoked ends at once; who verifies a JWT by itself takes it until it expires.",
        ),
        key(
            "token_signing_alg",
            r#""ES256", "EdDSA" or "RS256""#,
            r#""ES256""#,
            "What tokens that are JWTs are signed by. Whatever verifies JWTs knows RS256 (RFC 9068 §2.1); it makes longer tokens, and takes some thirty times as long.",
        ),
        key(
            "introspection_signing_alg",
            r#""ES256", "EdDSA" or "RS256""#,
            r#""EdDSA""#,
            "What an introspection is signed by, where a signed one is asked for (RFC 9701). An RSA key is made where one of the two is RS256, and kept in the store, sealed by the key file.",
        ),
        key(
            "dpop_nonces",
            r#""when needed" or "always""#,
            r#""when needed""#,
            "When a DPoP proof (RFC 9449) must have a nonce that this server gave within two minutes: always, or where nothing else tells that the proof was not used before, as within ten seconds of a start.",
        ),
        key(
            "retire_unused_after",
            r#"a whole number with the unit s, m, h or d, from 1s to 30d, as in "24h""#,
            r#""24h""#,
            "How long nobody must have used a secret before it is safe to retire, and before one that is to go does.",
        ),
        key(
            "tls",
            r#"a table with cert and key, "acme" with a table [acme] that says whence certificates come, or "terminated" where a proxy in front speaks TLS"#,
            "none, on loopback only",
            "Who speaks TLS with the callers. A listener that is not on loopback must say one of the three.",
        ),
        key(
            "trusted_proxies",
            r#"a list of addresses or networks, as in ["10.0.0.0/8"]"#,
            "[]",
            "With `tls = \"terminated\"`: whence connections are taken. Any other is closed.",
        ),
        key("mutual_tls", TABLE, "none", "That clients may be known by certificate, and tokens bound to one."),
        key("reminders", TABLE, "none: the log alone", "Who is told that a secret expires soon."),
        key("email", TABLE, "none", "Who gets a letter for each alert, besides or instead of a webhook."),
        key("leaks", TABLE, "{}", "What comes of secrets and tokens that are seen where they do not belong."),
        key("published_keys", TABLE, "{}", "How the keys are got that clients publish (`jwks_uri`)."),
        key("identity_issuers", "a list of tables", "[]", "Platforms whose own tokens clients can be known by."),
        key("audit", TABLE, "{}", "How long the audit log is kept."),
        key(
            "access_log",
            r#"a path, or "stderr""#,
            "none",
            "Gets a line of JSON for each request, once its last byte has moved. A relative path starts from the file's folder; `SIGHUP` opens the file anew.",
        ),
        key("limits", TABLE, "{}", "What a caller's connection may cost, and how many tokens may be asked for."),
        key("routes", "a list of tables", "[]", "Where requests go."),
    ],
};

pub(super) static TLS: Section = Section {
    heading: "`[environments.….tls]`, `[admin.tls]`",
    about: "Read anew when a file changes, and on `SIGHUP`. Both environments may have one `listen` if both have certificates and no host in common: the name in the handshake says which is meant.",
    keys: &[
        key(
            "cert",
            "the path of a file of certificates in PEM, the listener's own first",
            "",
            "What is shown to callers, with all between it and the authority that they know.",
        ),
        key("key", "the path of a file with a private key in PEM that not everybody can read", "", "Its key."),
    ],
};

pub(super) static MUTUAL_TLS: Section = Section {
    heading: "`[environments.….mutual_tls]`",
    about: "Mutual TLS (RFC 8705). With this table callers are asked for a certificate in the handshake, and need not have one; with `tls = \"terminated\"` the `trusted_proxies` say by `Client-Cert` which one they were shown (RFC 9440), and must take that field from everybody else's requests. A client that is known by a certificate (`fuuffy clients certificates add`) needs no secret, and its tokens are bound to that certificate. Where both environments have one `listen`, callers of both are asked.",
    keys: &[key(
        "authorities",
        "the path of a file of certificates in PEM",
        "none: only certificates that are registered themselves",
        "Those who vouch for the names that clients are registered by. Read anew on `SIGHUP`.",
    )],
};

pub(super) static LIMITS: Section = Section {
    heading: "`[environments.….limits]`",
    about: "",
    keys: &[
        key(
            "connections",
            "a whole number from 1 to 1000000",
            "65536",
            "Connections at a time. Callers beyond wait to be accepted.",
        ),
        key("header_timeout", DURATION, r#""10s""#, "From the first byte of a request's head to its last."),
        key("idle_timeout", DURATION, r#""75s""#, "Between requests."),
        key("body_timeout", DURATION, r#""30s""#, "Between the pieces of a body, either way."),
        key("max_uri", SIZE, r#""8KiB""#, "The request target; beyond it, 414."),
        key("max_header_bytes", SIZE, r#""16KiB""#, "All header fields together; beyond it, 431."),
        key("max_headers", "a whole number from 1 to 256", "100", "Header fields; beyond it, 431."),
        key(
            "max_body",
            SIZE,
            r#""10MiB""#,
            "A request's body; beyond it, 413. Token requests take 8 KiB whatever this says.",
        ),
        key(
            "tokens",
            LIMITS_LIST,
            "[]",
            "Tokens that one client may ask for, by right secrets; beyond it, 429. A client with a shorter life of its own may ask for as many times more. A program needs 24 a day, so [\"20/min\", \"120/h\"] tells whoever fetches one for each call.",
        ),
        key(
            "tokens_by_address",
            LIMITS_LIST,
            "[]",
            "The same for all clients at one address together; at one network of 64 bits with IPv6.",
        ),
    ],
};

pub(super) static AUDIT: Section = Section {
    heading: "`[environments.….audit]`",
    about: "The log's checkpoints are signed with the key in `data_dir/audit.key`, or in the file that `FUUFFY_AUDIT_KEY_FILE` names.",
    keys: &[key(
        "retention",
        r#"a whole number with the unit h or d, from 1h to 36500d, as in "400d""#,
        "none: kept for good",
        "Records older than this leave, up to a checkpoint; what remains can still be proven.",
    )],
};

pub(super) static ROUTE: Section = Section {
    heading: "`[[environments.….routes]]`",
    about: "The longest prefix of whole segments wins.",
    keys: &[
        key(
            "prefix",
            "a path that starts with '/', does not end with it, and has plain segments of letters, digits, '-', '_' and '.'",
            "",
            "`/v1/orders` matches `/v1/orders` and all below it.",
        ),
        key(
            "upstreams",
            r#"a list of URLs without a path, as in ["http://127.0.0.1:8090"]"#,
            "",
            "Servers of the API. A request goes to the one with the fewest under way.",
        ),
        key("scopes", TABLE, "none: any valid token will do", "Scopes that a token needs."),
        key(
            "protocol",
            r#""http1" or "http2""#,
            r#""http1""#,
            "What the upstreams speak. `http2` is cleartext by prior knowledge, on loopback only.",
        ),
        key("connect_timeout", DURATION, r#""5s""#, "The longest wait for a connection."),
        key("response_timeout", DURATION, r#""30s""#, "The longest wait for the head of an answer; beyond it, 504."),
        key("idle_timeout", DURATION, r#""60s""#, "How long an unused connection is kept."),
        key("websocket", "true or false", "false", "Whether `Upgrade: websocket` passes."),
        key("max_body", SIZE, "the environment's", "A request's body; beyond it, 413."),
        key(
            "cost",
            "a whole number from 0 to 1000000",
            "1",
            "What a request takes from each window of its client's plan; at most what the smallest one lets through. 0: it is not counted, and never refused for the plan.",
        ),
        key(
            "in_flight",
            "a whole number from 1 to 1000000",
            "65536",
            "Requests that wait for the head of an answer at a time; beyond it, 503.",
        ),
        key(
            "adaptive_limit",
            "true or false",
            "true",
            "Whether fewer than that do where answers become slow because there are too many: as many as the upstreams were found to answer without letting them wait, and never fewer than 16.",
        ),
    ],
};

pub(super) static SCOPES: Section = Section {
    heading: "`scopes` of a route",
    about: "",
    keys: &[
        key("read", SCOPE, "none", "For GET, HEAD and OPTIONS."),
        key("write", SCOPE, "none", "For all other methods."),
    ],
};

pub(super) static PLAN: Section = Section {
    heading: "`[plans.NAME]`",
    about: "A name is letters, digits, `_` and `-`. Clients without a plan of their own have `standard`.",
    keys: &[
        key("limits", LIMITS_LIST, r#"["100/min", "1000/h"] for `standard`"#, "Windows that all hold at once."),
        key(
            "concurrency",
            "a whole number from 1 to 1000000",
            "none",
            "Requests of a client under way at once, each until its answer's last byte; a WebSocket counts for as long as it is open. Beyond it, 429.",
        ),
        key(
            "observe",
            LIMITS_LIST,
            "[]",
            "Windows that refuse nothing: what they would have refused of what `limits` let through is counted, in `fuuffy usage` as `observed` and in `/metrics` as `observed_refusals`.",
        ),
    ],
};

/// Not of the configuration: the file that `fuuffy export` writes and `fuuffy apply` reads.
static ALL: &[&Section] = &[
    &ROOT,
    &ADMIN,
    &ACME,
    &TELEMETRY,
    &OTLP,
    &ENVIRONMENTS,
    &ENVIRONMENT,
    &TLS,
    &MUTUAL_TLS,
    &REMINDERS,
    &EMAIL,
    &LEAKS,
    &PUBLISHED_KEYS,
    &IDENTITY_ISSUER,
    &AUDIT,
    &LIMITS,
    &ROUTE,
    &SCOPES,
    &PLAN,
];

/// The reference of the configuration file, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Configuration\n\n<!-- Written by `fuuffy reference configuration`; a test keeps it true. -->\n\n\
         A TOML file. Unknown keys are mistakes; `fuuffy check --config FILE` tells all of them at once, or\n\
         prints the configuration with every default filled in. `SIGHUP` reloads routes, plans, upstreams\n\
         and certificates; everything else waits for a restart.\n",
    );
    for section in ALL {
        let _ = write!(text, "\n## {}\n\n", section.heading);
        if !section.about.is_empty() {
            let _ = write!(text, "{}\n\n", section.about);
        }
        text.push_str("| key | value | default | |\n| --- | --- | --- | --- |\n");
        for Key { name, expects, default, about } in section.keys {
            let default = match *default {
                "" => "required".to_owned(),
                quoted if quoted.starts_with(['"', '[', '{']) || quoted.parse::<u64>().is_ok() || quoted == "false" => {
                    format!("`{quoted}`")
                }
                words => words.to_owned(),
            };
            let _ = writeln!(text, "| `{name}` | {expects} | {default} | {about} |");
        }
    }
    text
}
