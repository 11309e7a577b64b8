//! What the client does on its own, told to the person who waits for it.

use std::io::Write as _;
use std::time::Duration;

use fuuffy_client::{Error, Event, Reason};
use fuuffy_domain::{REFUSAL_CODES, RequestId};
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
pub(crate) fn advice(error: &Error) -> Option<String> {
    // Whatever is asked for by name is a response; what the client asks for itself is there.
    if error.status() == Some(StatusCode::NOT_FOUND) {
        let advice = "is the base URL right? it ends in /v1, as in https://testing-api-gateway.fuuffy.com/v1";
        return Some(advice.to_owned());
    }
    match error.code()? {
        // Without a token it is the client's own affairs that were asked after.
        "unauthorized_client" if !error.is_about_token() => Some(
            "the client is suspended, or may not replace its own secret; whoever runs the gateway can let it: fuuffy clients update --allow-rotation"
                .to_owned(),
        ),
        code => way_to_reason(code, error.request_id()),
    }
}

/// How to learn the whole reason of a refusal, where the gateway itself refused and said by which request.
pub(super) fn way_to_reason(code: &str, request: Option<&str>) -> Option<String> {
    // It is there to be copied into a shell, so it must be an id and nothing else.
    let request = request.filter(|_| REFUSAL_CODES.contains(&code)).and_then(RequestId::parse)?;
    Some(match code {
        // Whoever has no secret that works cannot ask.
        "invalid_client" => format!("whoever runs the gateway can say why: fuuffy explain {request}"),
        _ => format!("the whole reason: fuuffy explain {request}"),
    })
}

/// The `error` of a challenge (RFC 6750 §3): the code of a refusal, where there is no body to read it from.
pub(super) fn code_of_challenge(field: &str) -> Option<&str> {
    let (before, after) = field.split_once("error=\"")?;
    let (code, _) = after.split_once('"')?;
    before.ends_with([' ', ',']).then_some(code)
}

/// The way to the reason on standard error, for a command whose findings are its output.
pub(super) fn tell_way_to_reason(code: Option<&str>, request: Option<&str>) {
    if let Some(way) = code.and_then(|code| way_to_reason(code, request)) {
        // Nobody may be reading any more.
        let _ = writeln!(std::io::stderr(), "fuuffy: {way}");
    }
}

#[cfg(test)]
mod tests;
