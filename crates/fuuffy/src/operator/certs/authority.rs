//! A development authority: who signs, for which names alone, and for how long.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use fuuffy_domain::{Entropy, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::host::Host;

/// What the name of each begins with, by which it is known again.
const NAME: &str = "Fuuffy local authority ";
/// Two years: trust that somebody forgot to take back ends by itself, and it need not be given anew all the time.
const AUTHORITY_LIFE: Duration = Duration::from_secs(730 * 86_400);
/// Ninety days, the longest that Mozilla's strictest advice has for a server's certificate.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// So much of a life is before its beginning, since clocks differ.
const HEAD_START: Duration = Duration::from_secs(3600);

/// Who signs.
pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    pub(super) ends_at: Timestamp,
}

/// A certificate that callers take who trust its authority.
pub(super) struct Issued {
    pub(super) pem: String,
    pub(super) ends_at: Timestamp,
}

impl Authority {
    /// A new one, for these names alone (RFC 5280 §4.2.1.10), and for servers alone; and its certificate as PEM.
    ///
    /// # Errors
    /// The machine has no randomness.
    pub(super) fn make(
        hosts: &BTreeSet<Host>,
        (now, entropy): (Timestamp, &dyn Entropy),
    ) -> anyhow::Result<(Self, String)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        let serial = serial(entropy)?;
        let ending: String = serial.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = named(&format!("{NAME}{ending}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(constraints(hosts));
        let ends_at = live(&mut params, now, now.after(AUTHORITY_LIFE - HEAD_START))?;
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        Ok((Self { certificate: certificate.into(), issuer: Issuer::new(params, key), ends_at }, pem))
    }

    /// One that was made before.
    ///
    /// # Errors
    /// It is another program's, or the key is another authority's.
    pub(super) fn read(certificate: &CertificateDer<'static>, key: KeyPair) -> anyhow::Result<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).context("its certificate cannot be read")?;
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let is_ours = parsed.is_ca() && name.is_some_and(|name| name.starts_with(NAME));
        ensure!(is_ours, "it was not made by this command");
        let is_its = parsed.public_key().subject_public_key.data == key.public_key_raw();
        ensure!(is_its, "the key beside it is another's");
        let ends_at = Timestamp::from_unix_millis(parsed.validity().not_after.timestamp().saturating_mul(1000));
        let issuer = Issuer::from_ca_cert_der(certificate, key)?;
        Ok(Self { certificate: certificate.clone(), issuer, ends_at })
    }

    /// Its private key.
    pub(super) fn key(&self) -> &KeyPair {
        self.issuer.key()
    }

    /// SHA-256 of its certificate, in hexadecimal digits.
    pub(super) fn fingerprint(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether a certificate is by it.
    pub(super) fn has_signed(&self, certificate: &CertificateDer<'_>) -> bool {
        let (own, signed) = (parse_x509_certificate(&self.certificate), parse_x509_certificate(certificate));
        own.is_ok_and(|(_, own)| signed.is_ok_and(|(_, it)| it.verify_signature(Some(own.public_key())).is_ok()))
    }

    /// A certificate for these names, or as many of its ninety days as the authority has.
    ///
    /// # Errors
    /// The authority's time is over, or it is for other names.
    pub(super) fn certify(
        &self,
        key: &KeyPair,
        hosts: &BTreeSet<Host>,
        (now, entropy): (Timestamp, &dyn Entropy),
    ) -> anyhow::Result<Issued> {
        ensure!(now < self.ends_at, "the authority's time was over on {}; make a new one with --new-ca", self.ends_at);
        let names: Vec<String> = hosts.iter().map(|host| host.as_str().to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        // Who it is for is said by its names alone (RFC 9525 §6.3).
        params.distinguished_name = named("Fuuffy local certificate");
        params.serial_number = Some(SerialNumber::from_slice(&serial(entropy)?));
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let ends_at = live(&mut params, now, now.after(CERTIFICATE_LIFE - HEAD_START).min(self.ends_at))?;
        let certificate = params.signed_by(key, &self.issuer)?;
        self.check(certificate.der(), hosts, now)?;
        Ok(Issued { pem: certificate.pem(), ends_at })
    }

    /// Whether callers who trust this authority alone take a certificate for all names.
    fn check(&self, certificate: &CertificateDer<'_>, hosts: &BTreeSet<Host>, now: Timestamp) -> anyhow::Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let verifier = verifier.build()?;
        let now = UnixTime::since_unix_epoch(now.since(Timestamp::from_unix_millis(0)));
        for host in hosts {
            let name = ServerName::try_from(host.as_str())?;
            verifier.verify_server_cert(certificate, &[], &name, &[], now).with_context(|| {
                format!("the authority cannot sign for {}; make a new one with --new-ca", host.as_str())
            })?;
        }
        Ok(())
    }
}

/// Lives from a little before now to an end.
fn live(params: &mut CertificateParams, now: Timestamp, end: Timestamp) -> anyhow::Result<Timestamp> {
    let seconds = |time: Timestamp| time.unix_millis().div_euclid(1000);
    let (begin, end) = (seconds(now).saturating_sub_unsigned(HEAD_START.as_secs()), seconds(end));
    params.not_before = ASN1Time::from_timestamp(begin)?.to_datetime();
    params.not_after = ASN1Time::from_timestamp(end)?.to_datetime();
    Ok(Timestamp::from_unix_millis(end.saturating_mul(1000)))
}

/// No other of the same authority's has it (RFC 5280 §4.1.2.2), though the key may stay.
fn serial(entropy: &dyn Entropy) -> anyhow::Result<[u8; 16]> {
    let mut serial = [0; 16];
    entropy.fill(&mut serial).map_err(|_| anyhow!("the machine has no randomness"))?;
    // Positive, and always as long.
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// These names and no others. Where there is none of a form, everything of that form is excluded.
fn constraints(hosts: &BTreeSet<Host>) -> NameConstraints {
    let (mut permitted_subtrees, mut excluded_subtrees) = (Vec::new(), Vec::new());
    let (mut has_name, mut has_address) = (false, false);
    for host in hosts {
        permitted_subtrees.push(match host.as_str().parse::<IpAddr>() {
            Ok(address) => {
                has_address = true;
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                    address,
                    if address.is_ipv4() { 32 } else { 128 },
                ))
            }
            Err(_) => {
                has_name = true;
                GeneralSubtree::DnsName(host.as_str().to_owned())
            }
        });
    }
    if !has_name {
        excluded_subtrees.push(GeneralSubtree::DnsName(String::new()));
    }
    if !has_address {
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([0; 4], 0)));
        excluded_subtrees.push(GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix([0; 16], 0)));
    }
    NameConstraints { permitted_subtrees, excluded_subtrees }
}
