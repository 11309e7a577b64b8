//! Mutual TLS: a client proves itself by the certificate of its connection (RFC 8705 §2). That its key is held the handshake
//! has shown, ours or that of a proxy that is trusted; here it is found out whose it is and whether it may be used now.

use fuuffy_domain::{
    AuthenticatedClient, Binding, BindingKind, CertificateFault, Client, ClientId, LastUse, NotKnown, Presented,
    PresentedCertificate, ReadCertificate, Reason, RequestContext, shown,
};
use fuuffy_protocol::{AuthMethod, ProofField, Refusal, RequestFault, client_cert};
use fuuffy_store::{CertificateUse, StoreError};
use http::request::Parts;

use crate::Issuer;
use crate::authorities::Authorities;
use crate::by_assertion::Refused;
use crate::endpoint::Found;
use crate::reason::Refusing;
use crate::throttle::Standing;
use crate::token::agent;

/// So much of a subject is kept to explain a refusal, in bytes.
const LONGEST_SUBJECT: usize = 300;

impl Issuer {
    /// Puts authorities in force, in place of those from before.
    pub fn trust(&self, authorities: Authorities) {
        self.authorities.store(Some(authorities.into()));
    }

    /// Wrong certificates are limited as wrong secrets are. All that costs anything is done for every client alike, and
    /// before anything is asked about one.
    ///
    /// # Errors
    /// `invalid_client`, that there were too many wrong credentials, or that the store cannot write.
    pub(crate) async fn authenticate_by_certificate(
        &self,
        context: &RequestContext,
        parts: &Parts,
        client_id: &str,
    ) -> Result<AuthenticatedClient, Refused> {
        let certificate = match Presented::by(&parts.extensions) {
            Some(Presented::Certificate(certificate)) => certificate,
            Some(Presented::Unusable(fault)) => {
                let reason = Reason::CertificateRefused { fault: *fault };
                return Err(self.refuse_certificate((context, client_id), None, reason));
            }
            None => return Err(self.refuse_name((context, client_id), parts)),
        };
        let because = |owner, reason| self.refuse_certificate((context, client_id), owner, reason);
        let refused = |owner, fault| because(owner, Reason::CertificateRefused { fault });
        let read = ReadCertificate::read(certificate.own()).map_err(|fault| refused(None, fault))?;
        let vouched = self.vouch_for(certificate, &read, context);
        let client = self.find(client_id);
        let owner = || client.as_ref().map(|client| client.id.clone());
        let known = Client::authenticate_by_certificate(client.as_ref(), (certificate, &read), vouched, context.now);
        let known = known.map_err(|not_known| match not_known {
            NotKnown::Fault(fault, is_proven) => refused(owner().filter(|_| is_proven), fault),
            NotKnown::Unbound(is_trusted) => {
                let subject = read.subject.as_ref().map_or("", |name| name.as_str());
                let subject = shown(subject, LONGEST_SUBJECT);
                because(None, Reason::CertificateUnbound { subject, is_trusted })
            }
        })?;
        match self.use_certificate(context, parts, &known).await {
            Ok(()) => Ok(known),
            Err(StoreError::Superseded) => Err(refused(owner(), CertificateFault::Removed)),
            Err(error) => {
                let Refusing { refusal, reason } = error.into();
                Err(Box::new((refusal, (owner(), reason.unwrap_or(Reason::Told)))))
            }
        }
    }

    /// What the token is to be bound to: the key that the request proves (RFC 9449 §5), or else the certificate of its
    /// connection, where the client has proven itself by that or its tokens always are (RFC 8705 §3).
    pub(crate) fn binding(
        &self,
        context: &RequestContext,
        parts: &Parts,
        client: &AuthenticatedClient,
        found: &mut Found,
    ) -> Result<Option<Binding>, Refusal> {
        let known = client.client();
        let must_be = known.must_bind == Some(BindingKind::Certificate);
        if must_be && ProofField::parse(&parts.headers) != ProofField::Missing {
            found.reason = Some((Some(known.id.clone()), Reason::Told));
            return Err(Refusal::InvalidRequest(RequestFault::SeveralBindings));
        }
        if let Some(key) = self.proven_key(context, parts, known, found)? {
            return Ok(Some(key));
        }
        if !must_be && client.certificate().is_none() {
            return Ok(None);
        }
        let usable = match Presented::by(&parts.extensions) {
            Some(Presented::Certificate(certificate)) => {
                let read = ReadCertificate::read(certificate.own());
                read.and_then(|read| read.check_time(context.now)).map(|()| certificate.binding())
            }
            Some(Presented::Unusable(fault)) => Err(*fault),
            None => Err(unshown(parts)),
        };
        usable.map(Some).map_err(|fault| {
            found.reason = Some((Some(known.id.clone()), Reason::CertificateRefused { fault }));
            Refusal::InvalidRequest(RequestFault::NoCertificate)
        })
    }

    /// Who signed one that is over is still known, so that whoever holds it is told of that and nothing else.
    fn vouch_for(
        &self,
        certificate: &PresentedCertificate,
        read: &ReadCertificate,
        context: &RequestContext,
    ) -> Result<(), CertificateFault> {
        let authorities = self.authorities.load();
        let authorities = authorities.as_ref().ok_or(CertificateFault::NoAuthorities)?;
        authorities.vouch_for(certificate, read.in_its_time(context.now))
    }

    async fn use_certificate(
        &self,
        context: &RequestContext,
        parts: &Parts,
        known: &AuthenticatedClient,
    ) -> Result<(), StoreError> {
        let certificate = known.certificate().cloned().ok_or(StoreError::Superseded)?;
        let last = LastUse { at: context.now, from: Some(context.peer), agent: agent(&parts.headers) };
        self.store.use_certificate(CertificateUse { client: known.client().slot, certificate, last }).await
    }

    /// A name alone proves nothing, and costs nothing.
    fn refuse_name(&self, (context, client_id): (&RequestContext, &str), parts: &Parts) -> Refused {
        match unshown(parts) {
            CertificateFault::Missing => Box::new((Refusal::InvalidClient(None), (None, Reason::Told))),
            fault => self.refuse_certificate((context, client_id), None, Reason::CertificateRefused { fault }),
        }
    }

    /// A refusal for a wrong certificate; for too many of them where there were.
    fn refuse_certificate(
        &self,
        (context, client_id): (&RequestContext, &str),
        owner: Option<ClientId>,
        reason: Reason,
    ) -> Refused {
        let standing = self.throttle.standing(context, client_id);
        self.throttle.note_failure(context, client_id);
        match standing {
            Standing::Exhausted(wait) => self.throttled(context, client_id, wait),
            Standing::Good => Box::new((Refusal::InvalidClient(Some(AuthMethod::TlsClientAuth)), (owner, reason))),
        }
    }
}

/// Why nothing is shown. Whoever is believed has had the field taken out of its request.
fn unshown(parts: &Parts) -> CertificateFault {
    match parts.headers.contains_key(client_cert::CERTIFICATE) {
        true => CertificateFault::Untrusted,
        false => CertificateFault::Missing,
    }
}
