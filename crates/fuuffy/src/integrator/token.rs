//! `fuuffy token`: a token that lives, for whatever cannot fetch its own.

use std::io::Write;

use fuuffy_protocol::TokenType;
use serde_json::json;

use super::{Common, tell};

/// `fuuffy token`
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(flatten)]
    common: Common,
    /// Fetch a new one, even while an old one lives.
    #[arg(long)]
    refresh: bool,
}

/// Prints a token, and nothing else.
///
/// # Errors
/// There is no token, or writing failed.
pub async fn token(args: TokenArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let settings = args.common.settings()?;
    let cache = settings.cache()?.map(|cache| if args.refresh { cache.anew() } else { cache });
    let client = settings.builder(cache)?.observer(tell::on_standard_error).build()?;
    let token = client.tokens().token().await?;
    if args.common.json {
        let life = token.expires_in().as_secs();
        let mut shown =
            json!({"access_token": token.reveal(), "token_type": token.token_type().as_str(), "expires_in": life});
        if let Some(scope) = token.scope() {
            shown["scope"] = scope.into();
        }
        writeln!(out, "{shown}")?;
    } else {
        writeln!(out, "{}", token.reveal())?;
        if token.token_type() == TokenType::Dpop {
            let words = "the token is bound to a key: each request needs a DPoP proof by it, as fuuffy request and fuuffy agent make";
            writeln!(err, "fuuffy: {words}")?;
        } else if settings.variables().certificate_files()?.is_some() {
            let words = "a token that is bound to the client's certificate is good over connections that show it, as fuuffy request and fuuffy agent make";
            writeln!(err, "fuuffy: {words}")?;
        }
    }
    Ok(0)
}
