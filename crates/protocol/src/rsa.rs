//! The RSA keys that a client may sign assertions by (RS256, RFC 7523 §5), for both of its sides, and where such a key is in
//! PKCS #8.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of a modulus: 2048 bits, which RFC 7518 §3.3 wants at least, 3072 or 4096. What checks a signature takes the longer
/// the longer the modulus is, so there are few lengths, and a signature tells by its own which it is.
pub const MODULI: [usize; 3] = [256, 384, 512];
/// The public exponent, 65537, as a JWK has it.
pub const EXPONENT: &str = "AQAB";

/// The bytes of a modulus as a JWK has it (RFC 7518 §6.3.1.1), if it is of a length that a client's key may have.
#[must_use]
pub fn modulus_length(n: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(n).ok()?;
    let is_full = bytes.first().is_some_and(|high| *high >= 0x80) && bytes.last().is_some_and(|low| low % 2 == 1);
    (is_full && MODULI.contains(&bytes.len())).then_some(bytes.len())
}

/// An RSA private key (RFC 8017 §A.1.2) within PKCS #8 (RFC 5958 §2), as all write it whose keys have 1024 bits or more.
#[must_use]
pub fn within_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    /// Between the outer length and the inner one: version 0, rsaEncryption (RFC 8017 §A.1), and that bytes follow.
    const BETWEEN: [u8; 20] = [2, 1, 0, 48, 13, 6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 1, 5, 0, 4, 130];
    let inner = |bytes| -> Option<&[u8]> {
        let (length, rest) = <[u8]>::split_first_chunk::<2>(bytes)?;
        (usize::from(u16::from_be_bytes(*length)) == rest.len()).then_some(rest)
    };
    inner(inner(pkcs8.strip_prefix(&[48, 130])?)?.strip_prefix(&BETWEEN)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(length: usize, high: u8, low: u8) -> String {
        let mut bytes = vec![1; length];
        bytes[0] = high;
        bytes[length - 1] = low;
        URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn a_modulus_has_2048_3072_or_4096_bits() {
        for length in MODULI {
            assert_eq!(modulus_length(&modulus(length, 0x80, 1)), Some(length));
            assert_eq!(modulus_length(&modulus(length, 0x7f, 1)), None, "a bit less");
            assert_eq!(modulus_length(&modulus(length, 0x80, 2)), None, "even");
            assert_eq!(modulus_length(&modulus(length + 1, 0x80, 1)), None);
            assert_eq!(modulus_length(&modulus(length - 1, 0x80, 1)), None);
            assert_eq!(modulus_length(&modulus(length + 1, 0, 1)), None, "a leading zero (RFC 7518 §6.3.1.1)");
            assert_eq!(modulus_length(&(modulus(length, 0x80, 1) + "=")), None);
        }
        assert_eq!(modulus_length(""), None);
    }

    #[test]
    fn a_key_is_found_in_pkcs8_and_in_nothing_else() {
        let mut whole =
            vec![48, 130, 1, 23, 2, 1, 0, 48, 13, 6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 1, 5, 0, 4, 130, 1, 1];
        whole.extend([7; 257]);
        assert_eq!(within_pkcs8(&whole), Some(&[7; 257][..]));
        for place in 0..26 {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert_eq!(within_pkcs8(&changed), None, "byte {place}");
            assert_eq!(within_pkcs8(&whole[..place]), None);
        }
        assert_eq!(within_pkcs8(&whole[..whole.len() - 1]), None);
        whole.push(7);
        assert_eq!(within_pkcs8(&whole), None);
    }
}
