//! Certificates by which clients are known: registered, listed, taken away. Nothing of it is secret.

use fuuffy_domain::{
    Cause, CertificateName, CertificateRule, ClientCertificate, ReadCertificate, Revision, Thumbprint, Timestamp,
};
use fuuffy_protocol::MutualTls;
use fuuffy_store::{Changed, Creation, NewCertificate};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::clients;
use crate::deed::{DeedError, Environment};
use crate::once::{self, Made, OnceOnly, conditions};
use crate::roles::Target;

/// What a certificate must be for a client to be known by it: exactly one of these. A name is that of a certificate which
/// one of the authorities has signed that the configuration names (RFC 8705 §2.1); a certificate is that very one, whoever
/// signed it (RFC 8705 §2.2).
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewCertificate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRule {
    /// Its subject, as RFC 4514 writes it.
    #[schema(max_length = 1024, example = "CN=orders,O=Acme,C=DE")]
    subject_dn: Option<String>,
    /// A `dNSName` of it, without a wildcard.
    #[schema(max_length = 256, example = "orders.example.com")]
    san_dns: Option<String>,
    /// A `uniformResourceIdentifier` of it.
    #[schema(max_length = 256, example = "spiffe://example.com/orders")]
    san_uri: Option<String>,
    /// An `iPAddress` of it.
    #[schema(max_length = 45, example = "192.0.2.7")]
    san_ip: Option<String>,
    /// An `rfc822Name` of it.
    #[schema(max_length = 256, example = "orders@example.com")]
    san_email: Option<String>,
    /// The certificate itself, in PEM.
    #[schema(max_length = 32768)]
    certificate: Option<String>,
}

/// What a client is known by, for operators.
#[derive(Serialize, ToSchema)]
#[schema(as = ClientCertificate)]
pub(crate) struct Shown {
    certificate_id: String,
    /// `tls_client_auth`, or `self_signed_tls_client_auth` for exactly one certificate.
    #[schema(value_type = String)]
    method: &'static str,
    /// `subject_dn`, `san_dns`, `san_uri`, `san_ip` or `san_email`; or `x5t#S256` for exactly one certificate.
    #[schema(value_type = String)]
    kind: &'static str,
    /// The name, or the thumbprint (RFC 8705 §3.1).
    value: String,
    /// Until when it is good, where it is exactly one.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
    use_count: u64,
}

impl Shown {
    fn new(id: &str, rule: &CertificateRule, created_at: Timestamp) -> Self {
        let (method, kind, value, expires_at) = match rule {
            CertificateRule::Named(name) => ("tls_client_auth", name.kind(), name.text(), None),
            CertificateRule::Exact { thumbprint, ends_at } => {
                ("self_signed_tls_client_auth", "x5t#S256", thumbprint.to_string(), Some(*ends_at))
            }
        };
        let certificate_id = id.to_owned();
        Self { certificate_id, method, kind, value, expires_at, created_at, last_used_at: None, use_count: 0 }
    }
}

impl From<&ClientCertificate> for Shown {
    fn from(known: &ClientCertificate) -> Self {
        Self {
            last_used_at: known.last_use.as_ref().map(|last| last.at),
            use_count: known.use_count,
            ..Self::new(known.id.as_str(), &known.rule, known.created_at)
        }
    }
}

