//! What is found out about a request on its way, and told in its answer, or counted, however it ends.

use std::sync::Arc;
use std::time::Duration;

use fuuffy_domain::{
    Call, ClientId, ClientTally, Ended, MetDrill, Permit, Reason, RequestContext, RouteMatch, Tally, Timestamp,
    TokenUsed, Verdict,
};
use fuuffy_protocol::{Refusal, dpop};
use http::Method;
use http::header::{HeaderMap, HeaderValue};

use crate::trail::Trail;
use crate::{drills, fields};

/// Each is noted as soon as it is known.
#[derive(Default)]
pub(crate) struct Findings {
    /// How the client stands in its plan.
    pub(crate) standing: Option<(Verdict, Option<HeaderValue>)>,
    /// Whether a limit that is only observed would have refused it.
    pub(crate) was_observed: bool,
    /// What is kept of it until it is over, where somebody wants to know.
    pub(crate) trail: Option<Arc<Trail>>,
    /// A nonce for the client's next proof.
    pub(crate) next_nonce: Option<String>,
    drill: Option<MetDrill>,
    /// Whose usage it is, once that is known.
    user: Option<User>,
    /// What is known of a refusal besides its answer; boxed, for few requests have one.
    pub(crate) noted: Option<Box<Noted>>,
}

/// Whose usage a request is, of what route and by which token: none where it had no permit.
struct User {
    tally: Arc<ClientTally>,
    permitted: Option<(RouteMatch, TokenUsed)>,
}

/// A refused request, and why it was.
pub(crate) struct Noted {
    pub(crate) client: Option<ClientId>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) reason: Reason,
}

impl Findings {
    /// Findings of a request that leaves a trail, if it does.
    pub(crate) fn along(trail: Option<Arc<Trail>>) -> Self {
        Self { trail, ..Self::default() }
    }

    /// Notes on the trail who may go where.
    pub(crate) fn permitted(&self, permit: &Permit) {
        if let Some(trail) = &self.trail {
            trail.used_by(&permit.client().id);
            trail.matched(permit.route().prefix());
        }
    }

    /// Notes why a request is refused.
    pub(crate) fn note(&mut self, client: Option<&ClientId>, (method, path): (&Method, &str), reason: Reason) {
        if let (Some(trail), Some(client)) = (&self.trail, client) {
            trail.used_by(client);
        }
        let (client, method, path) = (client.cloned(), method.clone(), path.to_owned());
        self.noted = Some(Box::new(Noted { client, method, path, reason }));
    }

    /// Notes whose usage the request is.
    pub(crate) fn used_by(&mut self, tally: &Arc<ClientTally>, permit: Option<&Permit>) {
        let permitted = permit.map(|permit| (permit.route().clone(), permit.token()));
        self.user = Some(User { tally: Arc::clone(tally), permitted });
    }

    /// The place of the route that it is on, once its client may use it.
    pub(crate) fn route(&self) -> Option<usize> {
        self.user.as_ref()?.permitted.as_ref().map(|(route, _)| route.index)
    }

    /// Counts the request, for the client that it is known to be of, or for none.
    pub(crate) fn count(&self, context: &RequestContext, all: &Tally, path: u64, ended: Ended) {
        let Some(User { tally, permitted }) = &self.user else {
            return all.note_stranger(ended.status);
        };
        let (route, by) = permitted.as_ref().map_or(("", None), |(route, token)| (route.prefix(), Some(*token)));
        tally.note(Call { at: context.now, route, ended, from: context.peer, by, path });
    }

    /// Notes the drill that the request met, if it met one.
    ///
    /// # Errors
    /// The refusal that the drill ends the request with.
    pub(crate) fn meet(&mut self, drill: Option<MetDrill>) -> Result<(), Refusal> {
        self.drill = drill;
        let Some(refusal) = drill.and_then(drills::refusal) else {
            return Ok(());
        };
        if refusal.is_of_token() {
            // As without a drill: whose token is refused is told no limits.
            self.standing = None;
        }
        Err(refusal)
    }

    /// How late the request is to be forwarded, if a drill says so.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.drill.and_then(drills::delay)
    }

    /// Writes them into the fields of the answer.
    pub(crate) fn tell(&mut self, headers: &mut HeaderMap, now: Timestamp) {
        if let Some((verdict, policy)) = self.standing.take() {
            fields::set_limits(headers, &verdict, policy, now);
        }
        if let Some(nonce) = self.next_nonce.take().and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            headers.insert(dpop::NONCE, nonce);
        }
        if let Some(met) = self.drill {
            met.kind.mark(headers);
        }
    }
}
