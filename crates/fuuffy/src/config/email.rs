//! Who gets letters: the section of a configuration that names the mail server.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::table::Table;

/// The most addresses that a letter goes to.
const MOST_ADDRESSES: usize = 20;

/// A mail server, and from whom to whom letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailConfig {
    /// Its name or address, and its port.
    pub server: (String, u16),
    /// Who speaks TLS, and from when on.
    pub tls: MailTls,
    /// Who letters are from.
    pub from: Mailbox,
    /// Who gets them; at least one.
    pub to: Vec<Mailbox>,
    /// Who signs in, and the file with the password.
    pub login: Option<(String, PathBuf)>,
    /// Whether the server may be at a private address.
    pub allow_private: bool,
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// By STARTTLS (RFC 3207), and else not at all.
    Required,
    /// From the first byte (RFC 8314).
    Implicit,
    /// In clear, on loopback alone.
    None,
}

impl MailTls {
    /// As the configuration says it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Implicit => "implicit",
            Self::None => "none",
        }
    }
}

pub(super) fn read(table: &Table<'_>, folder: &Path) -> Option<EmailConfig> {
    let server = table.required("server", server);
    let tls = table.parsed("tls", |text| {
        [MailTls::Required, MailTls::Implicit, MailTls::None].into_iter().find(|tls| tls.name() == text)
    });
    let tls = if table.has("tls") { tls } else { Some(MailTls::Required) };
    if let (Some((host, _)), Some(MailTls::None)) = (&server, tls)
        && !is_loopback(host)
    {
        table.mistake(
            "tls",
            r#"a mail server that is not on loopback must have TLS; expected "required" or "implicit""#,
        );
    }
    let from = table.required("from", mailbox);
    let expected = || r#"expected an address, as in "ops@example.com""#.to_owned();
    let to = table.list("to", |text| mailbox(text).ok_or_else(expected));
    if to.as_ref().is_none_or(|to| to.is_empty() || to.len() > MOST_ADDRESSES) {
        table.wrong("to");
    }
    let username = table.parsed("username", |text| is_name(text).then(|| text.to_owned()));
    let password_file = table.parsed("password_file", |path| (!path.is_empty()).then(|| folder.join(path)));
    for (here, other) in [("username", "password_file"), ("password_file", "username")] {
        if table.has(here) && !table.has(other) {
            table.wrong(here);
        }
    }
    let allow_private = table.boolean("allow_private").unwrap_or_default();
    Some(EmailConfig {
        server: server?,
        tls: tls?,
        from: from?,
        to: to?,
        login: username.zip(password_file),
        allow_private,
    })
}

/// `smtp.example.com:587`, `192.0.2.1:25` or `[::1]:25`.
fn server(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6)?.to_string(),
        None => (!host.is_empty() && host.len() <= 253 && host.chars().all(plain)).then(|| host.to_owned())?,
    };
    Some((host, port))
}

/// An address of ASCII, which every mail server takes, and a name without control characters.
fn mailbox(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.parse().ok()?;
    let is_plain = |letter: char| letter.is_ascii_graphic();
    let address: &str = mailbox.email.as_ref();
    (!text.chars().any(char::is_control) && address.chars().all(is_plain)).then_some(mailbox)
}

fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