/// The rule as it is kept: one that can be met, by what the configuration has.
pub(crate) fn checked(environment: &Environment, wanted: NewRule) -> Result<NewCertificate, DeedError> {
    must_take_certificates(environment)?;
    let NewRule { subject_dn, san_dns, san_uri, san_ip, san_email, certificate } = wanted;
    let given = [subject_dn, san_dns, san_uri, san_ip, san_email];
    let mut names = CertificateName::KINDS.into_iter().zip(given).filter_map(|(kind, text)| Some((kind, text?)));
    let rule = match (names.next(), certificate, names.next()) {
        (Some((kind, text)), None, None) => {
            let name = CertificateName::parse(kind, &text).map_err(|fault| DeedError::Invalid(fault.to_string()))?;
            CertificateRule::Named(name)
        }
        (None, Some(pem), None) => exact(environment, &pem)?,
        _ => {
            let kinds = CertificateName::KINDS.join(", ");
            return Err(DeedError::Invalid(format!("expected exactly one of {kinds} and certificate")));
        }
    };
    if matches!(rule, CertificateRule::Named(_)) && environment.mutual_tls != MutualTls::Authorities {
        return Err(DeedError::NoAuthorities);
    }
    Ok(NewCertificate { id: environment.new_certificate_id()?, rule, created_at: environment.clock.now() })
}

/// What could never be used is not promised.
pub(crate) fn must_take_certificates(environment: &Environment) -> Result<(), DeedError> {
    if environment.mutual_tls == MutualTls::Off { Err(DeedError::NoMutualTls) } else { Ok(()) }
}

/// Exactly one certificate, if its time is not over.
fn exact(environment: &Environment, pem: &str) -> Result<CertificateRule, DeedError> {
    let invalid = |words: &str| DeedError::Invalid(format!("certificate: {words}"));
    let (der, read) = ReadCertificate::from_pem(pem).map_err(|_| {
        invalid("expected one certificate in PEM, as in -----BEGIN CERTIFICATE-----, and nothing besides")
    })?;
    if read.ends_at <= environment.clock.now() {
        return Err(invalid(&format!("expected one whose time is not over; this one's was over on {}", read.ends_at)));
    }
    Ok(CertificateRule::Exact { thumbprint: Thumbprint(Sha256::digest(der).into()), ends_at: read.ends_at })
}

pub(crate) async fn add(
    environment: &Environment,
    cause: Cause,
    target: Target,
    wanted: NewRule,
    once: Option<&OnceOnly>,
) -> Result<Made<Shown>, DeedError> {
    if let Some(once) = once
        && let Some(kept) = once.before(environment).await?
    {
        return Ok(Made::Before(kept));
    }
    let new = checked(environment, wanted)?;
    let shown = Shown::new(new.id.as_str(), &new.rule, new.created_at);
    let certificate_id = new.id.clone();
    let on = conditions(environment, once, target.seen, &shown)?;
    let creation = environment.store.add_certificate(cause, target.client.id.clone(), new, on).await?;
    if let Creation::Done(client) = &creation {
        tracing::info!(environment = %environment.name, client_id = %client.id, %certificate_id, "A client is known by another certificate");
    }
    once::added((creation, once), shown, [DeedError::TooManyCertificates, DeedError::CertificateTaken])
}

/// All certificates of a client, oldest first.
pub(crate) fn list(environment: &Environment, client: &str) -> Result<(Vec<Shown>, Revision), DeedError> {
    let client = clients::find(environment, client)?;
    Ok((client.certificates.iter().map(Shown::from).collect(), client.revision))
}

/// From the answer on nobody is known by it. Tokens that were got by it live on, bound to the certificate.
pub(crate) async fn remove(
    environment: &Environment,
    cause: Cause,
    target: Target,
    certificate: &str,
) -> Result<(Shown, Revision), DeedError> {
    let known = target.client.certificates.iter().find(|known| known.id.as_str() == certificate);
    let (id, shown) =
        known.map(|known| (known.id.clone(), Shown::from(known))).ok_or(DeedError::NotFound("certificate"))?;
    let of = (target.client.id.clone(), id.clone());
    match environment.store.remove_certificate(cause, of, target.seen).await? {
        Changed::Done(client) => {
            tracing::info!(environment = %environment.name, client_id = %client.id, certificate_id = %id, "A client is known by a certificate no more");
            Ok((shown, client.revision))
        }
        Changed::Stale => Err(DeedError::Stale),
        Changed::Nothing => Err(DeedError::NotFound("certificate")),
    }
}
