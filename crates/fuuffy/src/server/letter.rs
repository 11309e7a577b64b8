//! An alert as a letter: what happened, since when and what to do next, in plain words, and then all that its JSON has.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use fuuffy_domain::Timestamp;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use serde_json::Value;

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 150;

/// The letter of an alert, the same for each attempt but for its date.
pub(super) fn letter(body: &str, from: &Mailbox, to: &[Mailbox], now: Timestamp) -> anyhow::Result<Message> {
    let alert: Value = serde_json::from_str(body).context("the alert is no JSON")?;
    let Words { subject, text } = words(&alert);
    let millis = u64::try_from(now.unix_millis()).unwrap_or_default();
    let id = format!("<{}@{}>", plain(&alert["id"]), from.email.domain());
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(subject)
        .date(UNIX_EPOCH + Duration::from_millis(millis))
        .message_id(Some(id))
        // No machine is to answer (RFC 3834).
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    for recipient in to {
        builder = builder.to(recipient.clone());
    }
    builder.header(ContentType::TEXT_PLAIN).body(text).context("the alert makes no letter")
}

struct Words {
    subject: String,
    text: String,
}

fn words(alert: &Value) -> Words {
    let data = &alert["data"];
    let environment = plain(&alert["environment"]);
    let whose = data.get("client_name").map_or_else(|| format!("the {environment} environment"), plain);
    let kind = plain(&data["kind"]).replace('_', " ");
    let (what, since, next) = match alert["type"].as_str().unwrap_or_default() {
        "secret.expires" => (
            format!("A secret of {whose} expires in {} days", plain(&data["days"])),
            format!("It stops working at {}.", plain(&data["expires_at"])),
            format!(
                "Add another secret (fuuffy secrets add --environment {environment} --client {}), and give it to \
                 whoever uses this one.",
                plain(&data["client_id"])
            ),
        ),
        "certificate.expires" => (
            format!("The certificate of {} ends in {} days", plain(&data["listener"]), plain(&data["days"])),
            format!("From {} on no caller takes it.", plain(&data["expires_at"])),
            match data["source"].as_str() {
                Some("acme") => "See by fuuffy certs status why no other is got.".to_owned(),
                _ => "Put a new one in the place of its files; the server takes it by itself.".to_owned(),
            },
        ),
        "certificate.order_failed" => (
            format!("No certificate was got for {}", plain(&data["listener"])),
            match data["expires_at"].as_str() {
                Some(ends_at) => format!("The one that is shown is good until {}.", cleaned(ends_at)),
                None => "There is none yet, and no caller can connect.".to_owned(),
            },
            format!("{}. It is tried again at {}.", plain(&data["error"]), plain(&data["next_attempt_at"])),
        ),
        "unusual.opened" => (
            format!("{} of {whose}: {kind}", capital(&plain(&data["severity"]))),
            format!("It was noticed at {}.", plain(&data["opened_at"])),
            plain(&data["words"]),
        ),
        "unusual.closed" => (
            format!("As usual again, {whose}: {kind}"),
            format!("It was noticed at {}, and was over at {}.", plain(&data["opened_at"]), plain(&data["closed_at"])),
            "Nothing is to be done.".to_owned(),
        ),
        "test" => (
            "A test of alerts".to_owned(),
            format!("It was asked for at {}.", plain(&alert["sent_at"])),
            "Nothing is to be done: letters arrive.".to_owned(),
        ),
        other => (
            format!("{} of {whose}", capital(&other.replace(['.', '_'], " "))),
            format!("It was told at {}.", plain(&alert["sent_at"])),
            data.get("words").map_or_else(|| "Look at what follows.".to_owned(), plain),
        ),
    };
    let subject: String = cleaned(&format!("[fuuffy {environment}] {what}")).chars().take(LONGEST_SUBJECT).collect();
    let mut text = format!("{what}, in the {environment} environment.\n{since}\n\n{next}\n\n");
    for (name, value) in alert.as_object().into_iter().flatten().filter(|(name, _)| *name != "data") {
        text.push_str(&format!("{name}: {}\n", plain(value)));
    }
    for (name, value) in data.as_object().into_iter().flatten() {
        text.push_str(&format!("{name}: {}\n", plain(value)));
    }
    Words { subject, text }
}

/// A value in one line, whatever it is.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => cleaned(text),
        other => other.to_string(),
    }
}

/// No name of a client makes a line of its own.
fn cleaned(text: &str) -> String {
    let is_break = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}');
    text.chars().map(|letter| if is_break(letter) { ' ' } else { letter }).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests;
