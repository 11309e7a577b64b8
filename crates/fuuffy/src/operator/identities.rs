//! `fuuffy clients identities`, and the identity that `fuuffy clients create --issuer` is given.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::{Call, Care, InEnvironment, OfClient, Shape, Why, segment};

/// `fuuffy clients identities`
#[derive(Debug, Args)]
pub(super) struct IdentitiesArgs {
    #[command(subcommand)]
    command: IdentitiesCommand,
}

/// What a platform's token must say.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// A platform of the configuration's identity_issuers, by its issuer.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// A claim of the token and its exact value, as in "sub=system:serviceaccount:shop:orders"; all that are given must fit.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim, required = true)]
    claims: Vec<(String, String)>,
}

/// The same of a new client, if it is to have an identity.
#[derive(Debug, Args)]
pub(super) struct MaybeRules {
    /// A platform of the configuration's identity_issuers, by its issuer: it proves itself by that platform's own token.
    #[arg(long, value_name = "URL", requires = "claims", conflicts_with = "rule")]
    issuer: Option<String>,
    /// A claim of the token and its exact value, as in "sub=system:serviceaccount:shop:orders"; all that are given must fit.
    #[arg(long = "claim", id = "claims", value_name = "NAME=VALUE", value_parser = claim, requires = "issuer")]
    claims: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum IdentitiesCommand {
    /// Bind a client to what a platform's token says. It may have ten such identities.
    Add {
        #[command(flatten)]
        client: OfClient,
        #[command(flatten)]
        rules: Rules,
        #[command(flatten)]
        why: Why,
    },
    /// List what a client is known by at platforms.
    List {
        #[command(flatten)]
        client: OfClient,
    },
    /// Unbind a client: nobody is known by such a token any more.
    Remove {
        #[command(flatten)]
        client: OfClient,
        /// The identity's id.
        #[arg(long, value_name = "IDENTITY_ID")]
        identity: String,
        #[command(flatten)]
        why: Why,
    },
}

const COLUMNS: &[&str] = &["identity_id", "issuer", "claims", "created_at", "last_used_at", "use_count"];

impl IdentitiesArgs {
    /// The call that it comes to.
    pub(super) fn call(self) -> (InEnvironment, Call) {
        let of = |client: &OfClient| format!("clients/{}/identities", segment(&client.client));
        match self.command {
            IdentitiesCommand::Add { client, rules, why } => {
                let path = of(&client);
                (client.place, Call::create(path, rules.body(), why))
            }
            IdentitiesCommand::List { client } => {
                let path = of(&client);
                (client.place, Call::get(path, Shape::Table(COLUMNS)))
            }
            IdentitiesCommand::Remove { client, identity, why } => {
                let path = format!("{}/{}", of(&client), segment(&identity));
                let call = Call::post(path, None, why);
                (client.place, Call { method: Method::DELETE, care: Care::Nothing, ..call })
            }
        }
    }
}

impl MaybeRules {
    pub(super) fn body(self) -> Option<Value> {
        Some(Rules { issuer: self.issuer?, claims: self.claims }.body())
    }
}

impl Rules {
    fn body(self) -> Value {
        let claims: BTreeMap<String, String> = self.claims.into_iter().collect();
        json!({"issuer": self.issuer, "claims": claims})
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}
