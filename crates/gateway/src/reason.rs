//! Why a request was refused, looked into once it is: what an accepted request never pays for.

use fuuffy_domain::{
    CertificateFault, ClientId, ClientStatus, Permit, Plan, Presented, Reason, Refused, RequestContext, TokenEntry,
    UpstreamProblem,
};
use fuuffy_protocol::{Bearer, BoundTokenFault, ProofFault, Refusal, TokenFault, TokenFlaw, client_cert};
use fuuffy_store::verify;
use http::header::HeaderMap;
use http::request::Parts;
use http::{Extensions, Request};

use crate::Gateway;
use crate::findings::{Findings, Noted};
use crate::overload::Shed;

/// Seconds after which whoever was shed may ask again.
const OVERLOAD_RETRY: u64 = 1;

impl Gateway {
    /// Notes why a request may not be forwarded.
    #[cold]
    pub(crate) fn look_into<B>(
        &self,
        context: &RequestContext,
        request: &Request<B>,
        refusal: &Refusal,
        findings: &mut Findings,
    ) {
        let (client, reason) = self.reason(context, (request.headers(), request.extensions()), refusal);
        // A token that expired or was revoked may be anybody's by now, and so may one whose key was not proven.
        let uses = !refusal.is_of_token() && !matches!(refusal, Refusal::InvalidProof(..) | Refusal::UseNonce(..));
        if let Some(client) = client.as_ref().filter(|_| uses).and_then(|id| self.store.directory().find(id)) {
            findings.used_by(&self.tally().of(client.slot), None);
        }
        findings.note(client.as_ref(), (request.method(), request.uri().path()), reason);
    }

    /// Notes which window of its plan a client had used up: of those that it had, the one that ends last.
    #[cold]
    pub(crate) fn note_limit<B>(&self, permit: &Permit, request: &Request<B>, findings: &mut Findings) {
        let used_up = findings.standing.as_ref().and_then(|(verdict, _)| verdict.tightest());
        let reason = used_up.map_or(Reason::Told, |standing| Reason::Limited {
            window: standing.limit.into(),
            until: standing.resets_at.unix_millis(),
            plan: permit.client().limits.is_none().then(|| permit.client().plan.to_string()),
        });
        findings.note(Some(&permit.client().id), (request.method(), request.uri().path()), reason);
    }

    /// Keeps the reason of a refusal.
    #[cold]
    pub(crate) fn explain(&self, context: &RequestContext, refusal: &Refusal, noted: Option<Box<Noted>>) {
        let Some(Noted { client, method, path, reason }) = noted.map(|noted| *noted) else {
            self.explanations.record(Refused::new(context, ("", ""), refusal, Reason::Told));
            return;
        };
        let refused = Refused::new(context, (method.as_str(), &path), refusal, reason);
        self.explanations.record(Refused { client, ..refused });
    }

    /// Counts a refusal of a request that bears a token and is not for the API, and keeps its reason.
    #[cold]
    pub fn note_refused(&self, context: &RequestContext, parts: &Parts, refusal: &Refusal) {
        self.refusals().note(refusal);
        let (client, reason) = self.reason(context, (&parts.headers, &parts.extensions), refusal);
        let refused = Refused::new(context, (parts.method.as_str(), parts.uri.path()), refusal, reason);
        self.explanations.record(Refused { client, ..refused });
    }

