//! A certificate and its key: read from files, shown in handshakes, and read anew when the files change. What cannot be
//! used is said, and what was read before is shown on.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use arc_swap::ArcSwap;
use fuuffy_domain::Timestamp;
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_parser::parse_x509_certificate;

use crate::config::CertificateFiles;

/// So many days before its end it is told, the last time first.
const REMINDERS: [u64; 3] = [1, 3, 14];

/// One listener's certificate.
pub(super) struct Certificate {
    /// Whose it is, as the configuration writes it.
    pub(super) place: String,
    files: CertificateFiles,
    shown: ArcSwap<Shown>,
    seen: Mutex<Seen>,
    /// Of which one somebody was told last that it ends, and how many days before.
    reminded: Mutex<Option<(u64, String)>>,
}

/// What is shown in handshakes.
pub(super) struct Shown {
    pub(super) certified: Arc<CertifiedKey>,
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
        f.debug_struct("Certificate").field("place", &self.place).field("files", &self.files).finish_non_exhaustive()
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
        let files = files.clone();
        Ok(Self {
            place,
            files,
            shown: ArcSwap::from_pointee(shown),
            seen: Mutex::new(seen),
            reminded: Mutex::default(),
        })
    }

    /// What is shown now.
    pub(super) fn shown(&self) -> Arc<Shown> {
        self.shown.load_full()
    }

    /// How many days before its end somebody is to be told of it, if that is now and was not done.
    pub(super) fn due_reminder(&self, now: Timestamp) -> Option<(u64, Arc<Shown>)> {
        let shown = self.shown();
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
        let (mut seen, files) = (self.seen.lock(), state(&self.files));
        if seen.files != files {
            *seen = Seen { files, is_judged: false };
            if let Ok(()) = self.take(now) {
                seen.is_judged = true;
            }
        } else if !seen.is_judged {
            seen.is_judged = true;
            self.reload(now);
        }
    }

    /// Reads the files anew, and says how that went.
    pub(super) fn reload(&self, now: Timestamp) {
        if let Err(error) = self.take(now) {
            let error = format!("{error:#}");
            tracing::error!(
                place = self.place,
                error,
                "The new certificate was refused; the one from before is shown on"
            );
        }
    }

    fn take(&self, now: Timestamp) -> anyhow::Result<()> {
        let (new, old) = (read(&self.files)?, self.shown());
        ensure!(new.ends_at > now || old.ends_at <= now, "its time was over on {}", new.ends_at);
        if new.fingerprint != old.fingerprint {
            let ends_at = new.ends_at;
            tracing::info!(place = self.place, fingerprint = new.fingerprint, %ends_at, "A new certificate is shown");
        }
        self.shown.store(Arc::new(new));
        Ok(())
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
    let Some(own) = chain.first() else {
        bail!("{} holds no certificate; expected PEM, as in -----BEGIN CERTIFICATE-----", cert.display());
    };
    let (_, parsed) = parse_x509_certificate(own)
        .with_context(|| format!("the first certificate in {} cannot be read", cert.display()))?;
    let ends_at = Timestamp::from_unix_millis(parsed.validity().not_after.timestamp().saturating_mul(1000));
    let fingerprint: String = Sha256::digest(own).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mode = std::fs::metadata(key).with_context(|| cannot(key))?.mode();
    ensure!(mode & 0o007 == 0, "everybody can read {}; take that right away: chmod o= on it", key.display());
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| cannot(key))?;
    let certified = CertifiedKey::from_der(chain.clone(), private, &default_provider())
        .with_context(|| format!("the key in {} is not of the certificate in {}", key.display(), cert.display()))?;
    Ok(Shown { certified: Arc::new(certified), ends_at, fingerprint })
}
