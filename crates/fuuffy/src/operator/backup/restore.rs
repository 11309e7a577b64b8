//! `fuuffy restore`: a backup becomes the data directory, whole, in one step that cannot be half-done. Until then
//! everything is made ready in a directory beside it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use fuuffy_domain::{Actor, AuditEvent, Cause, Client, ClientChange, KeyId, Timestamp};
use fuuffy_store::embedded::DirectoryLock;
use fuuffy_store::{Changed, Deed, Store as _, audit_key, embedded, pepper};
use rustix::fs::{AtFlags, CWD, RenameFlags, StatxAttributes, StatxFlags, renameat_with, statx};
use serde_json::json;

use super::manifest::{AUDIT_KEY_FILE, KEY_FILE, KeyMark, Manifest, marks};
use super::{copy_private, private, shelf, sync};
use crate::config::Config;
use crate::operator::desk::configuration;
use crate::operator::{Common, environment_config};
use crate::server::{Environment, Environments, Sources};

/// `fuuffy restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    common: Common,
    /// What fuuffy backup made.
    #[arg(long, value_name = "FOLDER|FILE.tar")]
    from: PathBuf,
    /// Put the stores that are there now aside, and the backup in their place.
    #[arg(long)]
    replace: bool,
    /// Leave tokens as they were. A token that was revoked since the backup is accepted again.
    #[arg(long)]
    keep_tokens: bool,
}

/// What a data directory may have that is no store, and goes along.
const KEYS: [&str; 2] = [KEY_FILE, AUDIT_KEY_FILE];
/// Is in a directory that is not ready yet.
const UNFINISHED: &str = "unfinished";
/// Deeds that are waited for at once.
const AT_ONCE: usize = 1000;

/// Restores a backup.
///
/// # Errors
/// The backup cannot be believed, or does not fit. The data directory is as it was then.
pub async fn restore(args: RestoreArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match configuration(&args.common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let manifest = shelf::manifest(&args.from)?;
    refuse_unserved(&config, &manifest)?;
    refuse_mount_point(&config.data_dir)?;
    let lock = DirectoryLock::acquire(&config.data_dir)?;
    // Where a link leads, so that the link stays.
    let data_dir = config.data_dir.canonicalize()?;
    let has_stores = refuse_occupied(&data_dir, args.replace)?;
    let staging = Staging::make(&data_dir)?;
    shelf::unpack(&args.from, &manifest, &staging.path)?;
    let sources = staging.take_keys(&config, &manifest)?;
    staging.take_audit_key(&sources, &config, &manifest)?;
    staging.verify(&manifest, &sources)?;
    staging.settle(&config, &sources, &manifest, args.keep_tokens).await?;
    let aside = staging.put_in_place(&data_dir, has_stores, sources.time.wall())?;
    drop(lock);

    let made_at = &manifest.made_at;
    let restored = json!({"restored": config.data_dir, "made_at": made_at, "put_aside": aside, "tokens_revoked": !args.keep_tokens});
    if args.common.json {
        writeln!(out, "{restored}")?;
    } else {
        writeln!(out, "{} is as it was at {made_at}", config.data_dir.display())?;
        if let Some(aside) = &aside {
            writeln!(out, "what was there is in {}", aside.display())?;
        }
    }
    if args.keep_tokens {
        writeln!(err, "Tokens were kept: any that was revoked since {made_at} is accepted again until it expires.")?;
    } else {
        writeln!(err, "All tokens were revoked; callers get new ones by themselves.")?;
    }
    writeln!(
        err,
        "What was changed since {made_at} is undone: look for clients that were suspended or deleted and secrets that were retired since, and do it again."
    )?;
    Ok(0)
}

/// A store that no environment would open stays unknown, and its tokens unrevoked.
fn refuse_unserved(config: &Config, manifest: &Manifest) -> anyhow::Result<()> {
    for (file, store) in manifest.stores() {
        let name = store.environment;
        if environment_config(config, name).is_none() {
            bail!("{} is in the backup, and the configuration has no [environments.{name}]; add it first", file.name);
        }
    }
    Ok(())
}

/// What something is mounted on cannot be exchanged for another directory, and entry by entry it would not be one step.
fn refuse_mount_point(data_dir: &Path) -> anyhow::Result<()> {
    // One that is not there yet is made, and so is none.
    let Ok(data_dir) = data_dir.canonicalize() else {
        return Ok(());
    };
    let found =
        statx(CWD, &data_dir, AtFlags::empty(), StatxFlags::empty()).with_context(|| data_dir.display().to_string())?;
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        let shown = data_dir.display();
        bail!(
            "{shown} is a mount point, and a restore exchanges the whole directory for another, which a mount point cannot be: name a directory below it as data_dir, as {}, move what is in it there, and restore once more",
            data_dir.join("data").display()
        );
    }
    Ok(())
}

