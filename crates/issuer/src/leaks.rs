//! Secrets and tokens where they do not belong: in a URL, from a browser, in clear, in the wrong field. Only one that is
//! right has consequences, so that nobody who merely writes something down can take it away from somebody else.

use std::sync::Arc;

use fuuffy_domain::{
    Actor, AuthenticatedClient, Cause, Client, Grade, LeakPlace, Reason, RequestContext, Secret, SecretId, Timestamp,
};
use fuuffy_protocol::{AccessToken, ClientSecret, Credentials, Refusal};
use fuuffy_store::{SecretChange, StoreError, TokenName, verify};
use http::header::{self, HeaderMap};

use crate::Issuer;
use crate::endpoint::Found;
use crate::throttle::Standing;

/// Fields that browsers set and pages cannot (Fetch Metadata). A lone `Sec-Fetch-Mode` is Node's.
const OF_BROWSERS: [&str; 3] = ["sec-fetch-site", "sec-fetch-dest", "sec-fetch-user"];

/// What was found somewhere, by its looks; whether it is right is not known yet.
#[derive(Debug)]
pub enum Stray {
    /// A secret.
    Secret(ClientSecret),
    /// A token.
    Token(AccessToken),
}

/// A right secret or token that was seen where it does not belong.
#[derive(Debug, Clone)]
pub struct Leak {
    /// Whose it is.
    pub client: Arc<Client>,
    /// Which secret it is; none where it is a token.
    pub secret: Option<SecretId>,
    /// Where it was seen.
    pub place: LeakPlace,
    /// What came of it.
    pub grade: Grade,
}

impl Issuer {
    /// Looks a find up, and where it is right does what an operator has set. A wrong one counts against the address as a
    /// wrong secret does, and where there were too many nothing is looked up.
    pub async fn look_into_stray(&self, context: &RequestContext, place: LeakPlace, stray: &Stray) -> Option<Leak> {
        if self.throttle.standing_of_address(context) != Standing::Good {
            return None;
        }
        let leak = self.look_up(context, place, stray).await;
        if leak.is_none() {
            self.throttle.note_failure_from_address(context);
        }
        leak
    }

    /// The same for what somebody reported who is known: many at a time, most of them old, and none of them guesses.
    pub async fn look_into_report(&self, context: &RequestContext, stray: &Stray) -> Option<Leak> {
        self.look_up(context, LeakPlace::Public, stray).await
    }

    async fn look_up(&self, context: &RequestContext, place: LeakPlace, stray: &Stray) -> Option<Leak> {
        match stray {
            Stray::Secret(secret) => {
                let known = self.holder_of(secret, context.now)?;
                self.leaked_secret(context, place, &known).await
            }
            Stray::Token(token) => self.leaked_token(context, place, token).await,
        }
    }

    /// Whose secret it is, where nobody says so.
    fn holder_of(&self, secret: &ClientSecret, now: Timestamp) -> Option<AuthenticatedClient> {
        let digests = self.keyring.secret_digests(secret);
        let client = self.store.directory().find_by_secret(&digests);
        Client::authenticate(client.as_ref(), &digests, now).ok()
    }

    /// Does what is to be done about a right secret that a browser sent, and refuses it where it is of no use any more.
    ///
    /// # Errors
    /// It is quarantined or retired now.
    pub(crate) async fn refuse_browser(
        &self,
        context: &RequestContext,
        headers: &HeaderMap,
        (known, claimed): (&AuthenticatedClient, &Credentials),
        found: &mut Found,
    ) -> Result<(), Refusal> {
        if !is_of_browser(headers) {
            return Ok(());
        }
        let leak = self.leaked_secret(context, LeakPlace::Browser, known).await;
        let Some((leak, secret_id)) = leak.and_then(|leak| Some((leak.clone(), leak.secret?))) else {
            return Ok(());
        };
        let grade = leak.grade;
        found.leak = Some(leak);
        let (refusal, reason) = match grade {
            Grade::Warn => return Ok(()),
            Grade::Quarantine => (Refusal::SecretQuarantined, Reason::SecretQuarantined { secret_id }),
            Grade::Revoke => (Refusal::InvalidClient(Some(claimed.method)), Reason::SecretRetired { secret_id }),
        };
        found.reason = Some((Some(known.client().id.clone()), reason));
        Err(refusal)
    }

    /// Does to a secret what is to be done, if it was one that was presented.
    async fn leaked_secret(
        &self,
        context: &RequestContext,
        place: LeakPlace,
        known: &AuthenticatedClient,
    ) -> Option<Leak> {
        let (client, secret, grade) = (Arc::clone(known.client()), known.secret()?, self.leak_grades.of_secret(place));
        let stands = client.secrets.iter().find(|it| it.id == *secret);
        let is_done = stands.is_some_and(|secret: &Secret| match grade {
            Grade::Warn => secret.exposed_at.is_some(),
            Grade::Quarantine => secret.quarantined_at.is_some(),
            Grade::Revoke => secret.retired_at.is_some(),
        });
        if !is_done {
            let change = match grade {
                Grade::Warn => SecretChange::Expose,
                Grade::Quarantine => SecretChange::Quarantine,
                Grade::Revoke => SecretChange::Retire,
            };
            let of = (client.id.clone(), secret.clone());
            let changed = self.store.change_secret(cause(context, place), of, None, change).await;
            tell_failure(context, changed.err());
        }
        Some(Leak { secret: Some(secret.clone()), client, place, grade })
    }

    async fn leaked_token(&self, context: &RequestContext, place: LeakPlace, token: &AccessToken) -> Option<Leak> {
        let verified = verify(&*self.store, &self.keyring, token, context.now).ok()?;
        let grade = self.leak_grades.of_token(place);
        if grade > Grade::Warn {
            let name = TokenName::Digests(self.keyring.token_digests(token).collect());
            let revoked = self.store.revoke_token(cause(context, place), name).await;
            tell_failure(context, revoked.err());
        }
        Some(Leak { client: Arc::clone(verified.client()), secret: None, place, grade })
    }
}

/// Whether a browser sent a request, by what no page can leave out. A `User-Agent` says nothing: programs choose it.
fn is_of_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || OF_BROWSERS.into_iter().any(|name| headers.contains_key(name))
}

fn cause(context: &RequestContext, place: LeakPlace) -> Cause {
    let why = Some(format!("it {}", place.words()));
    Cause { actor: Actor::Server, from: Some(context.peer), request: context.id, at: context.now, why }
}

fn tell_failure(context: &RequestContext, error: Option<StoreError>) {
    if let Some(error) = error {
        tracing::error!(request_id = %context.id, %error, "What was leaked could not be marked or taken away");
    }
}
