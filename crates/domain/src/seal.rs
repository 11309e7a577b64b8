//! What is kept on disk so that nobody reads it there: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha §2) under a key that is
//! kept elsewhere.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::{Entropy, NoEntropy};

/// The length of a nonce, which stands before what is sealed.
const NONCE: usize = 24;

/// A key that things are sealed with.
pub struct Seal(pub(crate) Zeroizing<[u8; 32]>);

impl Seal {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Seals some bytes as what they are: sealed as one thing, they are not opened as another.
    ///
    /// # Errors
    /// [`NoEntropy`]
    pub fn close(&self, what: &[u8], bytes: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, NoEntropy> {
        let mut nonce = [0; NONCE];
        entropy.fill(&mut nonce)?;
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), Payload { msg: bytes, aad: what });
        let sealed = sealed.expect("what is in memory is short enough to be sealed");
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed with this key as what it is, or nothing.
    #[must_use]
    pub fn open(&self, what: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE)?;
        let payload = Payload { msg: sealed, aad: what };
        self.cipher().decrypt(&XNonce::try_from(nonce).ok()?, payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededEntropy;

    #[test]
    fn only_the_key_opens_it_and_only_as_what_it_is() {
        let (seal, entropy) = (Seal::new([1; 32]), SeededEntropy::new(1));
        let sealed = seal.close(b"a letter", b"Dear Ada", &entropy).unwrap();
        assert_eq!(seal.open(b"a letter", &sealed).unwrap().as_slice(), b"Dear Ada");
        assert!(seal.open(b"a bill", &sealed).is_none());
        assert!(Seal::new([2; 32]).open(b"a letter", &sealed).is_none());
        let again = seal.close(b"a letter", b"Dear Ada", &entropy).unwrap();
        assert_ne!(sealed, again, "no nonce is used twice");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(seal.open(b"a letter", &changed).is_none(), "byte {place}");
            assert!(seal.open(b"a letter", &sealed[..place]).is_none(), "{place} bytes");
        }
    }
}