/// Answers whether there are stores.
fn refuse_occupied(data_dir: &Path, replace: bool) -> anyhow::Result<bool> {
    let mut has_stores = false;
    for entry in std::fs::read_dir(data_dir).with_context(|| data_dir.display().to_string())? {
        let name = entry?.file_name();
        let goes_along = name == "lock" || KEYS.iter().any(|key| name == *key);
        if !goes_along && !replace {
            bail!(
                "{} is not empty: it has {}; say --replace to put it aside",
                data_dir.display(),
                name.to_string_lossy()
            );
        }
        has_stores |= !goes_along;
    }
    Ok(has_stores)
}

/// The next data directory, while it is made ready.
struct Staging {
    path: PathBuf,
}

impl Staging {
    /// An empty directory with a mark that it is not ready. One that an earlier restore left goes, if it has the
    /// mark; without, it was a data directory, and is put aside.
    fn make(data_dir: &Path) -> anyhow::Result<Self> {
        let path = beside(data_dir, "restoring");
        if path.join(UNFINISHED).exists() || path.read_dir().is_ok_and(|mut entries| entries.next().is_none()) {
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        if path.exists() {
            let aside = free(data_dir, "left")?;
            std::fs::rename(&path, aside).with_context(|| path.display().to_string())?;
        }
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).with_context(|| {
            format!(
                "{} cannot be made; the next data directory is made ready beside the one that is there, so whoever restores must be able to write there",
                path.display()
            )
        })?;
        private(&path.join(UNFINISHED))?.sync_all()?;
        Ok(Self { path })
    }

    /// The key file that opens the backup: the one that is there, or else the one in the backup.
    fn take_keys(&self, config: &Config, manifest: &Manifest) -> anyhow::Result<Sources> {
        let (sources, here) = (Sources::system(), self.path.join(KEY_FILE));
        let file = sources.pepper_file(config);
        let present = if file.exists() { Some(marks(&pepper::load(&file)?)) } else { None };
        let needed = &manifest.keys;
        let fits = |marks: &Vec<KeyMark>| needed.iter().all(|key| marks.contains(key));
        if present.as_ref().is_some_and(fits) {
            if sources.pepper_file.is_none() {
                // What is in the backup has done its part.
                let _ = std::fs::remove_file(&here);
                copy_private(&file, &here)?;
            }
            return Ok(Sources { pepper_file: Some(sources.pepper_file.unwrap_or(here)), ..sources });
        }
        if manifest.file(KEY_FILE).is_some() && present.is_none() && sources.pepper_file.is_none() {
            return Ok(Sources { pepper_file: Some(here), ..sources });
        }
        let lacking = needed.iter().find(|key| present.iter().flatten().all(|known| known != *key));
        let lacking = lacking.map_or(KeyId(0), |key| key.id);
        match present {
            None => bail!(
                "{}: the key file is missing, and without it nothing in the backup works; put it there, or name it by FUUFFY_PEPPER_FILE",
                file.display()
            ),
            Some(present) if present.iter().any(|key| key.id == lacking) => bail!(
                "{}: its key {} is not the one that the backup was made under; put the right key file there",
                file.display(),
                lacking.0
            ),
            Some(_) => bail!(
                "{}: the backup was made under key {}, which is not in it; put the right key file there",
                file.display(),
                lacking.0
            ),
        }
    }

    /// The audit key file that is there goes along, if it has all keys of the one in the backup: it may have newer ones.
    /// Where there is none, the one in the backup does.
    fn take_audit_key(&self, sources: &Sources, config: &Config, manifest: &Manifest) -> anyhow::Result<()> {
        let (file, here) = (sources.audit_key_file(config), self.path.join(AUDIT_KEY_FILE));
        if !file.exists() {
            ensure!(
                manifest.file(AUDIT_KEY_FILE).is_some() && sources.audit_key_file.is_none(),
                "{}: the audit key file is missing, and the backup's audit log is signed with it; put it there, or name it by FUUFFY_AUDIT_KEY_FILE",
                file.display()
            );
            return Ok(());
        }
        if here.exists() {
            refuse_lacking(&file, &marks(&audit_key::read(&file)?), &marks(&audit_key::read(&here)?))?;
            // What is in the backup has done its part.
            std::fs::remove_file(&here).with_context(|| here.display().to_string())?;
        }
        if sources.audit_key_file.is_none() {
            copy_private(&file, &here)?;
        }
        Ok(())
    }

