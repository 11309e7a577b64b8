//! One order, from the account to the certificate (RFC 8555 §7.4). JOSE and the protocol are instant-acme's.

use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuuffy_store::embedded::AcmeItem;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, ExternalAccountKey, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::challenges::Challenges;
use super::http::Http;
use super::shelf::Shelf;
use crate::config::{AcmeConfig, ChallengeKind};
use crate::server::private_file;

/// What is said of an environment whose store is full, say.
const NOT_KEPT: &str = "The account with the authority for certificates could not be kept";
/// How long the authority may take to look at challenges, and then to sign.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));
/// What an authority says of an account that it does not know (any more).
const NO_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// What it says of one that was given up (RFC 8555 §7.3.6).
const GIVEN_UP: &str = "urn:ietf:params:acme:error:unauthorized";

/// What an order takes.
pub(super) struct Authority<'a> {
    pub(super) config: &'a AcmeConfig,
    pub(super) http: &'a Http,
    /// Of all environments that it gives certificates to: they have one account.
    pub(super) shelves: &'a [Shelf<'a>],
    pub(super) challenges: &'a Challenges,
}

/// The account as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    contact: Vec<String>,
    credentials: AccountCredentials,
}

impl Authority<'_> {
    /// A certificate for these names, and those between it and the authority, behind their key; in PEM.
    pub(super) async fn order(&self, names: &[String]) -> anyhow::Result<Zeroizing<String>> {
        let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
        let mut order = match begin(self.account().await, &identifiers).await {
            // An account that the authority has forgotten is made anew, once.
            Err(error) if is_unknown(&error) => begin(self.new_account().await, &identifiers).await?,
            begun => begun?,
        };
        self.answer_challenges(&mut order).await?;
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {}
            ended => {
                let why = refusals(&mut order).await;
                let ended =
                    ended.err().map_or_else(|| "the names were not found to be ours".to_owned(), |it| words(&it));
                bail!("{}", if why.is_empty() { ended } else { why.join("; ") });
            }
        }
        let mut pem = Zeroizing::new(order.finalize().await.context("the request for the certificate was not taken")?);
        let chain = order.poll_certificate(&PATIENCE).await.context("the certificate did not come")?;
        pem.push_str(&chain);
        Ok(pem)
    }

    async fn account(&self) -> anyhow::Result<Account> {
        let Some(mut kept) = self.kept_account().await else {
            return self.new_account().await;
        };
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let credentials: AccountCredentials = copy(&kept.credentials)?;
        let account = builder.from_credentials(credentials).await.context("the authority cannot be reached")?;
        let contact = self.contact();
        if kept.contact != contact {
            let urls: Vec<&str> = contact.iter().map(String::as_str).collect();
            account.update_contacts(&urls).await.context("the account's contact could not be changed")?;
            kept.contact = contact;
            self.keep(&kept).await?;
        }
        Ok(account)
    }

    async fn new_account(&self) -> anyhow::Result<Account> {
        let contact = self.contact();
        let urls: Vec<&str> = contact.iter().map(String::as_str).collect();
        let builder = Account::builder_with_http(Box::new(self.http.clone()));
        let new = NewAccount { contact: &urls, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.external_account()?;
        let made = builder.create(&new, self.config.directory.clone(), external.as_ref()).await;
        let (account, credentials) = made.context("there is no account with the authority")?;
        self.keep(&Kept { contact, credentials }).await?;
        Ok(account)
    }

    fn contact(&self) -> Vec<String> {
        self.config.contact.iter().map(|address| format!("mailto:{address}")).collect()
    }

    /// As the first environment has it that has it. Those that lack it, being new or restored, get it from there: one of
    /// them may be the last.
    async fn kept_account(&self) -> Option<Kept> {
        let (mut found, mut lacking) = (None, Vec::new());
        for shelf in self.shelves {
            let read = shelf.read(AcmeItem::Account).await.and_then(|text| match text {
                Some(text) => Ok(Some((serde_json::from_str(&text)?, text))),
                None => Ok(None),
            });
            match read {
                Ok(Some(account)) => found = found.or(Some(account)),
                Ok(None) => lacking.push(shelf),
                Err(error) => {
                    shelf.tell("The account with the authority for certificates cannot be read", &error);
                    lacking.push(shelf);
                }
            }
        }
        let (account, text) = found?;
        for shelf in lacking {
            if let Err(error) = shelf.keep(&[(AcmeItem::Account, &text)]).await {
                shelf.tell(NOT_KEPT, &error);
            }
        }
        Some(account)
    }

    /// In all environments, as far as they can: in one it must be.
    async fn keep(&self, kept: &Kept) -> anyhow::Result<()> {
        let text = Zeroizing::new(serde_json::to_string(kept)?);
        let (mut is_kept, mut last) = (false, None);
        for shelf in self.shelves {
            match shelf.keep(&[(AcmeItem::Account, &text)]).await {
                Ok(()) => is_kept = true,
                Err(error) => {
                    shelf.tell(NOT_KEPT, &error);
                    last = Some(error);
                }
            }
        }
        last.filter(|_| !is_kept).map_or(Ok(()), Err)
    }

    fn external_account(&self) -> anyhow::Result<Option<ExternalAccountKey>> {
        let Some((id, file)) = &self.config.external_account else {
            return Ok(None);
        };
        let key = private_file::read(file).context("acme.eab_key_file")?;
        let key = key.strip_suffix(b"=").unwrap_or(&key);
        let key = URL_SAFE_NO_PAD.decode(key).map(Zeroizing::new);
        let key = key.ok().with_context(|| format!("acme.eab_key_file: {} holds no base64url", file.display()))?;
        Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
    }

    /// Puts up what the authority is to find, and lets it look. What it found before is not looked for again.
    async fn answer_challenges(&self, order: &mut Order) -> anyhow::Result<()> {
        let kind = match self.config.challenge {
            ChallengeKind::Http01 { .. } => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.context("an authorization cannot be read")?;
            let name = authorization.identifier().to_string();
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                status => bail!("{name}: the authorization is {status:?}"),
            }
            let Some(mut challenge) = authorization.challenge(kind.clone()) else {
                bail!("{name}: the authority offers no {}", self.config.challenge.name());
            };
            let proof = challenge.key_authorization();
            match self.config.challenge {
                ChallengeKind::Http01 { .. } => self.challenges.put_by_http(&challenge.token, &proof),
                ChallengeKind::TlsAlpn01 => self.challenges.put_by_handshake(&name, &proof)?,
            }
            challenge.set_ready().await.with_context(|| name.clone())?;
        }
        Ok(())
    }
}

