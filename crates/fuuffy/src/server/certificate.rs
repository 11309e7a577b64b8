//! A certificate and its key: read from files, shown in handshakes, and read anew when the files change; or ordered from
//! an authority (`acme`). What cannot be used is said, and what was there before is shown on.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use arc_swap::ArcSwapOption;
use fuuffy_domain::Timestamp;
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::acme::Ordering;
use crate::config::CertificateFiles;

/// So many days before its end it is told, the last time first.
const REMINDERS: [u64; 3] = [1, 3, 14];

/// One listener's certificate.
pub(super) struct Certificate {
    /// Whose it is, as the configuration writes it.
    pub(super) place: String,
    source: Source,
    shown: ArcSwapOption<Shown>,
    /// Of which one somebody was told last that it ends, and how many days before.
    reminded: Mutex<Option<(u64, String)>>,
}

/// Whence it comes.
enum Source {
    /// From files that somebody else writes.
    Files { files: CertificateFiles, seen: Mutex<Seen> },
    /// From an authority that it is ordered from.
    Ordered(Ordering),
}

/// What is shown in handshakes.
pub(super) struct Shown {
    pub(super) certified: Arc<CertifiedKey>,
    /// The names of DNS that it is for, in lower case.
    pub(super) names: Vec<String>,
    /// Who signed it.
    pub(super) issuer: String,
    /// Since when it is good.
    pub(super) starts_at: Timestamp,
    /// Until when it is good.
    pub(super) ends_at: Timestamp,
    /// The first bytes of its SHA-256, in hexadecimal digits.
    pub(super) fingerprint: String,
}

/// How the files were when they were looked at last.
#[derive(Debug, PartialEq, Eq, Clone, Default)]
struct Seen {
    files: [Option<FileState>; 2],
    /// Whether what is there was read, or refused and said so.
    is_judged: bool,
}

/// Changes when a file does, and when another takes its place.
type FileState = (u64, u64, i64, i64);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a pair.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn open(place: String, files: &CertificateFiles, now: Timestamp) -> anyhow::Result<Self> {
        let seen = Seen { files: state(files), is_judged: true };
        let shown = read(files).with_context(|| place.clone())?;
        if shown.ends_at <= now {
            tracing::warn!(place, ended_at = %shown.ends_at, "The certificate's time is over, and no caller will take it; put a new one in its place");
        }
        let source = Source::Files { files: files.clone(), seen: Mutex::new(seen) };
        Ok(Self::of(place, source, Some(shown)))
    }

    /// One that an authority gives, and the one that it gave last.
    pub(super) fn ordered(place: String, ordering: Ordering, kept: Option<Shown>) -> Self {
        Self::of(place, Source::Ordered(ordering), kept)
    }

    fn of(place: String, source: Source, shown: Option<Shown>) -> Self {
        let shown = ArcSwapOption::from(shown.map(Arc::new));
        Self { place, source, shown, reminded: Mutex::default() }
    }

    /// What is shown now; nothing before an authority gave the first one.
    pub(super) fn shown(&self) -> Option<Arc<Shown>> {
        self.shown.load_full()
    }

    /// How ordering goes, if it is ordered.
    pub(super) const fn ordering(&self) -> Option<&Ordering> {
        match &self.source {
            Source::Files { .. } => None,
            Source::Ordered(ordering) => Some(ordering),
        }
    }

    /// That there is none yet, and why; `None` where there is one.
    pub(super) fn missing(&self) -> Option<String> {
        let ordering = self.ordering().filter(|_| self.shown().is_none())?;
        let why = ordering.progress().error.unwrap_or_else(|| "it is being ordered".to_owned());
        Some(format!("{} has no certificate yet, and refuses handshakes until it has: {why}\n", self.place))
    }

    /// Shows another one from here on.
    pub(super) fn show(&self, new: Shown) {
        let ends_at = new.ends_at;
        tracing::info!(place = self.place, fingerprint = new.fingerprint, %ends_at, "A new certificate is shown");
        self.shown.store(Some(Arc::new(new)));
    }

    /// How many days before its end somebody is to be told of it, if that is now and was not done. Of one that is ordered
    /// only while ordering fails: it may live for less than that.
    pub(super) fn due_reminder(&self, now: Timestamp) -> Option<(u64, Arc<Shown>)> {
        if self.ordering().is_some_and(|ordering| ordering.progress().failures == 0) {
            return None;
        }
        let shown = self.shown()?;
        let left = shown.ends_at.since(now);
        let days = REMINDERS.into_iter().find(|days| left <= Duration::from_secs(days * 86_400))?;
        let is_known = self.reminded.lock().as_ref() == Some(&(days, shown.fingerprint.clone()));
        (!is_known).then_some((days, shown))
    }

    /// Somebody was told.
    pub(super) fn reminded(&self, days: u64, fingerprint: &str) {
        *self.reminded.lock() = Some((days, fingerprint.to_owned()));
    }

    /// Reads the files anew if they have changed. A pair that cannot be used is said once it stays so until the next look,
    /// since two files are not replaced at once.
    pub(super) fn look(&self, now: Timestamp) {
        let Source::Files { files, seen } = &self.source else {
            return;
        };
        let (mut seen, found) = (seen.lock(), state(files));
        if seen.files != found {
            *seen = Seen { files: found, is_judged: false };
            if let Ok(()) = self.take(files, now) {
                seen.is_judged = true;
            }
        } else if !seen.is_judged {
            seen.is_judged = true;
            self.reload(now);
        }
    }

    /// Reads the files anew, and says how that went.
    pub(super) fn reload(&self, now: Timestamp) {
        let Source::Files { files, .. } = &self.source else {
            return;
        };
        if let Err(error) = self.take(files, now) {
            let error = format!("{error:#}");
            tracing::error!(
                place = self.place,
                error,
                "The new certificate was refused; the one from before is shown on"
            );
        }
    }

    fn take(&self, files: &CertificateFiles, now: Timestamp) -> anyhow::Result<()> {
        let (new, old) = (read(files)?, self.shown());
        let was_over = old.as_ref().is_none_or(|old| old.ends_at <= now);
        ensure!(new.ends_at > now || was_over, "its time was over on {}", new.ends_at);
        match old {
            Some(old) if old.fingerprint == new.fingerprint => self.shown.store(Some(Arc::new(new))),
            _ => self.show(new),
        }
        Ok(())
    }
}

