//! Letters, as they are read.

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_000);

fn words_of(kind: &str, data: Value) -> Words {
    words(&json!({"id": "msg_1", "type": kind, "environment": "production", "sent_at": NOW, "data": data}))
}

#[test]
fn an_alert_says_what_since_when_and_what_to_do_next() {
    let opened = json!({"client_id": "app_1", "client_name": "Acme", "kind": "volume_drop", "opened_at": NOW,
        "severity": "critical", "words": "The client made no request. Ask its owner."});
    let Words { subject, text } = words_of("unusual.opened", opened);
    assert_eq!(subject, "[fuuffy production] Critical of Acme: volume drop");
    let begins = "Critical of Acme: volume drop, in the production environment.\nIt was noticed at \
        2027-01-15T08:00:00.000Z.\n\nThe client made no request. Ask its owner.\n\nid: msg_1\ntype: unusual.opened\n";
    assert!(text.starts_with(begins), "{text}");
    let closed = json!({"client_name": "Acme", "kind": "volume_drop", "opened_at": NOW, "closed_at": NOW});
    assert_eq!(words_of("unusual.closed", closed).subject, "[fuuffy production] As usual again, Acme: volume drop");
    // What has no client is of the environment, and what is new has its words all the same.
    let Words { subject, text } = words_of("upstream.down", json!({"words": "It is down."}));
    assert_eq!(subject, "[fuuffy production] Upstream down of the production environment");
    assert!(text.contains("\nIt is down.\n"), "{text}");
}

#[test]
fn nothing_in_an_alert_makes_a_field_or_a_line() {
    let name = "a\r\nBcc: b@c\u{85}\u{2029}d".to_owned() + &"é".repeat(300);
    let alert = json!({"id": "msg_1\r\nx: y", "type": "test\r\n", "environment": "testing", "data":
        {"client_name": name}});
    let Words { subject, text } = words(&alert);
    assert!(!subject.contains(['\r', '\n', '\u{2029}']), "{subject:?}");
    assert!(!text.lines().any(|line| line.starts_with("Bcc") || line.starts_with('x')), "{text:?}");
    let letter = letter(
        &alert.to_string(),
        &"Fuuffy <a@example.com>".parse().unwrap(),
        &["Größe <b@example.com>".parse().unwrap()],
        NOW,
    );
    let letter = String::from_utf8(letter.unwrap().formatted()).unwrap();
    let (head, _) = letter.split_once("\r\n\r\n").unwrap();
    let fields: Vec<&str> = head.lines().filter(|line| !line.starts_with(' ')).collect();
    let names: Vec<&str> = fields.iter().map(|field| field.split(':').next().unwrap()).collect();
    assert!(!names.iter().any(|name| ["bcc", "x"].contains(&name.to_ascii_lowercase().as_str())), "{head}");
    assert!(letter.lines().all(|line| line.len() <= 998) && letter.is_ascii(), "{letter}");
}
