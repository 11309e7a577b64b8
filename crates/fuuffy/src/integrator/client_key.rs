//! `fuuffy client-key`: a private key of the client's own, so that there is no secret.

use std::fs::OpenOptions;
use std::io::{Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fuuffy_client::PrivateKey;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use zeroize::Zeroizing;

/// So many bytes of a file are read.
const MOST: u64 = 64 * 1024;

/// `fuuffy client-key`
#[derive(Debug, Args)]
pub struct ClientKeyArgs {
    #[command(subcommand)]
    command: ClientKeyCommand,
}

#[derive(Debug, Subcommand)]
enum ClientKeyCommand {
    /// Make a private key, write it to a file that only you can read, and print its public half as a JWK.
    New {
        /// The file, which must not be there yet.
        file: PathBuf,
    },
    /// Print the public half of a private key as a JWK.
    Public {
        /// The file with the private key.
        file: PathBuf,
    },
}

/// Runs a `client-key` command.
///
/// # Errors
/// The file is there already, or not, or has no such key; or writing failed.
pub fn client_key(args: ClientKeyArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    match args.command {
        ClientKeyCommand::New { file } => {
            let place = file.display();
            let made = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("a key could not be made")?;
            let pem = Zeroizing::new(made.serialize_pem());
            let key = PrivateKey::from_pem(pem.as_bytes())?;
            // Never over another key, and never readable by others, not even for a moment.
            let mut new = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&file)
                .with_context(|| format!("{place} could not be made"))?;
            new.write_all(pem.as_bytes())
                .and_then(|()| new.sync_all())
                .with_context(|| format!("{place} could not be written"))?;
            writeln!(out, "{}", key.public_jwk())?;
            writeln!(
                err,
                "Hand this public key to whoever runs the gateway (fuuffy clients create --jwk, fuuffy clients keys add), \
                 and set FUUFFY_CLIENT_KEY_FILE to {place}. The key itself stays where it is."
            )?;
        }
        ClientKeyCommand::Public { file } => {
            let place = file.display();
            let opened = std::fs::File::open(&file).with_context(|| format!("{place} could not be read"))?;
            let mut pem = Zeroizing::new(Vec::with_capacity(4096));
            opened.take(MOST).read_to_end(&mut pem).with_context(|| format!("{place} could not be read"))?;
            let key = PrivateKey::from_pem(&pem).with_context(|| format!("{place} has no key for this"))?;
            writeln!(out, "{}", key.public_jwk())?;
        }
    }
    Ok(0)
}
