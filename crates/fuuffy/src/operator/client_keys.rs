//! `fuuffy clients keys`, and the public key that `fuuffy clients create --jwk` is given.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Call, Care, InEnvironment, OfClient, Shape, Why, segment};

/// The largest file that has a public key, in bytes.
const LARGEST: u64 = 64 * 1024;
/// The members of a JWK (RFC 7517 §4) that are of use here. The others are left out.
const MEMBERS: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
/// Those that only a private or a shared key has (RFC 7518 §6).
const PRIVATE: [&str; 3] = ["d", "k", "p"];

/// `fuuffy clients keys`
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Give a client another public key, by which it proves itself without a secret. It may have three.
    Add {
        #[command(flatten)]
        client: OfClient,
        /// A file with the public key as a JWK, or - for standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        jwk: String,
        #[command(flatten)]
        why: Why,
    },
    /// List a client's public keys: those that are registered, or those that it publishes.
    List {
        #[command(flatten)]
        client: OfClient,
    },
    /// Take a public key away: nobody is known by it any more.
    Remove {
        #[command(flatten)]
        client: OfClient,
        /// The key's id.
        #[arg(long, value_name = "KEY_ID", allow_hyphen_values = true)]
        key: String,
        #[command(flatten)]
        why: Why,
    },
}

const KEY_COLUMNS: &[&str] = &["key_id", "kid", "algorithm", "created_at", "last_used_at", "use_count"];

impl KeysArgs {
    /// The call that it comes to.
    ///
    /// # Errors
    /// The file has no public key.
    pub(super) fn call(self) -> anyhow::Result<(InEnvironment, Call)> {
        let of = |client: &OfClient| format!("clients/{}/keys", segment(&client.client));
        Ok(match self.command {
            KeysCommand::Add { client, jwk, why } => {
                let path = of(&client);
                (client.place, Call::create(path, json!({"jwk": public_key(&jwk)?}), why))
            }
            KeysCommand::List { client } => {
                let path = of(&client);
                (client.place, Call::get(path, Shape::Table(KEY_COLUMNS)))
            }
            KeysCommand::Remove { client, key, why } => {
                let path = format!("{}/{}", of(&client), segment(&key));
                let call = Call::post(path, None, why);
                (client.place, Call { method: Method::DELETE, care: Care::Nothing, ..call })
            }
        })
    }
}

/// Reads a public key as a JWK, from a file or from standard input.
///
/// # Errors
/// It cannot be read, is no JWK, or is a private key, which belongs nowhere but where it is used.
pub(super) fn public_key(file: &str) -> anyhow::Result<Value> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin().take(LARGEST).read_to_string(&mut text).context("standard input could not be read")?;
    } else {
        let opened = std::fs::File::open(Path::new(file)).with_context(|| format!("{file} could not be read"))?;
        opened.take(LARGEST).read_to_string(&mut text).with_context(|| format!("{file} could not be read"))?;
    }
    // What the parser says could quote a key.
    let Ok(members) = serde_json::from_str::<Map<String, Value>>(&text) else {
        bail!(
            "expected a public key as a JWK: an object with kty, crv, x and, for P-256, y; or of RSA with kty, n and e"
        );
    };
    if PRIVATE.iter().any(|name| members.contains_key(*name)) {
        bail!("that is a private key, which stays where it is used; give its public half");
    }
    Ok(MEMBERS.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone()))).collect())
}
