//! Where alerts go.

use super::{Section, key};

pub(in crate::config) static REMINDERS: Section = Section {
    heading: "`[environments.….reminders]`",
    about: "That a secret expires is told 14 days, 3 days and a day before, in the log and here.",
    keys: &[
        key(
            "webhook",
            "an https:// URL without a query, or an http:// one of a private address with webhook_allow_private",
            "",
            "Gets a POST with JSON, again at growing distances for a day until it answers with 2xx.",
        ),
        key(
            "webhook_key_file",
            "the path of a file of at least 32 bytes that nobody else can read",
            "",
            "The key of `X-Fuuffy-Signature`: HMAC-SHA-256 of the body, in hexadecimal digits.",
        ),
        key(
            "webhook_allow_private",
            "true or false",
            "false",
            "Whether the webhook may be on this machine or its own network: loopback, RFC 1918, `100.64.0.0/10` and `fc00::/7`. Where its name has any other address than it may have, nothing is sent.",
        ),
    ],
};

pub(in crate::config) static EMAIL: Section = Section {
    heading: "`[environments.….email]`",
    about: "Every alert goes here too, with the same facts, again at growing distances for a day until the mail server takes it.",
    keys: &[
        key(
            "server",
            r#"a host and a port, as in "smtp.example.com:587""#,
            "",
            "The mail server that takes the letters.",
        ),
        key(
            "tls",
            r#""required", "implicit", or "none" for a server on loopback"#,
            r#""required""#,
            "`required` is STARTTLS, without which nothing is sent; `implicit` is TLS from the first byte, as on port 465.",
        ),
        key("from", r#"an address, as in "Fuuffy <gateway@example.com>""#, "", "Who the letters are from."),
        key("to", r#"a list of at most 20 addresses, as in ["ops@example.com"]"#, "", "Who gets them."),
        key(
            "username",
            "a name of up to 255 characters, with password_file beside it",
            "none",
            "Who signs in, by AUTH PLAIN or LOGIN.",
        ),
        key(
            "password_file",
            "the path of a file that nobody else can read, with username beside it",
            "none",
            "Its password, without white space at the end. Read at the start.",
        ),
        key(
            "allow_private",
            "true or false",
            "false",
            "Whether the server may be on this machine or its own network, as `webhook_allow_private` says of a webhook.",
        ),
    ],
};
