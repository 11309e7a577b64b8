//! All ids, each its own type.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::Timestamp;

/// Text that is not the id it was given as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id is 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")]
pub struct IdFault;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id: 1 to 64 characters that mean nothing to a URL, a form or a header.
            ///
            /// # Errors
            /// [`IdFault`]
            pub fn parse(text: &str) -> Result<Self, IdFault> {
                let fits = (1..=64).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
                if fits { Ok(Self(Arc::from(text))) } else { Err(IdFault) }
            }

            /// A new id of 96 random bits.
            #[must_use]
            pub fn from_random(random: [u8; 12]) -> Self {
                let mut text = String::from($prefix);
                for byte in random {
                    text.push_str(&format!("{byte:02x}"));
                }
                Self(Arc::from(text))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdFault;

            fn try_from(text: String) -> Result<Self, IdFault> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }
    };
}

text_id!(
    /// A registered application (RFC 6749 §2.2).
    ClientId,
    "app_"
);
text_id!(
    /// One secret of a client.
    SecretId,
    "sec_"
);
text_id!(
    /// One public key of a client: its thumbprint (RFC 7638).
    ClientKeyId,
    "key_"
);
text_id!(
    /// What one platform's token may say for a client to be known by it.
    IdentityId,
    "idn_"
);
text_id!(
    /// One way in which a client is known by certificate.
    CertificateId,
    "crt_"
);
text_id!(
    /// One message to whoever takes alerts, the same for each attempt to deliver it.
    MessageId,
    "msg_"
);
text_id!(
    /// An operator's word that something is known and nobody is to be told of it.
    SilenceId,
    "sil_"
);
text_id!(
    /// The name of a plan in the configuration.
    PlanName,
    "plan_"
);

/// Which key of the keyring made a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub u32);

/// A client's place in its environment's memory: small, and never reused while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientSlot(pub u32);

/// A request's id: UUID version 7 (RFC 9562 §5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// An id of the time and 74 random bits.
    #[must_use]
    pub fn generate(now: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.unix_millis().unsigned_abs(), &random).into_uuid())
    }

    /// Reads the hyphenated text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 36).then(|| Uuid::parse_str(text).ok().map(Self)).flatten()
    }

    /// Its 16 bytes, which order ids by their time.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// The hyphenated text, written into a buffer of the caller.
    pub fn encode(self, buffer: &mut [u8; 36]) -> &str {
        self.0.hyphenated().encode_lower(buffer)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
