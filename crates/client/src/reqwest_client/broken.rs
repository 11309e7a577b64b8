//! Whether a request that failed failed for its connection being closed.

use std::error::Error as StdError;
use std::io;

/// Whether the server closed before it answered, by whatever HTTP/1.1, HTTP/2 and the two ends' systems make of
/// that; not what it said wrongly, nor what the caller's body met.
pub(super) fn is_closed(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            if error.is_parse() || error.is_user() {
                return false;
            }
            if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
                return true;
            }
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_io();
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind as Kind;
            return matches!(
                error.kind(),
                Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof
            );
        }
        next = error.source();
    }
    false
}
