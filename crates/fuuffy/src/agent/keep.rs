//! Keeps a token at hand from the start on, so that no call waits for one, whenever the token service comes up.

use std::sync::Arc;
use std::time::Duration;

use fuuffy_client::Client;
use tokio::time::sleep;

use super::status::Status;

/// Between two looks, at least and, where nothing says better, at most.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(60);

/// Asks for a token, and again when it is about to end, was refused, or could not be had. The client's own
/// back-off decides how often the token service hears of it.
pub(super) async fn keep(client: Client, status: Arc<Status>) {
    loop {
        match client.tokens().token().await {
            Ok(token) => {
                let wait = token.expires_in().mul_f64(0.9).max(SOONEST);
                tokio::select! {
                    () = sleep(wait) => {}
                    () = status.token_dropped() => {}
                }
            }
            Err(error) => {
                status.failed(&error);
                sleep(error.retry_after().unwrap_or(LATEST).clamp(SOONEST, LATEST)).await;
            }
        }
    }
}