    fn reason(
        &self,
        context: &RequestContext,
        (headers, extensions): (&HeaderMap, &Extensions),
        refusal: &Refusal,
    ) -> (Option<ClientId>, Reason) {
        let unproven = |fault| (self.owner_of(context, headers), Reason::ProofRefused { fault });
        let without = |fault| (self.owner_of(context, headers), Reason::CertificateRefused { fault });
        match refusal {
            Refusal::InvalidBoundToken(BoundTokenFault::Token(fault)) => {
                self.reason(context, (headers, extensions), &Refusal::InvalidToken(*fault))
            }
            Refusal::InvalidBoundToken(BoundTokenFault::Unproven) => unproven(ProofFault::Missing),
            Refusal::InvalidBoundToken(BoundTokenFault::OtherKey) => unproven(ProofFault::OtherKey),
            Refusal::InvalidBoundToken(BoundTokenFault::Unbound) => unproven(ProofFault::Unbound),
            Refusal::InvalidBoundToken(BoundTokenFault::NoCertificate) => without(match Presented::by(extensions) {
                Some(Presented::Unusable(fault)) => *fault,
                // Whoever is believed has had its field taken out.
                _ if headers.contains_key(client_cert::CERTIFICATE) => CertificateFault::Untrusted,
                _ => CertificateFault::Missing,
            }),
            Refusal::InvalidBoundToken(BoundTokenFault::OtherCertificate) => {
                without(CertificateFault::OtherCertificate)
            }
            Refusal::InvalidProof(_, fault) => unproven(*fault),
            Refusal::UseNonce(..) => unproven(ProofFault::Nonce),
            Refusal::InvalidToken(TokenFault::Malformed) => (None, Reason::TokenMalformed(TokenFlaw::find(headers))),
            Refusal::InvalidToken(TokenFault::Unknown | TokenFault::Expired) => self.reason_of_token(headers),
            Refusal::InsufficientScope(_, needed) => {
                let bearer = Bearer::parse(headers).ok();
                let verified = bearer
                    .as_ref()
                    .and_then(Bearer::token)
                    .map(|token| verify(&*self.store, &self.keyring, token, context.now));
                let Some(Ok(verified)) = verified else {
                    return (None, Reason::Told);
                };
                let has = verified.scope().to_string();
                (Some(verified.client().id.clone()), Reason::ScopeMissing { needed: needed.clone(), has })
            }
            // Not by a plan, which is noted where it is met: there were too many wrong tokens.
            Refusal::RateLimitExceeded(_) => {
                (None, Reason::Throttled { claimed: None, by_client: false, by_address: true })
            }
            // Refused before its token was looked at, as where there is no such route.
            _ => (self.owner_of(context, headers), Reason::Told),
        }
    }

    /// Whoever holds a token that was once granted is told of it, and nobody is told of any other.
    fn reason_of_token(&self, headers: &HeaderMap) -> (Option<ClientId>, Reason) {
        let bearer = Bearer::parse(headers).ok();
        let Some(token) = bearer.as_ref().and_then(Bearer::token) else {
            return (None, Reason::Told);
        };
        let entry = self.keyring.token_digests(token).find_map(|digest| self.store.tokens().find(&digest));
        let known = entry.and_then(|entry| Some((self.store.directory().get(entry.client)?, entry)));
        let Some((client, entry)) = known else {
            return (None, Reason::TokenUnknown);
        };
        let reason = match entry.generation {
            _ if client.status != ClientStatus::Active => Reason::ClientStopped { generation: client.generation },
            TokenEntry::REVOKED => Reason::TokenRevoked { expires_at: entry.expires_at.unix_millis() },
            generation if generation != client.generation => Reason::TokensRevoked { generation },
            _ => Reason::TokenExpired { at: entry.expires_at.unix_millis() },
        };
        (Some(client.id.clone()), reason)
    }
}

/// Notes that as many requests of the client were under way as may be.
#[cold]
pub(crate) fn note_at_once<B>(permit: &Permit, request: &Request<B>, plan: &Plan, findings: &mut Findings) {
    let client = permit.client();
    let reason = Reason::AtOnce { most: plan.concurrency.unwrap_or_default(), plan: client.plan.to_string() };
    findings.note(Some(&client.id), (request.method(), request.uri().path()), reason);
}

/// Notes that the API has too much to do already. What one more would wait for is not known; a second is what it takes
/// for a limit to move.
#[cold]
pub(crate) fn note_shed<B>(shed: Shed, permit: &Permit, request: &Request<B>, findings: &mut Findings) -> Refusal {
    let reason = Reason::Overloaded { limit: shed.limit };
    findings.note(Some(&permit.client().id), (request.method(), request.uri().path()), reason);
    Refusal::ServiceUnavailable(OVERLOAD_RETRY)
}

/// An upstream that failed.
#[cold]
pub(crate) fn upstream(authority: &str, problem: UpstreamProblem) -> Reason {
    Reason::Upstream { upstream: authority.to_owned(), problem }
}
