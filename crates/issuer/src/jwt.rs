//! Tokens that are JWTs (RFC 9068), for those who verify them by themselves. To us they are as opaque as others: their
//! digest is kept and looked up, so that they end when they are revoked, and nothing in them is believed.

use fuuffy_domain::{ApprovedGrant, Binding, SigningSeeds, Timestamp, to_hex};
use fuuffy_protocol::{AccessToken, Confirmation, Refusal};
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Issuer;

/// The type of such a token (RFC 9068 §2.1), so that it is taken for no other kind of JWT.
const TYPE: &str = "at+jwt";

/// What a token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenFormat {
    /// `sk-` and digits.
    #[default]
    Opaque,
    /// A JWT that anybody can verify by the public keys.
    Jwt,
}

impl TokenFormat {
    /// Reads `opaque` or `jwt`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Opaque, Self::Jwt].into_iter().find(|format| format.name() == text)
    }

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Jwt => "jwt",
        }
    }
}

/// The claims of a token (RFC 9068 §2.2). Its subject is the client, which acts for nobody else.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The key that it is bound to, if it is to one (RFC 7800 §3.1), for whoever verifies it without asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

impl Issuer {
    /// A token for a grant whose life begins now, told apart from all others by random bytes, which are wiped. It says
    /// that it ends up to a second before it does.
    pub(crate) fn jwt(
        &self,
        seeds: &SigningSeeds,
        random: &mut [u8],
        grant: &ApprovedGrant,
        issued_at: Timestamp,
    ) -> Result<AccessToken, Refusal> {
        let jti = Zeroizing::new(to_hex(random));
        random.zeroize();
        let (client, scope) = (grant.client().id.as_str(), grant.scope());
        let claims = Claims {
            iss: self.identifiers.issuer(),
            sub: client,
            aud: self.identifiers.resource(),
            client_id: client,
            iat: issued_at.unix_seconds(),
            exp: issued_at.after(grant.lifetime().duration()).unix_seconds(),
            jti: &jti,
            scope: (!scope.is_empty()).then(|| scope.to_string()),
            cnf: grant.binding().map(Binding::confirmation),
        };
        let signed = self.sign(seeds, self.token_signing, TYPE, &claims).map(Zeroizing::new)?;
        // What is too long to be presented is not granted.
        AccessToken::signed(signed).ok_or(Refusal::InvalidScope)
    }
}
