//! `fuuffy backup`: a copy of everything that lasts, made beside whoever serves, and looked at before it is
//! called one. Nothing half-done ever has the name that was asked for.

mod manifest;
mod restore;
mod shelf;

pub use restore::{RestoreArgs, restore};

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use fuuffy_domain::EnvironmentName;
use fuuffy_store::{embedded, pepper};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::Common;
use super::desk::configuration;
use crate::config::Config;
use crate::server::Sources;
use manifest::{AUDIT_KEY_FILE, FileMark, KEY_FILE, MANIFEST, Manifest, StoreMark, marks, store_name};

/// `fuuffy backup`
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    common: Common,
    /// A folder to make, or a file to make whose name ends with .tar.
    #[arg(long, value_name = "FOLDER|FILE.tar")]
    to: PathBuf,
    /// Put the key files in, too. Whoever has the backup can then open everything in it.
    #[arg(long)]
    with_keys: bool,
}

/// Files that are put in as they are, where they exist.
const BESIDE_STORES: [&str; 2] = ["testing.audit-checkpoints", "production.audit-checkpoints"];
/// Databases beside the stores, where they exist: as they are at one moment.
const SIDE_FILES: [&str; 4] =
    ["testing.usage.sqlite3", "production.usage.sqlite3", "testing.outbox.sqlite3", "production.outbox.sqlite3"];

/// Makes a backup.
///
/// # Errors
/// Something could not be read, written or believed. Nothing has the name that was asked for then.
pub async fn backup(args: BackupArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match configuration(&args.common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    if args.to.symlink_metadata().is_ok() {
        bail!("{} is there already; a backup overwrites nothing", args.to.display());
    }
    let folder = args.to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let half = tempfile::Builder::new()
        .prefix(".fuuffy-backup-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(folder);
    let half = half.with_context(|| format!("nothing can be written in {}", folder.display()))?;
    let manifest = fill(&config, half.path(), args.with_keys)?;
    if shelf::is_archive(&args.to) {
        shelf::archive(half.path(), &manifest, &args.to)?;
    } else {
        sync(half.path())?;
        std::fs::rename(half.path(), &args.to).with_context(|| format!("{} cannot be made", args.to.display()))?;
        // What has another name now is not to be cleaned away.
        let _ = half.keep();
    }
    sync(folder)?;
    if args.common.json {
        writeln!(out, "{}", json!({"backup": args.to, "manifest": manifest}))?;
    } else {
        for (file, store) in manifest.stores() {
            writeln!(out, "{:<20} {} bytes, {}", file.name, file.size, json!(store))?;
        }
        writeln!(out, "{:<20} made and verified", args.to.display())?;
    }
    if args.with_keys {
        writeln!(
            err,
            "The keys are in it: whoever has this backup can try every secret and token, and be the server. Guard it as you guard the server."
        )?;
    } else {
        writeln!(
            err,
            "The key files are not in it, and nothing in it works without. Keep copies of pepper.key and audit.key elsewhere."
        )?;
    }
    Ok(0)
}

/// Everything into a folder, each store looked at as it lies there; the manifest last.
fn fill(config: &Config, folder: &Path, with_keys: bool) -> anyhow::Result<Manifest> {
    let (sources, was) = (Sources::system(), identity(&config.data_dir)?);
    let made_at = sources.time.wall();
    let mut files = Vec::new();
    let (mut needed, mut has_stores) = (Vec::new(), false);
    // Before the stores: what is signed of them meanwhile would name records that are not in the copy.
    let beside: Vec<&str> = BESIDE_STORES.into_iter().filter(|name| config.data_dir.join(name).exists()).collect();
    for name in &beside {
        copy_private(&config.data_dir.join(name), &folder.join(name))?;
    }
    for environment in [EnvironmentName::Testing, EnvironmentName::Production] {
        let (name, store) = (store_name(environment), crate::server::store_path(config, environment));
        if !store.exists() {
            continue;
        }
        has_stores = true;
        let bar = progress(environment);
        embedded::copy(&store, &folder.join(&name), |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        let found = embedded::inspect(&folder.join(&name), environment, made_at)?;
        let mark = StoreMark::new(environment, &found, embedded::noted_time(&store));
        needed.extend(found.keys);
        files.push(FileMark::of(folder, &name, Some(mark))?);
    }
    ensure!(has_stores, "{}: there is no store to back up; name another data_dir", config.data_dir.display());
    for name in beside {
        files.push(FileMark::of(folder, name, None)?);
    }
    for name in SIDE_FILES.into_iter().filter(|name| config.data_dir.join(name).exists()) {
        embedded::copy(&config.data_dir.join(name), &folder.join(name), |_, _| {})?;
        files.push(FileMark::of(folder, name, None)?);
    }
    // Keys come before what is kept under them and go after it, so they are read last.
    let key_file = sources.pepper_file(config);
    let keys = pepper::load(&key_file)?;
    if let Some(gone) = needed.iter().find(|key| keys.iter().all(|(known, _)| known != *key)) {
        bail!("{}: key {} is not in it any more; make the backup once more", key_file.display(), gone.0);
    }
    if with_keys {
        pepper::write(&folder.join(KEY_FILE), &keys)?;
        files.push(FileMark::of(folder, KEY_FILE, None)?);
        copy_private(&sources.audit_key_file(config), &folder.join(AUDIT_KEY_FILE))?;
        files.push(FileMark::of(folder, AUDIT_KEY_FILE, None)?);
    }
    ensure!(identity(&config.data_dir)? == was, "the data directory was replaced meanwhile; make the backup once more");
    let manifest = Manifest::new(made_at, marks(&keys), files);
    let mut file = private(&folder.join(MANIFEST))?;
    file.write_all(serde_json::to_string_pretty(&manifest)?.as_bytes())?;
    file.sync_all()?;
    Ok(manifest)
}

/// Which directory it is, whatever its name.
fn identity(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let metadata = std::fs::metadata(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A new file that its owner alone can read.
pub(super) fn private(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.with_context(|| format!("{} cannot be made", path.display()))
}

fn copy_private(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut source = File::open(from).with_context(|| format!("{} cannot be read", from.display()))?;
    let mut target = private(to)?;
    std::io::copy(&mut source, &mut target).with_context(|| format!("{} cannot be written", to.display()))?;
    Ok(target.sync_all()?)
}

/// What a directory has in it is on disk.
pub(super) fn sync(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)?.sync_all().with_context(|| format!("{} cannot be written", folder.display()))
}

/// A bar on standard error; none where that is no terminal.
fn progress(environment: EnvironmentName) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    // A template that cannot be read leaves the usual one.
    if let Ok(style) = ProgressStyle::with_template("{msg} {percent}% [{bar:30}] {eta} left") {
        bar.set_style(style);
    }
    bar.with_message(environment.to_string())
}
