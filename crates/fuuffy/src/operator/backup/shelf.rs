//! Where backups are: a folder, or the same files in one tar archive. What is taken from either is only what the
//! manifest names, and exactly what it was.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::manifest::{FileMark, MANIFEST, Manifest};
use super::private;

pub(super) fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

/// Makes an archive of a whole folder, the manifest first. It gets its name when it is on disk.
pub(super) fn archive(folder: &Path, manifest: &Manifest, to: &Path) -> anyhow::Result<()> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let half = tempfile::Builder::new().prefix(".fuuffy-backup-").tempfile_in(parent)?;
    let mut archive = tar::Builder::new(half.as_file());
    for name in [MANIFEST].into_iter().chain(manifest.files.iter().map(|file| &*file.name)) {
        archive.append_path_with_name(folder.join(name), name).with_context(|| name.to_owned())?;
    }
    archive.finish()?;
    drop(archive);
    half.as_file().sync_all()?;
    half.persist_noclobber(to).with_context(|| format!("{} cannot be made", to.display()))?;
    Ok(())
}

/// Reads what a backup says of itself, and nothing else.
pub(super) fn manifest(from: &Path) -> anyhow::Result<Manifest> {
    let read = || {
        if from.is_dir() {
            let file = File::open(from.join(MANIFEST)).context("it has no manifest, so it is no backup of fuuffy's")?;
            return Manifest::read(file);
        }
        let file = File::open(from).context("it cannot be read")?;
        let mut archive = tar::Archive::new(file);
        let first = archive.entries()?.next().context("it is empty")?.context("it is no tar archive")?;
        ensure!(
            &*first.path_bytes() == MANIFEST.as_bytes(),
            "its first file is not a manifest, so it is no backup of fuuffy's"
        );
        Manifest::read(first)
    };
    read().with_context(|| from.display().to_string())
}

/// Copies every file that the manifest names to a folder; all of them, each exactly as it was, or an error.
pub(super) fn unpack(from: &Path, manifest: &Manifest, to: &Path) -> anyhow::Result<()> {
    let unpack = || {
        if from.is_dir() {
            for file in &manifest.files {
                let source = File::open(from.join(&file.name)).with_context(|| format!("{} is missing", file.name))?;
                take(file, source, to)?;
            }
            return Ok(());
        }
        let mut archive = tar::Archive::new(File::open(from)?);
        let mut missing: Vec<&FileMark> = manifest.files.iter().collect();
        for entry in archive.entries()?.skip(1) {
            let entry = entry.context("the archive is damaged")?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let Some(place) = missing.iter().position(|file| file.name == name) else {
                bail!("{name:?} is in it, and its manifest does not say so");
            };
            take(missing.swap_remove(place), entry, to)?;
        }
        match missing.first() {
            Some(file) => bail!("{} is missing", file.name),
            None => Ok(()),
        }
    };
    unpack().with_context(|| from.display().to_string())
}

fn take(file: &FileMark, mut source: impl Read, folder: &Path) -> anyhow::Result<()> {
    let mut target = private(&folder.join(&file.name))?;
    file.copy(&mut source, &mut target)?;
    Ok(target.sync_all()?)
}
