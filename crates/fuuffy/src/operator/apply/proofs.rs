//! What clients prove themselves by without a secret, by the operators' API: listed with the ids that it has there, and
//! brought from what is to what a file says.

use std::collections::BTreeSet;

use anyhow::Context as _;
use fuuffy_domain::{MAX_CERTIFICATES, MAX_CLIENT_KEYS, MAX_IDENTITIES};
use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Desk;
use crate::config::{KnownCertificate, PlatformIdentity, Proofs, PublicKey};
use crate::operator::segment;
use crate::operator::transport::On;

/// Members of a client that are no members of its patch.
pub(super) const LISTS: [&str; 4] = ["keys", "jwks_uri", "identities", "certificates"];

/// One that is registered, and by which id.
pub(super) struct Known<T> {
    id: String,
    pub(super) proof: T,
}

/// A call that brings a client's proofs nearer to what they should be.
pub(super) struct Deed {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

#[derive(Deserialize)]
struct ShownKey {
    key_id: String,
    kid: Option<String>,
    jwk: PublicKey,
}

#[derive(Deserialize)]
struct ShownIdentity {
    identity_id: String,
    #[serde(flatten)]
    identity: PlatformIdentity,
}

#[derive(Deserialize)]
struct ShownCertificate {
    certificate_id: String,
    kind: String,
    value: String,
}

/// The registered keys of the client at `path`.
pub(super) async fn keys(desk: &Desk, path: &str) -> anyhow::Result<Vec<Known<PublicKey>>> {
    let listed: Vec<ShownKey> = list(desk, &format!("{path}/keys")).await?;
    let known = |ShownKey { key_id, kid, jwk }| Known { id: key_id, proof: PublicKey { kid, ..jwk } };
    Ok(listed.into_iter().map(known).collect())
}

/// The identities of the client at `path`.
pub(super) async fn identities(desk: &Desk, path: &str) -> anyhow::Result<Vec<Known<PlatformIdentity>>> {
    let listed: Vec<ShownIdentity> = list(desk, &format!("{path}/identities")).await?;
    let known = |ShownIdentity { identity_id, identity }| Known { id: identity_id, proof: identity };
    Ok(listed.into_iter().map(known).collect())
}

/// The certificates that the client at `path` is known by.
pub(super) async fn certificates(desk: &Desk, path: &str) -> anyhow::Result<Vec<Known<KnownCertificate>>> {
    let listed: Vec<ShownCertificate> = list(desk, &format!("{path}/certificates")).await?;
    let known = |ShownCertificate { certificate_id, kind, value }| Known {
        id: certificate_id,
        proof: KnownCertificate::listed(kind, value),
    };
    Ok(listed.into_iter().map(known).collect())
}

async fn list<T: DeserializeOwned>(desk: &Desk, path: &str) -> anyhow::Result<Vec<T>> {
    let mut answer = desk.call(Method::GET, path, None, On::default()).await?;
    serde_json::from_value(answer.body["data"].take())
        .with_context(|| format!("{path} does not show what was expected"))
}

/// Leaves of a new client's proofs the one that it is made with, for the API takes one and no secret then.
pub(super) fn first_of(body: &mut Map<String, Value>, proofs: &Proofs) {
    let mut taken = LISTS.map(|name| body.remove(name).unwrap_or_default());
    let [keys, jwks_uri, identities, _] = &mut taken;
    if jwks_uri.is_string() {
        body.insert("jwks_uri".to_owned(), jwks_uri.take());
    } else if let Some(key) = keys.get_mut(0) {
        body.insert("jwk".to_owned(), key.take());
    } else if let Some(identity) = identities.get_mut(0) {
        body.insert("identity".to_owned(), identity.take());
    } else if let Some(certificate) = proofs.certificates.first().and_then(KnownCertificate::to_add) {
        body.insert("certificate".to_owned(), certificate);
    }
}

/// All that is to be done, in an order in which it can be.
pub(super) async fn deeds(desk: &Desk, path: &str, (from, to): (&Proofs, &Proofs)) -> anyhow::Result<Vec<Deed>> {
    let mut deeds = Vec::new();
    if from.keys != to.keys {
        let known = if from.keys.is_empty() { Vec::new() } else { keys(desk, path).await? };
        let collide =
            |one: &PublicKey, other: &PublicKey| one.is_the_key(other) || one.kid.is_some() && one.kid == other.kid;
        deeds.extend(replace(
            &format!("{path}/keys"),
            (known, &to.keys, MAX_CLIENT_KEYS),
            collide,
            |key| json!({"jwk": key}),
        ));
    }
    if from.identities != to.identities {
        let known = if from.identities.is_empty() { Vec::new() } else { identities(desk, path).await? };
        let place = format!("{path}/identities");
        deeds.extend(replace(
            &place,
            (known, &to.identities, MAX_IDENTITIES),
            |_, _| false,
            |identity| json!(identity),
        ));
    }
    if from.certificates != to.certificates {
        let known = if from.certificates.is_empty() { Vec::new() } else { certificates(desk, path).await? };
        let place = format!("{path}/certificates");
        let body = |certificate: &KnownCertificate| certificate.to_add().unwrap_or_default();
        deeds.extend(replace(&place, (known, &to.certificates, MAX_CERTIFICATES), |_, _| false, body));
    }
    Ok(deeds)
}

/// New ones come before old ones go, so that the client is known by one all the while; but what stands in the way of a new
/// one goes first, and where there may be no more of them, one for one.
fn replace<T: Ord>(
    place: &str,
    (known, wanted, most): (Vec<Known<T>>, &BTreeSet<T>, usize),
    collide: impl Fn(&T, &T) -> bool,
    body: impl Fn(&T) -> Value,
) -> Vec<Deed> {
    let remove =
        |known: &Known<T>| Deed { method: Method::DELETE, path: format!("{place}/{}", segment(&known.id)), body: None };
    let (stay, go): (Vec<_>, Vec<_>) = known.into_iter().partition(|known| wanted.contains(&known.proof));
    let new: Vec<&T> = wanted.iter().filter(|wanted| stay.iter().all(|known| known.proof != **wanted)).collect();
    let (first, later): (Vec<_>, Vec<_>) =
        go.iter().partition(|known| new.iter().any(|new| collide(&known.proof, new)));
    let mut deeds: Vec<Deed> = first.into_iter().map(remove).collect();
    let mut later = later.into_iter();
    let mut count = stay.len() + later.len();
    for new in new {
        if count >= most
            && let Some(old) = later.next()
        {
            deeds.push(remove(old));
            count -= 1;
        }
        deeds.push(Deed { method: Method::POST, path: place.to_owned(), body: Some(body(new)) });
        count += 1;
    }
    deeds.extend(later.map(remove));
    deeds
}
