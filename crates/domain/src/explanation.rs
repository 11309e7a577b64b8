//! Why a request was refused, for its operator and its own client: more than the public answer says, and never a
//! token, a secret, a query or a body.

mod problem;

use std::net::IpAddr;

use fuuffy_protocol::{ProofFault, Refusal, TokenFlaw};
use serde::{Deserialize, Serialize};

use crate::{
    AssertionFault, CertificateFault, ClientId, IdentityFault, KeySetFault, RequestContext, RequestId, SecretId,
    Timestamp,
};

pub use problem::{StoreProblem, UpstreamProblem};

/// So much of a path is kept, in bytes.
const LONGEST_PATH: usize = 256;

/// The reason, where there is more to say than the public answer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// What the public answer says is all there is.
    Told,
    /// The token's life was over.
    TokenExpired {
        /// Since when, in milliseconds since the Unix epoch.
        at: i64,
    },
    /// The token was revoked alone.
    TokenRevoked {
        /// When it would have expired, in milliseconds since the Unix epoch: by that its revocation is found.
        expires_at: i64,
    },
    /// All tokens of its client were revoked since it was issued.
    TokensRevoked {
        /// The client's generation in which it was issued.
        generation: u32,
    },
    /// Its client is suspended or deleted.
    ClientStopped {
        /// The client's generation when this was seen.
        generation: u32,
    },
    /// Nobody knows the token in this environment.
    TokenUnknown,
    /// It was no token.
    TokenMalformed(TokenFlaw),
    /// The token lacks scopes.
    ScopeMissing {
        /// What the route asks for.
        needed: String,
        /// What the token has.
        has: String,
    },
    /// The client's plan allows no more for now.
    Limited {
        /// The window that is used up, as the plan writes it.
        window: String,
        /// When it starts anew, in milliseconds since the Unix epoch.
        until: i64,
        /// The client's plan; none where the limit is its own.
        plan: Option<String>,
    },
    /// The client had as many requests under way as its plan allows.
    AtOnce {
        /// How many.
        most: u32,
        /// The client's plan.
        plan: String,
    },
    /// As many requests waited for the API as it can answer in time.
    Overloaded {
        /// How many.
        limit: u32,
    },
    /// Too many tokens were asked for lately.
    TokensLimited {
        /// The window that is used up, as the configuration writes it.
        window: String,
        /// When it starts anew, in milliseconds since the Unix epoch.
        until: i64,
        /// Whether it is what all clients at one address share, and not the client's own.
        by_address: bool,
    },
    /// The API behind the gateway failed.
    Upstream {
        /// Which.
        upstream: String,
        /// How.
        problem: UpstreamProblem,
    },
    /// There is no client of the id that was claimed.
    ClientUnknown,
    /// The secret is none of the client's.
    SecretWrong {
        /// Whether it is one of the other environment, by its looks.
        is_of_other_environment: bool,
    },
    /// The secret works no more.
    SecretRetired {
        /// Which.
        secret_id: SecretId,
    },
    /// The secret can do nothing any more but replace itself.
    SecretQuarantined {
        /// Which.
        secret_id: SecretId,
    },
    /// The request came in clear, and a right secret or token of the client's with it.
    LeakedInClear {
        /// Which secret it was; none where it was a token.
        secret_id: Option<SecretId>,
    },
    /// The secret's time was over.
    SecretExpired {
        /// Which.
        secret_id: SecretId,
    },
    /// The client's assertion was refused.
    AssertionRefused {
        /// Why.
        fault: AssertionFault,
    },
    /// The keys that the client publishes could not be used, and none was known that would have done.
    KeysUnusable {
        /// Why not.
        fault: KeySetFault,
    },
    /// A platform's token was refused.
    IdentityRefused {
        /// Why.
        fault: IdentityFault,
    },
    /// A platform's keys could not be used, and none was known that would have done.
    IssuerUnusable {
        /// Whose.
        issuer: String,
        /// Why not.
        fault: KeySetFault,
    },
    /// A platform's token was a right one, and the client that was claimed is not bound to what it says.
    IdentityUnbound {
        /// Whose token.
        issuer: String,
        /// Whom it was about.
        subject: String,
    },
    /// A client certificate was refused, or there was none.
    CertificateRefused {
        /// Why.
        fault: CertificateFault,
    },
    /// The client that was claimed is not known by the certificate that was shown.
    CertificateUnbound {
        /// Whose certificate, by its subject.
        subject: String,
        /// Whether an authority that is configured has signed it.
        is_trusted: bool,
    },
    /// The proof that a key is held was refused, or there was none.
    ProofRefused {
        /// Why.
        fault: ProofFault,
    },
    /// Too many wrong credentials lately.
    Throttled {
        /// The client that was claimed, if there is one of that id. Nothing proves that it was this one.
        claimed: Option<ClientId>,
        /// Whether there were too many for the claimed id.
        by_client: bool,
        /// Whether there were too many from the address.
        by_address: bool,
    },
    /// The client is suspended.
    ClientSuspended {
        /// The client's generation when this was seen.
        generation: u32,
    },
    /// The client may not rotate its own secrets.
    MayNotRotate,
    /// A scope that the client may not have.
    ScopeNotAllowed {
        /// All that it may have. What it asked for may be anything, and is not kept.
        may: String,
    },
    /// A drill that the client set.
    Drill,
    /// The client had asked for the reasons of too many refusals.
    AskedTooOften {
        /// How many it may ask for within a minute.
        most: u32,
    },
    /// What was to be answered could not be written down.
    StoreFailed {
        /// Why not.
        problem: StoreProblem,
    },
}

