//! `fuuffy migrate`: brings the stores to this version's form at a time that the operator chooses, with a copy of
//! each as it was. `fuuffy serve` does the same by itself, without the copy.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fuuffy_domain::EnvironmentName;
use fuuffy_store::embedded::{self, DirectoryLock};
use serde_json::{Value, json};

use super::desk::configuration;
use super::{Common, Shape, environment_config, show};
use crate::config::Config;
use crate::server::{Environments, Sources, store_path};

/// `fuuffy migrate`
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    common: Common,
    /// Tell what would be done, and change nothing.
    #[arg(long)]
    check: bool,
}

const COLUMNS: &[&str] = &["environment", "version", "newest", "copy"];

/// A store that is there.
struct Found {
    environment: EnvironmentName,
    path: PathBuf,
    version: i64,
    newest: i64,
    /// It as it was, if it was changed.
    copy: Option<PathBuf>,
}

/// Brings the stores to the newest version.
///
/// # Errors
/// A store could not be opened, or a server runs. What was not migrated is as it was.
pub async fn migrate(args: MigrateArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match configuration(&args.common, err)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let mut found = stores(&config, err)?;
    let to_do = found.iter().filter(|store| store.version < store.newest).count();
    if to_do > 0 && !args.check {
        let lock = DirectoryLock::acquire(&config.data_dir)?;
        for store in found.iter_mut().filter(|store| store.version < store.newest) {
            store.copy = Some(keep_copy(store)?);
        }
        drop(lock);
        // Opening is what migrates, here as anywhere.
        let (environments, lock) = Environments::open(&config, &Sources::system())?;
        environments.close().await;
        drop(lock);
    }
    let rows: Vec<Value> = found.iter().map(Found::to_json).collect();
    show(&rows.into(), args.common.json, Shape::Table(COLUMNS), out, err)?;
    let words = match (to_do, args.check) {
        (0, _) => "Nothing to do.".to_owned(),
        (count, true) => format!("{count} to migrate; fuuffy migrate does it, and fuuffy serve by itself."),
        (count, false) => format!("{count} migrated. An older fuuffy opens only the copies."),
    };
    writeln!(err, "{words}")?;
    Ok(0)
}

/// Those that would be opened.
fn stores(config: &Config, err: &mut dyn Write) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for environment in [EnvironmentName::Testing, EnvironmentName::Production] {
        let path = store_path(config, environment);
        if !path.exists() {
            continue;
        }
        if environment_config(config, environment).is_none() {
            writeln!(err, "{} is left alone: there is no [environments.{environment}]", path.display())?;
            continue;
        }
        let (version, newest) = embedded::versions(&path)?;
        found.push(Found { environment, path, version, newest, copy: None });
    }
    Ok(found)
}

/// A copy under a name of its own, which it gets when it is whole.
fn keep_copy(store: &Found) -> anyhow::Result<PathBuf> {
    let named = |ending: &str| {
        let mut name = store.path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let ending = format!(".version-{}", store.version);
    let mut names = std::iter::once(named(&ending)).chain((2..100).map(|count| named(&format!("{ending}-{count}"))));
    let copy = names.find(|path| !path.exists()).context("too many copies lie in the data directory; remove some")?;
    let half = named(".version-half");
    if half.exists() {
        std::fs::remove_file(&half)?;
    }
    embedded::copy(&store.path, &half, |_, _| ())?;
    std::fs::rename(&half, &copy).with_context(|| copy.display().to_string())?;
    super::backup::sync(copy.parent().unwrap_or(Path::new(".")))?;
    Ok(copy)
}

impl Found {
    fn to_json(&self) -> Value {
        let Self { environment, version, newest, copy, .. } = self;
        json!({"environment": environment, "version": version, "newest": newest, "copy": copy})
    }
}