async fn begin(account: anyhow::Result<Account>, identifiers: &[Identifier]) -> anyhow::Result<Order> {
    account?.new_order(&NewOrder::new(identifiers)).await.context("the order was not taken")
}

/// Whether the authority does not know the account, or not any more.
fn is_unknown(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref().and_then(|error| match error {
        Error::Api(problem) => problem.r#type.as_deref(),
        _ => None,
    });
    kind.is_some_and(|kind| [NO_ACCOUNT, GIVEN_UP].contains(&kind))
}

/// Which names were not found to be ours, and why.
async fn refusals(order: &mut Order) -> Vec<String> {
    let mut said = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        // What cannot be asked for again is not known.
        let _ = authorization.refresh().await;
        let name = authorization.identifier().to_string();
        let problems = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        said.extend(problems.map(|problem| format!("{name}: {}", problem_words(problem))));
    }
    said
}

fn problem_words(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()).unwrap_or("refused");
    match &problem.detail {
        Some(detail) => format!("{kind}: {detail}"),
        None => kind.to_owned(),
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Api(problem) => problem_words(problem),
        other => other.to_string(),
    }
}

/// The library takes credentials away from whoever uses them.
fn copy(credentials: &AccountCredentials) -> anyhow::Result<AccountCredentials> {
    let text = Zeroizing::new(serde_json::to_string(credentials)?);
    Ok(serde_json::from_str(&text)?)
}
