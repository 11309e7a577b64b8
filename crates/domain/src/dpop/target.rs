//! Where a request goes to, as a proof says it: `htu`, compared after syntax-based normalisation, without query and fragment
//! (RFC 9449 §4.3, RFC 3986 §6.2.2).

use http::Uri;

/// Characters that mean the same with and without a percent sign (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A URI in its one form. The default value is met by none.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Target {
    origin: String,
    path: String,
}

impl Target {
    /// Reads an absolute URI; `None` where it is none of HTTP, or names a user.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.split(['?', '#']).next()?;
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let host = authority.host().to_ascii_lowercase();
        let origin = match authority.port_u16() {
            Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
            _ => format!("{scheme}://{host}"),
        };
        Some(Self { origin, path: normal_path(uri.path()) })
    }

    /// The place with this path at the same origin.
    pub(super) fn at(&self, path: &str) -> Self {
        Self { origin: self.origin.clone(), path: normal_path(path) }
    }
}

/// Without needless percent-encoding, its digits in capitals, and without dot segments.
fn normal_path(path: &str) -> String {
    let decoded = without_needless_escapes(path);
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = decoded.split('/').skip(1).collect();
    for (number, segment) in segments.iter().enumerate() {
        let is_last = number + 1 == segments.len();
        match *segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn without_needless_escapes(path: &str) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = path.as_bytes();
    let (mut at, mut normal) = (0, Vec::with_capacity(bytes.len()));
    while let Some(&byte) = bytes.get(at) {
        let escaped = if byte == b'%' { digit(bytes.get(at + 1)).zip(digit(bytes.get(at + 2))) } else { None };
        match escaped.map(|(high, low)| u8::try_from(high * 16 + low).unwrap_or_default()) {
            Some(hidden) if is_unreserved(hidden) => normal.push(hidden),
            Some(_) => normal.extend(bytes[at..at + 3].to_ascii_uppercase()),
            None => normal.push(byte),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
    // What was taken out was ASCII, and what was put in as well.
    String::from_utf8(normal).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_place_has_one_form() {
        let place = Target::parse("https://api.example.com/v1/orders").unwrap();
        for same in [
            "HTTPS://API.Example.com/v1/orders",
            "https://api.example.com:443/v1/orders",
            "https://api.example.com:/v1/orders",
            "https://api.example.com/v1/orders?page=2",
            "https://api.example.com/v1/orders#top",
            "https://api.example.com/v1/orders?#",
            "https://api.example.com/v1/%6frders",
            "https://api.example.com/v1/./x/../orders",
            "https://api.example.com/%76%31/orders",
        ] {
            assert_eq!(Target::parse(same).as_ref(), Some(&place), "{same}");
        }
        for other in [
            "http://api.example.com/v1/orders",
            "https://api.example.com:8443/v1/orders",
            "https://api.example.com/v1/orders/",
            "https://api.example.com/v1/Orders",
            "https://api.example.com/v1%2Forders",
            "https://api.example.com.evil.example/v1/orders",
            "https://evil.example/https://api.example.com/v1/orders",
        ] {
            assert_ne!(Target::parse(other), Some(place.clone()), "{other}");
        }
        assert_eq!(Target::parse("https://a.example").unwrap(), Target::parse("https://a.example/").unwrap());
        assert_eq!(Target::parse("https://a.example/%2f").unwrap(), Target::parse("https://a.example/%2F").unwrap());
        assert_eq!(Target::parse("https://a.example/x/..").unwrap(), Target::parse("https://a.example/").unwrap());
    }

    #[test]
    fn what_is_no_place_of_http_is_none() {
        for text in ["", "/v1/orders", "orders", "https://", "ftp://a.example/", "https://user@a.example/v1", "a:b:c"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_form_is_its_own_form(path in "(/|%2[0-9a-fA-F]|\\.|%|[a-zA-Z0-9é~]){0,40}") {
            let once = normal_path(&format!("/{path}"));
            prop_assert!(once.starts_with('/'));
            prop_assert!(!once.split('/').any(|segment| segment == "." || segment == ".."));
            prop_assert_eq!(normal_path(&once), once);
        }

        #[test]
        fn nothing_panics(text in ".{0,80}") {
            let _ = Target::parse(&text);
        }
    }
}