/// Whom an explanation is for. A client is told nothing of what stands behind the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever runs the gateway.
    Operator,
    /// The client whose request was refused.
    Client,
}

/// A refusal on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The request.
    pub request: RequestId,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub peer: IpAddr,
    /// Whose request it was, if that is known: by a secret that was right, or by a token that was once granted.
    pub client: Option<ClientId>,
    /// Its method.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The code of the answer.
    pub code: String,
    /// What the answer said.
    pub message: String,
    /// What it said to do.
    pub details: String,
    /// Why.
    pub reason: Reason,
}

/// So many bytes at most of a text from outside, without what looks like a token or a secret.
#[must_use]
pub fn shown(text: &str, longest: usize) -> String {
    let cut = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    without_secrets(&text[..cut])
}

/// A path without what looks like a token or a secret, wherever somebody put it and however often it is escaped.
fn without_secrets(path: &str) -> String {
    let looks_secret = |text: &[u8]| text.windows(3).any(|it| it == b"sk-") || text.windows(4).any(|it| it == b"fsk_");
    let is_secret = |segment: &str| {
        let mut text = segment.to_ascii_lowercase().into_bytes();
        loop {
            if looks_secret(&text) {
                return true;
            }
            let decoded = unescaped(&text);
            if decoded.len() == text.len() {
                return false;
            }
            text = decoded;
        }
    };
    let shown = |segment| if is_secret(segment) { "…" } else { segment };
    path.split('/').map(shown).collect::<Vec<_>>().join("/")
}

/// Text with its percent signs resolved once (RFC 3986 §2.1), in small letters.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let escaped = |at: usize| Some(digit(*text.get(at + 1)?)? << 4 | digit(*text.get(at + 2)?)?);
    let (mut at, mut decoded) = (0, Vec::with_capacity(text.len()));
    while let Some(&byte) = text.get(at) {
        let hidden = if byte == b'%' { escaped(at) } else { None };
        decoded.push(hidden.unwrap_or(byte).to_ascii_lowercase());
        at += if hidden.is_some() { 3 } else { 1 };
    }
    decoded
}

impl Refused {
    /// A record of what is known when a request is refused.
    #[must_use]
    pub fn new(context: &RequestContext, (method, path): (&str, &str), refusal: &Refusal, reason: Reason) -> Self {
        Self {
            request: context.id,
            at: context.now,
            peer: context.peer,
            client: None,
            method: method.chars().take(16).collect(),
            path: shown(path, LONGEST_PATH),
            status: refusal.status().as_u16(),
            code: refusal.code().to_owned(),
            message: refusal.message().to_owned(),
            details: refusal.details().to_owned(),
            reason,
        }
    }

