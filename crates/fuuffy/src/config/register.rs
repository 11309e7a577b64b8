//! The registered clients of an environment as a file: what `fuuffy export` writes, and what `fuuffy apply` makes
//! true. Never a secret and never a digest.

mod proofs;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use fuuffy_domain::{ClientId, EnvironmentName, Lifetime, Limits, PlanName, ScopeSet};
use serde::Serialize;
use toml::de::DeTable;

use super::table::{Source, Table};
use super::{Config, EnvironmentConfig, Mistake, Mistakes, keys};
pub use proofs::{KnownCertificate, PlatformIdentity, Proofs, PublicKey};

/// The longest name of a client, in characters.
const LONGEST_NAME: usize = 100;

/// A client, as far as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What it is known by.
    pub client_id: ClientId,
    /// What people call it.
    pub name: String,
    /// All that it may be granted.
    pub scope: ScopeSet,
    /// Its plan.
    pub plan: PlanName,
    /// Limits of its own, in place of its plan's.
    pub limits: Option<Limits>,
    /// A life for its tokens, if it has its own.
    pub token_lifetime: Option<Lifetime>,
    /// Whether it may rotate its own secrets.
    pub may_rotate: bool,
    /// Whether its tokens are always bound to the key of its proofs.
    pub dpop_bound: bool,
    /// Whether its tokens are always bound to its certificate.
    pub certificate_bound: bool,
    /// What it proves itself by, beside its secrets.
    pub proofs: Proofs,
    /// Whether it may get tokens.
    pub status: Standing,
}

/// Whether a client may get tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It may.
    Active,
    /// It may not.
    Suspended,
}

/// Reads a file of clients, sorted by their ids.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn read_register(
    path: &Path,
    read: impl FnOnce(&Path) -> io::Result<String>,
    config: &Config,
    environment: &EnvironmentConfig,
) -> Result<Vec<Registered>, Mistakes> {
    let file = path.display().to_string();
    let mistakes = match read(path) {
        Ok(text) => match parse(&text, config, environment) {
            Ok(clients) => return Ok(clients),
            Err(mistakes) => mistakes,
        },
        Err(error) => vec![Mistake { place: None, words: format!("cannot be read: {error}") }],
    };
    Err(Mistakes { file, mistakes, not_done: "changed" })
}

fn parse(text: &str, config: &Config, environment: &EnvironmentConfig) -> Result<Vec<Registered>, Vec<Mistake>> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        source.note(error.span().map_or(0, |span| span.start), error.message().replace('\n', ", "));
    }
    let mut clients: Vec<Registered> = Vec::new();
    if errors.is_empty() {
        let root = Table::new(&source, &keys::REGISTER, String::new(), 0..0, root.get_ref());
        whose(&root, environment.name);
        for table in root.tables("clients", &keys::REGISTERED) {
            let Some(client) = registered(&table, config, environment) else {
                continue;
            };
            if clients.iter().any(|known| known.client_id == client.client_id) {
                table.mistake("client_id", "is in the file twice");
            }
            clients.push(client);
        }
    }
    clients.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    let mistakes = source.into_mistakes();
    if mistakes.is_empty() { Ok(clients) } else { Err(mistakes) }
}

/// A file for the other environment is never applied by mistake.
fn whose(root: &Table<'_>, expected: EnvironmentName) {
    let known = [EnvironmentName::Testing, EnvironmentName::Production];
    let named = root.required("environment", |text| known.into_iter().find(|name| name.as_str() == text));
    if let Some(named) = named.filter(|named| *named != expected) {
        root.mistake("environment", format!("the file is for {named}, and not for {expected}"));
    }
}

fn registered(table: &Table<'_>, config: &Config, environment: &EnvironmentConfig) -> Option<Registered> {
    let client_id = table.required("client_id", |text| ClientId::parse(text).ok());
    let is_name = |text: &&str| {
        let length = text.chars().count();
        (1..=LONGEST_NAME).contains(&length) && text.trim() == *text && !text.chars().any(char::is_control)
    };
    let name = table.required("name", |text| Some(text).filter(is_name).map(str::to_owned));
    let scope = table.parsed("scope", |text| ScopeSet::parse(text).ok());
    let known_plan = |text: &str| PlanName::parse(text).ok().filter(|plan| config.plans.contains_key(plan));
    let plan = table.parsed("plan", known_plan).or_else(|| PlanName::parse("standard").ok());
    let limits = table.parsed("limits", |text| Limits::parse(text).ok());
    let fits = |life: &Lifetime| *life <= environment.token_lifetime;
    let token_lifetime = table.parsed("token_lifetime", |text| Lifetime::parse(text).ok().filter(fits));
    let may_rotate = table.boolean("may_rotate").unwrap_or_default();
    let dpop_bound = table.boolean("dpop_bound_access_tokens").unwrap_or_default();
    let certificate_bound = table.boolean("tls_client_certificate_bound_access_tokens").unwrap_or_default();
    if dpop_bound && certificate_bound {
        table.mistake(
            "tls_client_certificate_bound_access_tokens",
            "tokens are bound to one thing: to a key, or to a certificate",
        );
    }
    let proofs = Proofs::read(table, environment);
    let status = table.parsed("status", |text| match text {
        "active" => Some(Standing::Active),
        "suspended" => Some(Standing::Suspended),
        _ => None,
    });
    Some(Registered {
        client_id: client_id?,
        name: name?,
        scope: scope.unwrap_or_default(),
        plan: plan?,
        limits,
        token_lifetime,
        may_rotate,
        dpop_bound,
        certificate_bound,
        proofs,
        status: status.unwrap_or(Standing::Active),
    })
}

/// The file of an environment's clients: the same text for the same clients, whatever their order.
#[must_use]
pub fn write_register(environment: EnvironmentName, clients: &[Registered]) -> String {
    let mut sorted: Vec<&Registered> = clients.iter().collect();
    sorted.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    let mut text = format!(
        "# The clients of the environment {environment}, as fuuffy export wrote them: everything but their secrets.\n\
         # fuuffy apply FILE --environment {environment} --dry-run tells what differs; without --dry-run it makes it so.\n\
         # A client that is not here is left alone, unless --prune says that it goes. Leave out token_lifetime for the\n\
         # environment's own.\n\nenvironment = \"{environment}\"\n"
    );
    for client in sorted {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        text.push_str("\n[[clients]]\n");
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{key} = {value}");
        };
        line("client_id", quoted(client.client_id.as_str()));
        line("name", quoted(&client.name));
        line("scope", quoted(&client.scope.to_string()));
        line("plan", quoted(client.plan.as_str()));
        if let Some(limits) = &client.limits {
            line("limits", quoted(&limits.to_string()));
        }
        if let Some(life) = client.token_lifetime {
            line("token_lifetime", quoted(&life.to_string()));
        }
        line("may_rotate", client.may_rotate.to_string());
        if client.dpop_bound {
            line("dpop_bound_access_tokens", client.dpop_bound.to_string());
        }
        if client.certificate_bound {
            line("tls_client_certificate_bound_access_tokens", client.certificate_bound.to_string());
        }
        client.proofs.write(&mut text);
        let status = if client.status == Standing::Active { "active" } else { "suspended" };
        let _ = writeln!(text, "status = {}", quoted(status));
    }
    text
}
