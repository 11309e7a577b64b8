//! `fuuffy certs`: an authority and a certificate of one's own, so that HTTPS is one command away where there is no
//! authority that everybody trusts.

mod authority;
mod folder;
mod host;
mod status;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand};
use http::Uri;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use super::desk::configuration;
use super::{Common, InEnvironment, Shape, show};
use crate::config::Config;
use crate::server::Sources;
use authority::{Authority, Issued};
use folder::{AUTHORITY, CERTIFICATE, Folder, KEY};
use host::Host;

/// `fuuffy certs`
#[derive(Debug, Args)]
pub struct CertsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Show the certificates of the running server: whose they are, who signed them, until when they are good, and, where
    /// they come by ACME, when the next one is ordered and what went wrong.
    Status,
    /// Have the running server order another certificate by ACME now, whatever the one that it shows is still good for.
    Renew(InEnvironment),
    /// Make or renew a certificate for development, by an authority that is made with the first one.
    IssueLocal {
        /// Where both are kept, instead of the folder tls beside the configuration file.
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// Names and addresses that it is for, instead of those in the configuration.
        #[arg(long, value_name = "NAME", num_args = 1.., value_parser = Host::parse)]
        host: Vec<Host>,
        /// Make a new authority, too. Whoever trusts the one from before needs the new one.
        #[arg(long)]
        new_ca: bool,
    },
}

/// Every machine's names for itself.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// A certificate is for so many names at most.
const MOST_HOSTS: usize = 100;

/// Runs a `certs` command.
///
/// # Errors
/// Something in the folder is not this command's, or could not be read or written. Keys are never overwritten, and a
/// certificate only by one that callers take who trust its authority.
pub async fn certs(args: CertsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (dir, host, new_ca) = match args.command {
        CertsCommand::Status => return status::status(&args.common, out, err).await,
        CertsCommand::Renew(of) => return status::renew(&args.common, of.environment, out, err).await,
        CertsCommand::IssueLocal { dir, host, new_ca } => (dir, host, new_ca),
    };
    let hosts = if host.is_empty() {
        match configuration(&args.common, err)? {
            Ok(config) => served(&config)?,
            Err(status) => return Ok(status),
        }
    } else {
        host.into_iter().collect()
    };
    ensure!(hosts.len() <= MOST_HOSTS, "a certificate is for {MOST_HOSTS} names at most, and here are {}", hosts.len());
    let beside = std::path::absolute(&args.common.config)?;
    let beside = beside.parent().unwrap_or(Path::new("/"));
    let folder = Folder::open(&dir.unwrap_or_else(|| beside.join("tls")))?;
    let outcome = issue(&folder, &hosts, new_ca)?;
    show(&outcome.to_json(&folder, &hosts), args.common.json, Shape::Pairs, out, err)?;
    write!(err, "{}", outcome.words(&folder, beside))?;
    Ok(0)
}

/// What was done.
struct Outcome {
    authority: Authority,
    issued: Issued,
    is_authority_new: bool,
    is_renewed: bool,
}

fn issue(folder: &Folder, hosts: &BTreeSet<Host>, new_authority: bool) -> anyhow::Result<Outcome> {
    let sources = Sources::system();
    let (now, entropy) = (sources.time.wall(), &*sources.entropy);
    let (before, pair) = (folder.authority()?, folder.pair()?);
    let is_own = |pair: &folder::Pair| before.as_ref().is_some_and(|authority| authority.has_signed(&pair.certificate));
    if pair.as_ref().is_some_and(|pair| !is_own(pair)) {
        bail!(
            "{} is not by an authority of this command's; move it and its key away, or name another folder by --dir",
            folder.path(CERTIFICATE).display()
        );
    }
    let (authority, made) = match before {
        Some(authority) if !new_authority => (authority, None),
        _ => {
            let (authority, pem) = Authority::make(hosts, (now, entropy))?;
            (authority, Some(pem))
        }
    };
    // The key stays, so that at no moment a certificate lies beside the key of another.
    let (key, is_renewed) = match pair {
        Some(pair) => (pair.key, true),
        None => (KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, false),
    };
    let issued = authority.certify(&key, hosts, (now, entropy))?;
    if let Some(pem) = &made {
        folder.keep_authority(&authority, pem, new_authority)?;
    }
    if !is_renewed {
        folder.keep_key(&key)?;
    }
    folder.keep_certificate(&issued)?;
    Ok(Outcome { authority, issued, is_authority_new: made.is_some(), is_renewed })
}

/// What the environments of a configuration are called, by their callers and on this machine.
fn served(config: &Config) -> anyhow::Result<BTreeSet<Host>> {
    let environments = [&config.environments.testing, &config.environments.production];
    let mut names: BTreeSet<String> = OWN_NAMES.map(str::to_owned).into();
    for environment in environments.into_iter().flatten() {
        let public = environment.base_url.parse::<Uri>().ok();
        names.extend(public.as_ref().and_then(Uri::host).map(str::to_owned));
        names.extend(environment.hosts.iter().flatten().cloned());
    }
    names.iter().map(|name| Host::parse(name).map_err(anyhow::Error::msg)).collect()
}

impl Outcome {
    fn to_json(&self, folder: &Folder, hosts: &BTreeSet<Host>) -> Value {
        json!({
            "cert": folder.path(CERTIFICATE),
            "key": folder.path(KEY),
            "hosts": hosts.iter().map(Host::as_str).collect::<Vec<_>>(),
            "expires_at": self.issued.ends_at,
            "ca": folder.path(AUTHORITY),
            "ca_expires_at": self.authority.ends_at,
            "ca_fingerprint": self.authority.fingerprint(),
            "ca_made": self.is_authority_new,
        })
    }

    /// What is to be done with it.
    fn words(&self, folder: &Folder, beside: &Path) -> String {
        let mut words = String::new();
        if self.is_authority_new {
            words.push_str(
                "An authority was made, which can sign for these names alone. Whoever has its key can be any of them to \
                 whoever trusts it: keep ca.key to yourself.\n",
            );
        }
        if self.issued.ends_at >= self.authority.ends_at {
            words.push_str("The certificate ends with its authority. A new one is made with --new-ca.\n");
        }
        if self.is_renewed {
            words.push_str("The certificate was renewed. A server that shows it takes the new one within a second.\n");
        } else {
            let line = |name| {
                let path = folder.path(name);
                // As a configuration has it: from its own folder on.
                let path = path.strip_prefix(beside).unwrap_or(&path).display().to_string();
                toml::Value::String(path).to_string()
            };
            words.push_str(&format!(
                "\nIn the configuration, for each environment that is to speak HTTPS:\n\n    [environments.testing]\n    \
                 tls = {{ cert = {}, key = {} }}\n",
                line(CERTIFICATE),
                line(KEY)
            ));
        }
        if self.is_authority_new {
            let authority = folder.path(AUTHORITY).display().to_string();
            words.push_str(&format!(
                "\nCallers trust it by the file of the authority. curl, and the commands of integrators (on Linux):\n\n    \
                 curl --cacert '{authority}' https://localhost:PORT/\n    \
                 SSL_CERT_FILE='{authority}' fuuffy doctor --base-url https://localhost:PORT/v1\n"
            ));
        }
        words
    }
}

#[cfg(test)]
mod tests;