    /// What happened, in a sentence.
    #[must_use]
    pub fn happened(&self, to: Audience) -> String {
        match &self.reason {
            Reason::Told => self.message.clone(),
            Reason::TokenExpired { at } => {
                let ago = self.at.since(Timestamp::from_unix_millis(*at)).as_secs();
                format!("The token had expired {ago} s before")
            }
            Reason::TokenRevoked { .. } => "The token had been revoked".to_owned(),
            Reason::TokensRevoked { .. } => {
                "All tokens of the client had been revoked since this one was issued".to_owned()
            }
            Reason::ClientStopped { .. } => {
                "The client is suspended or was deleted, and its tokens were revoked".to_owned()
            }
            Reason::TokenUnknown => {
                "Nobody knows the token here: it expired more than an hour ago, was revoked, is of the other environment, or never was one"
                    .to_owned()
            }
            Reason::TokenMalformed(flaw) => flaw.words().0.to_owned(),
            Reason::ScopeMissing { needed, has } => {
                format!("The route needs the scope {needed:?}, and the token has {has:?}")
            }
            Reason::Limited { window, until, plan } => {
                let until = Timestamp::from_unix_millis(*until);
                let of = plan.as_ref().map_or("its own limits".to_owned(), |plan| format!("its plan {plan:?}"));
                format!("The client had used up {window} of {of}, until {until}")
            }
            Reason::AtOnce { most, plan } => {
                format!("The client had {most} requests under way, and its plan {plan:?} allows no more at once")
            }
            Reason::Overloaded { limit } => {
                format!("As many requests to the route were waiting for an answer as the API can answer in time: {limit}")
            }
            Reason::TokensLimited { window, until, by_address } => {
                let until = Timestamp::from_unix_millis(*until);
                let who = if *by_address { format!("The clients at {} had", self.peer) } else { "The client had".to_owned() };
                format!("{who} asked for as many tokens as {window} allows, until {until}")
            }
            Reason::Upstream { upstream, problem } => match to {
                Audience::Operator => problem.of(&format!("the upstream {upstream}")),
                Audience::Client => problem.of("the API behind the gateway"),
            },
            Reason::ClientUnknown => "There is no client of that id in this environment".to_owned(),
            Reason::SecretWrong { is_of_other_environment: true } => {
                "The secret looks like one of the other environment".to_owned()
            }
            Reason::SecretWrong { is_of_other_environment: false } => "The secret is none of that client's".to_owned(),
            Reason::SecretRetired { secret_id } => format!("The secret {secret_id} was retired"),
            Reason::SecretQuarantined { secret_id } => {
                format!("The secret {secret_id} is quarantined, for it was seen where secrets do not belong")
            }
            Reason::LeakedInClear { secret_id: Some(secret_id) } => {
                format!("The request came over plain HTTP, and the secret {secret_id} with it")
            }
            Reason::LeakedInClear { secret_id: None } => {
                "The request came over plain HTTP, and a token of the client's with it, which is revoked".to_owned()
            }
            Reason::SecretExpired { secret_id } => format!("The secret {secret_id} had expired"),
            Reason::AssertionRefused { fault } => fault.words().0.to_owned(),
            Reason::KeysUnusable { fault } => {
                format!("The keys that the client publishes could not be used: {}", fault.words().0)
            }
            Reason::IdentityRefused { fault } => fault.words().0.to_owned(),
            Reason::IssuerUnusable { issuer, fault } => {
                format!("The keys of {issuer} could not be used: {}", fault.words().0)
            }
            Reason::IdentityUnbound { issuer, subject } => {
                format!("No identity of the client fits the token of {issuer} for {subject:?}, or there is no such client")
            }
            Reason::CertificateRefused { fault } => fault.words().0.to_owned(),
            Reason::CertificateUnbound { subject, is_trusted } => {
                let by = if *is_trusted { "which an authority that is trusted has signed" } else { "whoever has signed it" };
                format!("The client is not known by the certificate of {subject:?}, {by}, or there is no such client")
            }
            Reason::ProofRefused { fault } => fault.words().0.to_owned(),
            Reason::Throttled { claimed, by_client, by_address } => {
                let client = claimed.as_ref().map_or("a client id that nobody has here".to_owned(), ClientId::to_string);
                let of = match (by_client, by_address) {
                    (true, true) => format!("for {client} and from {}", self.peer),
                    (true, false) => format!("for {client}"),
                    (false, true) => format!("from {}", self.peer),
                    // The minute ended between the two looks.
                    (false, false) => format!("for {client}, or from {}", self.peer),
                };
                format!("There had been too many wrong credentials {of}")
            }
            Reason::ClientSuspended { .. } => "The client is suspended".to_owned(),
            Reason::MayNotRotate => "The client may not rotate its own secrets, or is suspended".to_owned(),
            Reason::ScopeNotAllowed { may } => {
                format!("It asked for a scope that the client may not have; it may have {may:?}")
            }
            Reason::Drill => "The client had set a drill, which this request met".to_owned(),
            Reason::AskedTooOften { most } => {
                format!("The client had asked for the reasons of more than {most} refusals within a minute")
            }
            Reason::StoreFailed { problem } => match to {
                Audience::Operator => problem.happened(),
                Audience::Client => "The token service could not write".to_owned(),
            },
        }
    }

