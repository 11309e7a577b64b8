//! `fuuffy token`: a token that lives, for whatever cannot fetch its own.

use std::io::Write;

use serde_json::json;

use super::Common;

/// `fuuffy token`
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    #[command(flatten)]
    common: Common,
}

/// Prints a token, and nothing else.
///
/// # Errors
/// There is no token, or writing failed.
pub async fn token(args: TokenArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let client = args.common.builder()?.build()?;
    let token = client.tokens().token().await?;
    if args.common.json {
        let mut shown =
            json!({"access_token": token.reveal(), "token_type": "Bearer", "expires_in": token.expires_in().as_secs()});
        if let Some(scope) = token.scope() {
            shown["scope"] = scope.into();
        }
        writeln!(out, "{shown}")?;
    } else {
        writeln!(out, "{}", token.reveal())?;
    }
    Ok(0)
}