impl Shown {
    /// A chain, the own certificate first, and its key.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> anyhow::Result<Self> {
        let own = chain.first().context("there is no certificate; expected PEM, as in -----BEGIN CERTIFICATE-----")?;
        let (_, parsed) = parse_x509_certificate(own).context("the first certificate cannot be read")?;
        let time = |seconds: i64| Timestamp::from_unix_millis(seconds.saturating_mul(1000));
        let (starts_at, ends_at) =
            (time(parsed.validity().not_before.timestamp()), time(parsed.validity().not_after.timestamp()));
        let alternatives = parsed.subject_alternative_name().context("its names cannot be read")?;
        let names = alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let (names, issuer) = (names.collect(), parsed.issuer().to_string());
        let fingerprint: String = Sha256::digest(own).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let certified = CertifiedKey::from_der(chain, key, &default_provider());
        let certified = Arc::new(certified.context("the key is not of the certificate")?);
        Ok(Self { certified, names, issuer, starts_at, ends_at, fingerprint })
    }
}

fn state(files: &CertificateFiles) -> [Option<FileState>; 2] {
    let of = |metadata: Metadata| (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    [&files.cert, &files.key].map(|path| std::fs::metadata(path).ok().map(of))
}

fn read(files: &CertificateFiles) -> anyhow::Result<Shown> {
    let CertificateFiles { cert, key } = files;
    let cannot = |path: &Path| format!("cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| cannot(cert))?;
    ensure!(
        !chain.is_empty(),
        "{} holds no certificate; expected PEM, as in -----BEGIN CERTIFICATE-----",
        cert.display()
    );
    parse_x509_certificate(&chain[0])
        .with_context(|| format!("the first certificate in {} cannot be read", cert.display()))?;
    let mode = std::fs::metadata(key).with_context(|| cannot(key))?.mode();
    ensure!(mode & 0o007 == 0, "everybody can read {}; take that right away: chmod o= on it", key.display());
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| cannot(key))?;
    Shown::new(chain, private)
        .with_context(|| format!("the key in {} is not of the certificate in {}", key.display(), cert.display()))
}
