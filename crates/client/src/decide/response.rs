//! What a response means for the client, by its head and, where the head leaves it open, its body.

use std::num::IntErrorKind;
use std::time::{Duration, SystemTime};

use fuuffy_protocol::{Refused, TokenType};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use http_auth::ChallengeRef;
use sfv::{BareItem, Item, List, ListEntry, Parameters, Parser};

use super::Hold;
use super::pace::Window;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const SECRET_EXPIRES: HeaderName = HeaderName::from_static("fuuffy-secret-expires");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A window that lasts longer is as good as none.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 24 * 3600);
/// No server is believed that asks for more patience.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What to do about a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it on.
    Pass,
    /// 401 with `invalid_token`: the token is to be dropped.
    TokenRefused,
    /// 401 with `use_dpop_nonce`: the proof must have the server's nonce (RFC 9449 §9).
    UseNonce,
    /// 401 whose head does not say why: its body must.
    ReadBody,
    /// The gate is to be closed, for so long if the server says.
    Hold(Hold, Option<Duration>),
}

/// The head of a response.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
}

impl Head<'_> {
    /// What the response means.
    pub(crate) fn verdict(&self, wall: impl FnOnce() -> SystemTime) -> Verdict {
        match self.status {
            StatusCode::UNAUTHORIZED => match self.challenge_error() {
                Some(Some(error)) if error == "invalid_token" => Verdict::TokenRefused,
                Some(Some(error)) if error == "use_dpop_nonce" => Verdict::UseNonce,
                Some(Some(_)) => Verdict::Pass,
                Some(None) | None => Verdict::ReadBody,
            },
            StatusCode::TOO_MANY_REQUESTS => Verdict::Hold(Hold::Limited, self.retry_after(wall())),
            StatusCode::SERVICE_UNAVAILABLE => Verdict::Hold(Hold::Unavailable, self.retry_after(wall())),
            _ => Verdict::Pass,
        }
    }

    /// The `error` of a challenge for a token (RFC 6750 §3, RFC 9449 §7.1): `None` without a challenge, `Some(None)` where it
    /// has no error.
    fn challenge_error(&self) -> Option<Option<String>> {
        let mut found = None;
        for field in self.headers.get_all(header::WWW_AUTHENTICATE) {
            let challenges = field.to_str().ok().and_then(|text| http_auth::parse_challenges(text).ok());
            for ChallengeRef { scheme, params } in challenges.into_iter().flatten() {
                if TokenType::parse(scheme).is_some() {
                    let error = params.iter().find(|(name, _)| name.eq_ignore_ascii_case("error"));
                    found = Some(error.map(|(_, value)| value.to_unescaped()));
                }
            }
        }
        found
    }

    /// How long the server asks to wait (RFC 9110 §10.2.3). A date is measured by the server's own `Date`,
    /// so that this machine's calendar does not matter.
    pub(crate) fn retry_after(&self, wall: SystemTime) -> Option<Duration> {
        let text = self.text(&header::RETRY_AFTER)?;
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            // More seconds than fit.
            Err(error) if *error.kind() == IntErrorKind::PosOverflow => LONGEST_WAIT,
            Err(_) => {
                let now = self.date().unwrap_or(wall);
                httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()
            }
        };
        Some(wait.min(LONGEST_WAIT))
    }

    /// The server's calendar.
    pub(crate) fn date(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.text(&header::DATE)?).ok()
    }

    /// When the secret that a token was got with expires, where that is soon.
    pub(crate) fn secret_expires(&self) -> Option<SystemTime> {
        httpdate::parse_http_date(self.text(&SECRET_EXPIRES)?).ok()
    }

    /// How far the server's calendar is ahead of `wall`, in seconds.
    pub(crate) fn skew(&self, wall: SystemTime) -> Option<i64> {
        let seconds = |ahead: Duration| i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
        Some(match self.date()?.duration_since(wall) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        })
    }

    /// The request's id, if it can be shown.
    pub(crate) fn request_id(&self) -> Option<String> {
        let text = self.text(&REQUEST_ID)?;
        (text.len() <= 128).then(|| text.to_owned())
    }

    /// How the client stands in its tightest window, by `RateLimit` (draft-ietf-httpapi-ratelimit-headers)
    /// or by `X-RateLimit-*`.
    pub(crate) fn window(&self, wall: SystemTime) -> Option<Window> {
        let window = self.standard_window().or_else(|| {
            let number = |name: &HeaderName| self.text(name)?.parse::<u64>().ok();
            let now = self.date().unwrap_or(wall).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let resets_in = Duration::from_secs(number(&RESET)?).saturating_sub(now);
            Some(Window { limit: number(&LIMIT), remaining: number(&REMAINING)?, resets_in })
        })?;
        Some(Window { resets_in: window.resets_in.min(LONGEST_WINDOW), ..window })
    }

    fn standard_window(&self) -> Option<Window> {
        let standings = self.list(&RATE_LIMIT)?;
        let policies = self.list(&RATE_LIMIT_POLICY).unwrap_or_default();
        let quota = |name: &str| policies.iter().find(|(known, _)| known == name).and_then(|(_, it)| number(it, "q"));
        let windows = standings.iter().filter_map(|(name, parameters)| {
            let resets_in = Duration::from_secs(number(parameters, "t")?);
            Some(Window { limit: quota(name), remaining: number(parameters, "r")?, resets_in })
        });
        // The tightest is the one that lets the fewest requests a second through until it ends.
        windows.min_by_key(|window| u128::from(window.remaining) * 1_000_000 / window.resets_in.as_millis().max(1))
    }

    /// The items of a structured list (RFC 9651 §3.1): names and parameters.
    fn list(&self, name: &HeaderName) -> Option<Vec<(String, Parameters)>> {
        let list: List = Parser::new(self.text(name)?).parse().ok()?;
        let items = list.into_iter().filter_map(|entry| match entry {
            ListEntry::Item(Item { bare_item: BareItem::String(name), params }) => Some((name.into(), params)),
            ListEntry::Item(Item { bare_item: BareItem::Token(name), params }) => Some((name.into(), params)),
            ListEntry::Item(_) | ListEntry::InnerList(_) => None,
        });
        Some(items.collect())
    }

    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}

fn number(parameters: &Parameters, key: &str) -> Option<u64> {
    let value = parameters.get(key).and_then(BareItem::as_integer)?;
    u64::try_from(i64::from(value)).ok()
}

/// Whether a 401 without a challenge is about the token: the guide's body says so.
pub(crate) fn names_invalid_token(body: &[u8]) -> bool {
    Refused::parse(body).is_some_and(|refused| refused.code == "invalid_token")
}

/// Whether a request that may have been seen by the server can be sent again: the method is idempotent
/// (RFC 9110 §9.2.2), or the caller made it so.
pub(crate) fn is_repeatable(method: &Method, headers: &HeaderMap) -> bool {
    method.is_idempotent() || headers.contains_key(IDEMPOTENCY_KEY)
}

#[cfg(test)]
mod tests;
