//! What a trusted proxy says of the certificate that a client has shown it (RFC 9440 §2): structured fields, read by a
//! library. Knows nobody's address, and so not who may say so.

use fuuffy_domain::{CertificateFault, Presented};
use fuuffy_protocol::client_cert::{CERTIFICATE, CHAIN};
use http::header::{HeaderMap, HeaderValue};
use sfv::{BareItem, Item, List, ListEntry, Parser};

/// Takes the fields out of a request, and answers what they say; `None` where the client has shown no certificate. What was
/// said twice, or cannot be read, is no certificate.
pub fn take_client_cert(headers: &mut HeaderMap) -> Option<Presented> {
    let mut own = headers.get_all(CERTIFICATE).iter();
    let said = own.next().map(|field| match own.next() {
        None => chain(field, headers).map_or(Presented::Unusable(CertificateFault::Field), Presented::new),
        Some(_) => Presented::Unusable(CertificateFault::Field),
    });
    headers.remove(CERTIFICATE);
    headers.remove(CHAIN);
    said
}

/// The client's own certificate and those that came with it, in DER.
fn chain(own: &HeaderValue, headers: &HeaderMap) -> Option<Vec<Vec<u8>>> {
    let own = bytes(Parser::new(own.as_bytes()).parse::<Item>().ok()?)?;
    let mut all = vec![own];
    // A list may be divided among several fields (RFC 9110 §5.3).
    let fields: Vec<&[u8]> = headers.get_all(CHAIN).iter().map(HeaderValue::as_bytes).collect();
    if fields.is_empty() {
        return Some(all);
    }
    for entry in Parser::new(&fields.join(&b", "[..])).parse::<List>().ok()? {
        let ListEntry::Item(item) = entry else {
            return None;
        };
        all.push(bytes(item)?);
    }
    Some(all)
}

fn bytes(item: Item) -> Option<Vec<u8>> {
    match item.bare_item {
        BareItem::ByteSequence(bytes) if !bytes.is_empty() => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
