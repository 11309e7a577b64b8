//! What the authority is to find while it looks whether names are ours: by plain HTTP (RFC 8555 §8.3), or in a handshake
//! (RFC 8737). Nothing of it is secret, and none of it lasts longer than an order.

use std::collections::HashMap;
use std::sync::Arc;

use instant_acme::KeyAuthorization;
use parking_lot::RwLock;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

/// The protocol of handshakes that only show such a certificate (RFC 8737 §6.2).
pub(in crate::server) const ACME_TLS: &[u8] = b"acme-tls/1";

/// What is to be found now.
#[derive(Debug, Default)]
pub(in crate::server) struct Challenges {
    /// What stands under each token.
    by_http: RwLock<HashMap<String, String>>,
    /// What is shown for each name.
    by_handshake: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Challenges {
    pub(super) fn put_by_http(&self, token: &str, authorization: &KeyAuthorization) {
        self.by_http.write().insert(token.to_owned(), authorization.as_str().to_owned());
    }

    /// A certificate for this name alone, signed by itself, with the authorization's digest in it (RFC 8737 §3).
    pub(super) fn put_by_handshake(&self, name: &str, authorization: &KeyAuthorization) -> anyhow::Result<()> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(authorization.digest().as_ref())];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        // Its critical extension is one that an ordinary verifier refuses, so it is not looked at.
        let signs = default_provider().key_provider.load_private_key(key)?;
        let certified = Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signs));
        self.by_handshake.write().insert(name.to_ascii_lowercase(), certified);
        Ok(())
    }

    /// What stands under a token.
    pub(super) fn under(&self, token: &str) -> Option<String> {
        self.by_http.read().get(token).cloned()
    }

    /// What is shown to whoever speaks [`ACME_TLS`] alone.
    pub(in crate::server) fn shown_for(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.by_handshake.read().get(&name.to_ascii_lowercase()).cloned()
    }

    /// The order is over.
    pub(super) fn clear(&self) {
        self.by_http.write().clear();
        self.by_handshake.write().clear();
    }
}