    /// The stores are opened before anybody relies on them.
    fn verify(&self, manifest: &Manifest, sources: &Sources) -> anyhow::Result<()> {
        for (file, store) in manifest.stores() {
            let path = self.path.join(&file.name);
            let found = embedded::inspect(&path, store.environment, sources.time.wall())?;
            let unknown = found.keys.iter().find(|key| manifest.keys.iter().all(|known| known.id != **key));
            ensure!(unknown.is_none(), "{} needs a key that the manifest does not name; use another backup", file.name);
            if let Some(noted_at) = store.noted_at {
                embedded::note_time(&path, Timestamp::from_unix_millis(noted_at))?;
            }
        }
        Ok(())
    }

    /// Opens the stores as a server does, revokes what nobody can vouch for, and notes what happened.
    async fn settle(
        &self,
        config: &Config,
        sources: &Sources,
        manifest: &Manifest,
        keep_tokens: bool,
    ) -> anyhow::Result<()> {
        let config = Config { data_dir: self.path.clone(), ..config.clone() };
        let (environments, lock) = Environments::open(&config, sources)?;
        let made_at =
            manifest.made_at.parse::<jiff::Timestamp>().context("its manifest does not say when it was made")?;
        let backup_made_at = Timestamp::from_unix_millis(made_at.as_millisecond());
        for environment in environments.iter() {
            let why = Some(format!("restored from the backup of {}", manifest.made_at));
            let actor = Actor::Local { uid: rustix::process::getuid().as_raw() };
            let cause = environment.cause(actor, why)?;
            environment
                .store
                .note(cause.clone(), AuditEvent::StoreRestored { backup_made_at, tokens_revoked: !keep_tokens })
                .await?;
            if !keep_tokens {
                revoke_all(environment, &cause).await?;
            }
        }
        environments.close().await;
        drop(lock);
        Ok(())
    }

    /// From one moment to the next the staged directory is the data directory. Answers where the one before is.
    fn put_in_place(self, data_dir: &Path, keep: bool, now: Timestamp) -> anyhow::Result<Option<PathBuf>> {
        for entry in std::fs::read_dir(&self.path)? {
            std::fs::File::open(entry?.path())?.sync_all()?;
        }
        std::fs::remove_file(self.path.join(UNFINISHED))?;
        sync(&self.path)?;
        renameat_with(CWD, &self.path, CWD, data_dir, RenameFlags::EXCHANGE).with_context(|| {
            format!(
                "{} cannot be exchanged for another directory, which its file system must know how to do",
                data_dir.display()
            )
        })?;
        let parent = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(parent)?;
        if !keep {
            std::fs::remove_dir_all(&self.path)?;
            return Ok(None);
        }
        let stamp = now.to_string().replace([':', '.'], "-");
        let aside = free(data_dir, &format!("before-{stamp}"))?;
        std::fs::rename(&self.path, &aside)?;
        sync(parent)?;
        Ok(Some(aside))
    }
}

/// Without one of the keys that the backup has, what it signed could not be checked.
fn refuse_lacking(file: &Path, present: &[KeyMark], in_backup: &[KeyMark]) -> anyhow::Result<()> {
    let Some(lacking) = in_backup.iter().find(|key| !present.contains(key)) else {
        return Ok(());
    };
    let (file, id) = (file.display(), lacking.id.0);
    match present.iter().any(|known| known.id == lacking.id) {
        true => bail!(
            "{file}: its key {id} is not the one that the backup's audit log is signed with; put the right audit key file there"
        ),
        false => bail!(
            "{file}: the backup's audit log is signed with key {id}, which is not in it; put an audit key file there that has it"
        ),
    }
}

/// Thousands of deeds share a transaction.
async fn revoke_all(environment: &Environment, cause: &Cause) -> anyhow::Result<()> {
    let clients = environment.store.directory().filter(|_| true);
    for clients in clients.chunks(AT_ONCE) {
        let revoke = |client: &Arc<Client>| {
            environment.store.change_client(cause.clone(), client.id.clone(), None, ClientChange::RevokeTokens)
        };
        let deeds: Vec<Deed<Changed>> = clients.iter().map(revoke).collect();
        for deed in deeds {
            deed.await?;
        }
    }
    Ok(())
}

/// A name beside the data directory.
fn beside(data_dir: &Path, ending: &str) -> PathBuf {
    let mut name = data_dir.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

/// The same, where nothing is yet.
fn free(data_dir: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let numbered = (1..100).map(|number| beside(data_dir, &format!("{ending}-{number}")));
    let mut names = std::iter::once(beside(data_dir, ending)).chain(numbered);
    names.find(|path| !path.exists()).context("too many old directories lie beside the data directory; remove some")
}