    /// What to do, in a sentence.
    #[must_use]
    pub fn advice(&self, to: Audience) -> String {
        let text = match &self.reason {
            Reason::Told | Reason::SecretWrong { is_of_other_environment: false } => return self.details.clone(),
            Reason::TokenMalformed(flaw) => flaw.words().1,
            Reason::TokenExpired { .. } => {
                "Request a new token before the old one ends, and once more after a 401; fuuffy-client and fuuffy agent do"
            }
            Reason::TokenRevoked { .. } | Reason::TokensRevoked { .. } => "Request a new token",
            Reason::ClientStopped { .. } | Reason::ClientSuspended { .. } => {
                "An operator resumes it: fuuffy clients resume"
            }
            Reason::TokenUnknown => "Request a new token, and check that base URL and secret are of one environment",
            Reason::ScopeMissing { .. } | Reason::ScopeNotAllowed { .. } => {
                "An operator grants it: fuuffy clients update --scope; then request a new token"
            }
            Reason::Limited { .. } => "Wait for as long as Retry-After says, or ask an operator for more",
            Reason::AtOnce { .. } => {
                "Send the next request when one of those under way is answered to its end, or ask an operator for another plan"
            }
            Reason::Overloaded { .. } if to == Audience::Client => {
                "Nothing was wrong with the request; try again after the seconds that Retry-After names"
            }
            Reason::Overloaded { .. } => {
                "Look at how fast the API answers, and give it more room; fuuffy_route_in_flight_limit in /metrics is what it was found to manage"
            }
            Reason::TokensLimited { .. } => {
                "Use a token until it expires instead of requesting one for each call; fuuffy-client and fuuffy agent do"
            }
            Reason::Upstream { .. } if to == Audience::Client => {
                "Nothing was wrong with the request; try again later, and tell whoever runs the API this request's id"
            }
            Reason::Upstream { .. } => "The caller did nothing wrong; look at the upstream's own log, then try again",
            Reason::ClientUnknown => "Check the client id and the environment; it may have been deleted",
            Reason::SecretWrong { is_of_other_environment: true } => {
                "Use the secret and the base URL of one environment"
            }
            Reason::SecretRetired { .. } => "Use the client's newer secret; an operator adds one: fuuffy secrets add",
            Reason::SecretQuarantined { .. } => {
                "Replace it by itself (fuuffy rotate), or have an operator add another: fuuffy secrets add"
            }
            Reason::LeakedInClear { secret_id: Some(_) } => {
                "Call https:// URLs alone, and replace the secret: whoever was on the way may have it"
            }
            Reason::LeakedInClear { secret_id: None } => "Call https:// URLs alone, and request a new token",
            Reason::SecretExpired { .. } => "An operator adds another: fuuffy secrets add",
            Reason::AssertionRefused { fault } => fault.words().1,
            Reason::KeysUnusable { fault } | Reason::IssuerUnusable { fault, .. } => fault.words().1,
            Reason::IdentityRefused { fault } => fault.words().1,
            Reason::IdentityUnbound { .. } => {
                "Compare the token's claims with fuuffy clients identities list, and check client id and environment"
            }
            Reason::CertificateRefused { fault } => fault.words().1,
            Reason::CertificateUnbound { .. } => {
                "Compare it with fuuffy clients certificates list, and check client id and environment; names are compared letter by letter"
            }
            Reason::ProofRefused { fault } => fault.words().1,
            Reason::Throttled { .. } => "Wait a minute, and look for a program that goes on with an old secret",
            Reason::MayNotRotate => "An operator allows it: fuuffy clients update --allow-rotation",
            Reason::Drill => "Drills end by themselves; fuuffy drill shows and ends them",
            Reason::AskedTooOften { .. } => {
                "Wait for as long as Retry-After says, and ask for one refusal of each kind"
            }
            Reason::StoreFailed { .. } if to == Audience::Client => {
                "Nothing was wrong with the request; try again after the seconds that Retry-After names"
            }
            Reason::StoreFailed { problem } => problem.advice(),
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests;
