//! What the client does on its own, told to the person who waits for it.

use std::io::Write as _;
use std::time::Duration;

use fuuffy_client::{Error, Event, Reason};
use http::StatusCode;

/// Waits that are too short to be told.
const SHORT: Duration = Duration::from_millis(400);

/// Tells of waits and of requests that are sent again, on standard error.
pub(super) fn on_standard_error(event: &Event) {
    let words = match event {
        Event::Held { wait } if *wait >= SHORT => {
            format!("waiting {:.1} s before going on", wait.as_secs_f64())
        }
        Event::Retried { because: Reason::TokenRefused } => {
            "the token was refused; trying once more with a new one".to_owned()
        }
        Event::Retried { because: Reason::NoConnection } => "there was no connection; trying again".to_owned(),
        Event::Retried { because: Reason::RateLimited } => "the limit is used up; trying again later".to_owned(),
        Event::Retried { because: Reason::Unavailable } => "the API is not available; trying again".to_owned(),
        _ => return,
    };
    // Nobody may be reading any more.
    let _ = writeln!(std::io::stderr(), "fuuffy: {words}");
}

/// What to do about an error whose own words are the server's.
pub(crate) fn advice(error: &Error) -> Option<&'static str> {
    (error.is_about_token() && error.status() == Some(StatusCode::NOT_FOUND))
        .then_some("is the base URL right? it ends in /v1, as in https://testing-api-gateway.fuuffy.com/v1")
}
