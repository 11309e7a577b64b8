//! Where a development authority and its certificate are kept: private, each file whole or not there, and nothing
//! overwritten that is somebody else's.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::authority::{Authority, Issued};
use crate::operator::backup::sync;

pub(super) const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
pub(super) const CERTIFICATE: &str = "cert.pem";
pub(super) const KEY: &str = "key.pem";

/// So many bytes of a file are read.
const MOST: u64 = 64 * 1024;

/// The folder.
pub(super) struct Folder(PathBuf);

/// A certificate and its key.
pub(super) struct Pair {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: KeyPair,
}

impl Folder {
    /// Makes it if need be, so that its owner alone can open it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be made", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(cannot)?;
        let path = path.canonicalize().with_context(cannot)?;
        let mode = std::fs::metadata(&path)?.mode();
        ensure!(mode & 0o022 == 0, "others can write in {}; take that right away: chmod go-w on it", path.display());
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The authority, if there is one.
    pub(super) fn authority(&self) -> anyhow::Result<Option<Authority>> {
        let Some(Pair { certificate, key }) = self.both(AUTHORITY, AUTHORITY_KEY)? else {
            return Ok(None);
        };
        let mode = std::fs::metadata(self.path(AUTHORITY_KEY))?.mode();
        ensure!(mode & 0o077 == 0, "others can read {}; make it private with chmod 600", self.shown(AUTHORITY_KEY));
        let authority = Authority::read(&certificate, key).with_context(|| {
            format!(
                "{} cannot be used; move it and its key away, or name another folder by --dir",
                self.shown(AUTHORITY)
            )
        })?;
        Ok(Some(authority))
    }

    /// The certificate and its key, if they are there.
    pub(super) fn pair(&self) -> anyhow::Result<Option<Pair>> {
        self.both(CERTIFICATE, KEY)
    }

    /// Keeps a new authority; in the place of another only if it is to.
    pub(super) fn keep_authority(&self, authority: &Authority, pem: &str, replaces: bool) -> anyhow::Result<()> {
        let key = Zeroizing::new(authority.key().serialize_pem());
        self.keep(AUTHORITY_KEY, key.as_bytes(), replaces)?;
        self.keep(AUTHORITY, pem.as_bytes(), replaces)
    }

    /// Keeps a new key, where there is none.
    pub(super) fn keep_key(&self, key: &KeyPair) -> anyhow::Result<()> {
        self.keep(KEY, Zeroizing::new(key.serialize_pem()).as_bytes(), false)
    }

    /// Keeps a certificate, in the place of the one from before.
    pub(super) fn keep_certificate(&self, issued: &Issued) -> anyhow::Result<()> {
        self.keep(CERTIFICATE, issued.pem.as_bytes(), true)
    }

    /// A certificate and its key; one without the other is a mistake.
    fn both(&self, certificate: &str, key: &str) -> anyhow::Result<Option<Pair>> {
        let of_certificate = self.read(certificate)?;
        let of_key = self.read(key)?;
        let (of_certificate, of_key) = match (of_certificate, of_key) {
            (None, None) => return Ok(None),
            (Some(of_certificate), Some(of_key)) => (of_certificate, of_key),
            (Some(_), None) => bail!("{} is there without {key}; move it away", self.shown(certificate)),
            (None, Some(_)) => bail!("{} is there without {certificate}; move it away", self.shown(key)),
        };
        let advice = "is not this command's; move it away, or name another folder by --dir";
        let certificate = CertificateDer::from_pem_slice(of_certificate.as_bytes())
            .with_context(|| format!("{} {advice}", self.shown(certificate)))?;
        let key = KeyPair::from_pem(&of_key).with_context(|| format!("{} {advice}", self.shown(key)))?;
        Ok(Some(Pair { certificate, key }))
    }

    fn read(&self, name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
        let file = match File::open(self.path(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", self.shown(name))),
        };
        let mut text = Zeroizing::new(String::new());
        file.take(MOST).read_to_string(&mut text).with_context(|| format!("{} cannot be read", self.shown(name)))?;
        Ok(Some(text))
    }

    /// Writes a file that its owner alone can read, under its name once it is whole. Whoever could read the one from
    /// before can read it, too.
    fn keep(&self, name: &str, content: &[u8], replaces: bool) -> anyhow::Result<()> {
        let path = self.path(name);
        let cannot = || format!("{} cannot be written", path.display());
        let mut file = NamedTempFile::new_in(&self.0).with_context(cannot)?;
        file.write_all(content).with_context(cannot)?;
        match std::fs::metadata(&path) {
            Ok(before) if replaces => {
                fchown(file.as_file(), Some(before.uid()), Some(before.gid())).with_context(cannot)?;
                file.as_file().set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
            }
            _ => {}
        }
        file.as_file().sync_all().with_context(cannot)?;
        if replaces {
            file.persist(&path).with_context(cannot)?;
        } else {
            file.persist_noclobber(&path).with_context(cannot)?;
        }
        sync(&self.0)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
