//! What must be done for the clients to be as a file says, and how people read it. Knows no server.

use std::collections::BTreeMap;
use std::fmt;

use fuuffy_domain::ClientId;
use serde_json::{Map, Value, json};

use crate::config::{Registered, Standing};

/// One client that is not as the file says.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are few, and none of them moves often")]
pub(super) enum Step {
    /// There is none yet.
    Create(Registered),
    /// It is another one.
    Change { from: Registered, to: Registered },
    /// It is not in the file, and the file is to be all there is.
    Delete(Registered),
}

/// All that differs, and what does not.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) steps: Vec<Step>,
    pub(super) unchanged: usize,
    /// Not in the file, and left alone.
    pub(super) kept: Vec<ClientId>,
}

impl Difference {
    /// Creations first, deletions last.
    pub(super) fn between(known: Vec<Registered>, wanted: Vec<Registered>, prune: bool) -> Self {
        let mut known: BTreeMap<ClientId, Registered> =
            known.into_iter().map(|client| (client.client_id.clone(), client)).collect();
        let (mut difference, mut changes) = (Self::default(), Vec::new());
        for to in wanted {
            match known.remove(&to.client_id) {
                None => difference.steps.push(Step::Create(to)),
                Some(from) if from == to => difference.unchanged += 1,
                Some(from) => changes.push(Step::Change { from, to }),
            }
        }
        difference.steps.append(&mut changes);
        if prune {
            difference.steps.extend(known.into_values().map(Step::Delete));
        } else {
            difference.kept = known.into_keys().collect();
        }
        difference
    }

    /// Whether all of it can be done.
    ///
    /// # Errors
    /// What never changes is to be another, or something is to be made that is not known whole.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for step in &self.steps {
            let (id, new) = match step {
                Step::Create(to) => (&to.client_id, to.proofs.certificates.iter().collect()),
                Step::Change { from, to } => {
                    let new: Vec<_> = to.proofs.certificates.difference(&from.proofs.certificates).collect();
                    (&to.client_id, new)
                }
                Step::Delete(client) => (&client.client_id, Vec::new()),
            };
            if let Some(unknown) = new.into_iter().find(|certificate| certificate.to_add().is_none()) {
                anyhow::bail!(
                    "{id} is to be known by the certificate {unknown}, of which only the thumbprint is known; nothing was \
                     changed. Give the certificate itself instead: certificate, in PEM"
                );
            }
            if let Step::Change { from, to } = step
                && from.proofs.jwks_uri != to.proofs.jwks_uri
            {
                let (was, is) = (shown(&from.proofs.jwks_uri), shown(&to.proofs.jwks_uri));
                anyhow::bail!(
                    "the jwks_uri of {} is {was} and in the file {is}, and it never changes; nothing was changed. Make another \
                     client, and let the old one go once nobody uses it",
                    to.client_id
                );
            }
        }
        Ok(())
    }

    /// One line: how much of what.
    pub(super) fn summary(&self) -> String {
        let count = |wanted: fn(&Step) -> bool| self.steps.iter().filter(|step| wanted(step)).count();
        format!(
            "{} to create, {} to change, {} to delete; {} as the file says, {} not in it and left alone",
            count(|step| matches!(step, Step::Create(_))),
            count(|step| matches!(step, Step::Change { .. })),
            count(|step| matches!(step, Step::Delete(_))),
            self.unchanged,
            self.kept.len(),
        )
    }
}

impl Step {
    /// Which client.
    pub(super) fn client(&self) -> &Registered {
        match self {
            Self::Create(client) | Self::Delete(client) | Self::Change { to: client, .. } => client,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let client_id = self.client().client_id.as_str();
        match self {
            Self::Create(client) => {
                json!({"step": "create", "client_id": client_id, "to": members(client)})
            }
            Self::Change { from, to } => {
                let (from, to) = differing(from, to);
                json!({"step": "change", "client_id": client_id, "from": from, "to": to})
            }
            Self::Delete(client) => json!({"step": "delete", "client_id": client_id, "from": members(client)}),
        }
    }
}

/// The members of the operators' API, `status` among them.
pub(super) fn members(client: &Registered) -> Map<String, Value> {
    let members = [
        ("name", json!(client.name)),
        ("scope", json!(client.scope.to_string())),
        ("plan", json!(client.plan.as_str())),
        ("limits", json!(client.limits)),
        ("token_lifetime", json!(client.token_lifetime.map(|life| life.to_string()))),
        ("may_rotate", json!(client.may_rotate)),
        ("dpop_bound_access_tokens", json!(client.dpop_bound)),
        ("tls_client_certificate_bound_access_tokens", json!(client.certificate_bound)),
        ("keys", json!(client.proofs.keys)),
        ("jwks_uri", json!(client.proofs.jwks_uri)),
        ("identities", json!(client.proofs.identities)),
        ("certificates", json!(client.proofs.certificates)),
        ("status", json!(client.status)),
    ];
    members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

/// The members in which two differ, as they are in either.
pub(super) fn differing(from: &Registered, to: &Registered) -> (Map<String, Value>, Map<String, Value>) {
    let (from, to) = (members(from), members(to));
    let without = |these: &Map<String, Value>, those: &Map<String, Value>| {
        let differ = these.iter().filter(|(name, value)| those.get(*name) != Some(*value));
        differ.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    (without(&from, &to), without(&to, &from))
}

fn shown(uri: &Option<String>) -> &str {
    uri.as_deref().unwrap_or("none")
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = self.client();
        let sign = match self {
            Self::Create(_) => '+',
            Self::Change { .. } => '~',
            Self::Delete(_) => '-',
        };
        write!(f, "{sign} {} {:?}", client.client_id, client.name)?;
        match self {
            Self::Create(client) => lines(f, '+', &members(client), &Map::new()),
            Self::Change { from, to } => {
                let (from, to) = differing(from, to);
                lines(f, '-', &from, &to)?;
                lines(f, '+', &to, &from)
            }
            Self::Delete(client) if client.status == Standing::Suspended => write!(f, " (suspended)"),
            Self::Delete(_) => Ok(()),
        }
    }
}

/// The members of one side; of lists, what is not on the other one, too.
fn lines(
    f: &mut fmt::Formatter<'_>,
    sign: char,
    members: &Map<String, Value>,
    others: &Map<String, Value>,
) -> fmt::Result {
    for (name, value) in members {
        match value {
            Value::Array(items) => {
                let there = others.get(name).and_then(Value::as_array);
                for item in items.iter().filter(|item| there.is_none_or(|there| !there.contains(item))) {
                    write!(f, "\n    {sign} {name}: {item}")?;
                }
            }
            Value::Null if name == "jwks_uri" => {}
            Value::Null if name == "limits" => write!(f, "\n    {sign} {name}: the plan's")?,
            Value::Null => write!(f, "\n    {sign} {name}: the environment's")?,
            value => write!(f, "\n    {sign} {name} = {value}")?,
        }
    }
    Ok(())
}
