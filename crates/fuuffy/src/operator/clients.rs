//! `fuuffy clients`

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use fuuffy_domain::{Lifetime, Limits};
use fuuffy_protocol::ScopeSet;
use http::Method;
use serde_json::{Map, json};

use super::client_certificates::{CertificatesArgs, Name};
use super::client_keys::{KeysArgs, public_key};
use super::identities::{IdentitiesArgs, MaybeRules};
use super::{Call, Care, Common, InEnvironment, Shape, Why, run, segment};

/// `fuuffy clients`
#[derive(Debug, Args)]
pub struct ClientsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Args)]
struct OneClient {
    #[command(flatten)]
    place: InEnvironment,
    /// The client's id.
    client_id: String,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// Register a client and show its first secret, once; or with a public key, an identity or a certificate, and then there
    /// is no secret.
    Create {
        #[command(flatten)]
        place: InEnvironment,
        /// What people call it.
        #[arg(long)]
        name: String,
        /// All that it may be granted, as in "orders:read orders:write".
        #[arg(long, value_parser = scope)]
        scope: Option<ScopeSet>,
        /// A plan of the configuration.
        #[arg(long)]
        plan: Option<String>,
        /// A life for its tokens shorter than the environment's, as in 15m.
        #[arg(long, value_name = "LIFE", value_parser = lifetime)]
        token_lifetime: Option<Lifetime>,
        /// Let it rotate its own secrets.
        #[arg(long)]
        allow_rotation: bool,
        /// Bind all its tokens to the key of its DPoP proofs, so that none works without.
        #[arg(long)]
        dpop: bool,
        /// Bind all its tokens to the certificate that it requests them with, so that none works without.
        #[arg(long, conflicts_with = "dpop")]
        certificate_bound: bool,
        /// A file with its public key as a JWK, or - for standard input: it proves itself by that, without a secret.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["jwks_uri", "issuer", "rule"])]
        jwk: Option<String>,
        /// A URL at which it publishes its keys: it proves itself by those, without a secret. The URL never changes.
        #[arg(long, value_name = "URL", conflicts_with_all = ["issuer", "rule"])]
        jwks_uri: Option<String>,
        #[command(flatten)]
        identity: MaybeRules,
        #[command(flatten)]
        known_by: Name,
        /// A file with its certificate in PEM: it proves itself by exactly that, without a secret.
        #[arg(long, value_name = "FILE", group = "rule", conflicts_with = "issuer")]
        certificate: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
    /// Change what is known of a client.
    Update {
        #[command(flatten)]
        one: OneClient,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
        /// All that it may be granted. Taking a scope away revokes its tokens.
        #[arg(long, value_parser = scope)]
        scope: Option<ScopeSet>,
        /// A plan of the configuration.
        #[arg(long)]
        plan: Option<String>,
        /// Limits of its own, as in "200/min 5000/h", or "default" for its plan's.
        #[arg(long, value_parser = limits_or_default)]
        limits: Option<Own>,
        /// A life for its tokens, or "default" for the environment's.
        #[arg(long, value_name = "LIFE", value_parser = lifetime_or_default)]
        token_lifetime: Option<Life>,
        /// Whether it may rotate its own secrets.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        allow_rotation: Option<bool>,
        /// Whether all its tokens are bound to the key of its DPoP proofs. Asking for that revokes its tokens.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        dpop: Option<bool>,
        /// Whether all its tokens are bound to the certificate that it requests them with. Asking for that revokes its tokens.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        certificate_bound: Option<bool>,
    },
    /// List all clients.
    List {
        #[command(flatten)]
        place: InEnvironment,
    },
    /// Show one client.
    Show(OneClient),
    /// Refuse a client tokens, and all tokens that it has.
    Suspend(OneClient),
    /// Let a suspended client get tokens again.
    Resume(OneClient),
    /// Remove a client with its secrets, keys and tokens, for good.
    Delete(OneClient),
    /// Add, list and remove the public keys of a client.
    Keys(KeysArgs),
    /// Bind a client to what a platform's own token says of it, so that it needs no secret.
    Identities(IdentitiesArgs),
    /// Have a client known by the certificate of its connection, so that it needs no secret.
    Certificates(CertificatesArgs),
}

/// Limits, as an operator changes them.
#[derive(Debug, Clone)]
enum Own {
    Default,
    Of(Limits),
}

/// A life for tokens, as an operator changes it.
#[derive(Debug, Clone, Copy)]
enum Life {
    Default,
    Of(Lifetime),
}

pub(super) const CLIENT_COLUMNS: &[&str] = &["client_id", "name", "status", "scope", "plan", "created_at"];

/// Runs a `clients` command.
///
/// # Errors
/// The server or the data directory could not be reached, a file has no public key or certificate, or writing failed.
pub async fn clients(args: ClientsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    use ClientsCommand as C;
    let (place, call) = match args.command {
        C::Create {
            place,
            name,
            scope,
            plan,
            token_lifetime,
            allow_rotation,
            dpop,
            certificate_bound,
            jwk,
            jwks_uri,
            identity,
            known_by,
            certificate,
            why,
        } => {
            let mut body = json!({
                "name": name,
                "scope": scope.map(|scope| scope.to_string()),
                "plan": plan,
                "token_lifetime": token_lifetime.map(|life| life.to_string()),
                "may_rotate": allow_rotation,
                "dpop_bound_access_tokens": dpop,
                "tls_client_certificate_bound_access_tokens": certificate_bound,
            });
            if let Some(file) = jwk {
                body["jwk"] = public_key(&file)?;
            }
            if let Some(uri) = jwks_uri {
                body["jwks_uri"] = uri.into();
            }
            if let Some(rules) = identity.body() {
                body["identity"] = rules;
            }
            if let Some(rule) = known_by.body(certificate.as_deref())? {
                body["certificate"] = rule;
            }
            (place, Call::create("clients".to_owned(), body, why))
        }
        C::Update { one, name, scope, plan, limits, token_lifetime, allow_rotation, dpop, certificate_bound } => {
            let life = token_lifetime.map(|life| match life {
                Life::Default => json!(null),
                Life::Of(life) => json!(life.to_string()),
            });
            let limits = limits.map(|own| match own {
                Own::Default => json!(null),
                Own::Of(limits) => json!(limits),
            });
            let members = [
                ("name", name.map(|name| json!(name))),
                ("scope", scope.map(|scope| json!(scope.to_string()))),
                ("plan", plan.map(|plan| json!(plan))),
                ("limits", limits),
                ("token_lifetime", life),
                ("may_rotate", allow_rotation.map(|may| json!(may))),
                ("dpop_bound_access_tokens", dpop.map(|bound| json!(bound))),
                ("tls_client_certificate_bound_access_tokens", certificate_bound.map(|bound| json!(bound))),
            ];
            let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            let (place, call) = deed(one, "");
            let body = Some(given.collect::<Map<_, _>>().into());
            (place, Call { method: Method::PATCH, body, care: Care::ChangesWhatWasSeen, ..call })
        }
        C::List { place } => (place, Call::get("clients".to_owned(), Shape::Pages(CLIENT_COLUMNS))),
        C::Show(one) => {
            let path = format!("clients/{}", segment(&one.client_id));
            (one.place, Call::get(path, Shape::Pairs))
        }
        C::Suspend(one) => deed(one, "/suspend"),
        C::Resume(one) => deed(one, "/resume"),
        C::Delete(one) => {
            let (place, call) = deed(one, "");
            (place, Call { method: Method::DELETE, ..call })
        }
        C::Keys(args) => args.call()?,
        C::Identities(args) => args.call(),
        C::Certificates(args) => args.call()?,
    };
    run(&args.common, place.environment, call, out, err).await
}

fn deed(one: OneClient, name: &str) -> (InEnvironment, Call) {
    let path = format!("clients/{}{name}", segment(&one.client_id));
    (one.place, Call::post(path, None, one.why))
}

pub(super) fn scope(text: &str) -> Result<ScopeSet, String> {
    ScopeSet::parse(text).map_err(|fault| fault.to_string())
}

pub(super) fn lifetime(text: &str) -> Result<Lifetime, String> {
    Lifetime::parse(text).map_err(|fault| fault.to_string())
}

fn limits_or_default(text: &str) -> Result<Own, String> {
    if text == "default" {
        return Ok(Own::Default);
    }
    Limits::parse(text).map(Own::Of).map_err(|fault| fault.to_string())
}

fn lifetime_or_default(text: &str) -> Result<Life, String> {
    if text == "default" { Ok(Life::Default) } else { lifetime(text).map(Life::Of) }
}
