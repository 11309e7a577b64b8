//! Whose keys and tokens are believed besides our own: `[environments.….published_keys]` and
//! `[[environments.….identity_issuers]]`.

use std::path::Path;
use std::sync::Arc;

use fuuffy_domain::{Lifetime, TrustedIssuer};
use fuuffy_protocol::Identifiers;

use super::table::Table;
use super::{IdentityIssuerConfig, KeysFrom, PublishedConfig, keys};
use crate::reach::MayReach;
use crate::server::may_be_at;

/// By these a workload is told from others at issuers that everybody knows, besides by `sub`.
const OF_KNOWN: [(&str, &[&str]); 2] = [
    (
        "https://token.actions.githubusercontent.com",
        &["repository", "repository_id", "repository_owner", "repository_owner_id", "job_workflow_ref"],
    ),
    ("https://gitlab.com", &["project_path", "project_id", "namespace_path", "namespace_id"]),
];

pub(super) fn published(table: Option<&Table<'_>>, folder: &Path) -> PublishedConfig {
    PublishedConfig {
        allow_private: table.and_then(|table| table.boolean("allow_private")).unwrap_or_default(),
        ca_file: table.and_then(|table| table.parsed("ca_file", |path| (!path.is_empty()).then(|| folder.join(path)))),
    }
}

/// All that are trusted by an environment of this base URL.
pub(super) fn issuers(environment: &Table<'_>, base_url: &str, folder: &Path) -> Vec<IdentityIssuerConfig> {
    let mut all: Vec<IdentityIssuerConfig> = Vec::new();
    for table in environment.tables("identity_issuers", &keys::IDENTITY_ISSUER) {
        let Some(read) = issuer(&table, base_url, folder) else {
            continue;
        };
        if all.iter().any(|known| known.trusted.issuer == read.trusted.issuer) {
            table.mistake("issuer", "is there twice");
        }
        all.push(read);
    }
    all
}

fn issuer(table: &Table<'_>, base_url: &str, folder: &Path) -> Option<IdentityIssuerConfig> {
    let published = published(Some(table), folder);
    // The issuer itself is a name; only what is fetched must be within reach.
    let anywhere = MayReach { private: true, public: true };
    let is_issuer = |text: &&str| may_be_at(text, anywhere) && !text.contains(['?', '#']);
    let issuer = table.required("issuer", |text| Some(text).filter(is_issuer).map(str::to_owned));
    let is_text = |text: &&str| (1..=500).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let audience = table.parsed("audience", |text| Some(text).filter(is_text).map(str::to_owned));
    let may_reach = published.may_reach();
    let url = table.parsed("jwks_uri", |text| may_be_at(text, may_reach).then(|| text.to_owned()));
    let file = table.parsed("jwks_file", |path| (!path.is_empty()).then(|| folder.join(path)));
    if table.has("jwks_uri") && table.has("jwks_file") {
        table.mistake("jwks_file", "expected no jwks_uri beside it");
    }
    let name = |text: &str| match text {
        "" | "iss" | "aud" | "exp" | "nbf" | "iat" | "jti" => {
            Err("expected a claim that tells one workload from others, as in \"sub\"".to_owned())
        }
        name => Ok(name.to_owned()),
    };
    let binding = table.list("binding_claims", name);
    if binding.as_ref().is_some_and(Vec::is_empty) {
        table.wrong("binding_claims");
    }
    let longest_life = table.parsed("longest_life", |text| Lifetime::parse(text).ok());
    let issuer = issuer?;
    let trusted = TrustedIssuer {
        binding_claims: binding.unwrap_or_else(|| usual_binding_claims(&issuer)),
        issuer: Arc::from(issuer),
        audience: audience.unwrap_or_else(|| Identifiers::of(base_url).issuer().to_owned()),
        longest_life: longest_life.unwrap_or(Lifetime::DAY),
    };
    let keys = match (url, file) {
        (Some(url), _) => KeysFrom::Url(url),
        (None, Some(file)) => KeysFrom::File(file),
        (None, None) => KeysFrom::Metadata,
    };
    Some(IdentityIssuerConfig { trusted, keys, published })
}

fn usual_binding_claims(issuer: &str) -> Vec<String> {
    let known = OF_KNOWN.iter().find(|(name, _)| *name == issuer).map_or(&[][..], |(_, claims)| claims);
    std::iter::once("sub").chain(known.iter().copied()).map(str::to_owned).collect()
}
