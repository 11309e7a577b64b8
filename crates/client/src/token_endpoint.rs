//! One token request (RFC 6749 §4.4.2), from reading the secret to the grant in its answer.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuuffy_protocol::{TokenGrant, TokenType};
use http::{Method, Request, StatusCode, Uri, header};
use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::credentials::{ClientProof, CredentialSource, Credentials};
use crate::decide::Grant;
use crate::exchange::Exchange;
use crate::observe::Event;
use crate::presenter::Shown;
use crate::prover::Moment;
use crate::{Body, ESCAPED, Error};

const WHAT: &str = "the token request";

/// Where tokens come from, and by whose secret.
pub(crate) struct TokenEndpoint {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) url: Uri,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) scope: Option<String>,
    /// What the token service is called (RFC 8414 §2): whom an assertion is for.
    #[cfg_attr(not(feature = "private-key"), expect(dead_code, reason = "only assertions name it"))]
    pub(crate) issuer: String,
}

impl TokenEndpoint {
    /// Asks for a token, by connections that show what is to be shown. A secret that is refused is read again, once: it may have
    /// been rotated.
    pub(crate) async fn fetch(&self, shown: Option<&Shown>) -> Result<Grant, Error> {
        let credentials = self.credentials.read().await?;
        let refused = match self.request(&credentials, shown).await {
            Err(error) if error.code() == Some("invalid_client") => error,
            outcome => return outcome,
        };
        let again = self.credentials.read().await?;
        if again.is_same(&credentials) { Err(refused) } else { self.request(&again, shown).await }
    }

    /// Asks for a token by these credentials; once more where the server wants its nonce in the proof (RFC 9449 §8).
    pub(crate) async fn request(&self, credentials: &Credentials, shown: Option<&Shown>) -> Result<Grant, Error> {
        match self.attempt(credentials, shown).await {
            Err(error) if error.code() == Some("use_dpop_nonce") && self.exchange.prover.is_some() => {
                self.attempt(credentials, shown).await
            }
            #[cfg(feature = "client-certificate")]
            Err(error)
                if error.code() == Some("invalid_client") && matches!(credentials.proof, ClientProof::Certificate) =>
            {
                Err(self.exchange.presenter.as_ref().map_or(error.clone(), |it| error.advised(&it.advice())))
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, credentials: &Credentials, shown: Option<&Shown>) -> Result<Grant, Error> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(self.form(credentials)?)
            .map_err(|_| Error::configuration("the token endpoint's URL makes no request"))?;
        if let Some(shown) = shown {
            shown.go_along(request.extensions_mut());
        }
        let request = self.proven(request)?;
        let answer = self.exchange.send(WHAT, request, StatusCode::OK).await?;
        if let Some(at) = answer.head().secret_expires() {
            self.tell_expiry(at);
        }
        let granted = TokenGrant::parse(&answer.body).map_err(|fault| answer.wrong(&fault.to_string()))?;
        match (granted.token_type, &self.exchange.prover) {
            (TokenType::Bearer, None) | (TokenType::Dpop, Some(_)) => {}
            // Whoever wants bound tokens wants no other (RFC 9449 §5).
            (TokenType::Bearer, Some(_)) => return Err(answer.wrong("it is not bound to the key that was proven")),
            (TokenType::Dpop, None) => {
                return Err(answer.wrong("it is bound to a key; set the key of its proofs, as by FUUFFY_DPOP_KEY_FILE"));
            }
        }
        let life = granted.expires_in.map(Duration::from_secs);
        Ok(Grant { access_token: granted.access_token, life, refresh_after: None, scope: granted.scope })
    }

    /// The request with a proof, where tokens are to be bound.
    fn proven(&self, request: Request<Body>) -> Result<Request<Body>, Error> {
        let Some(prover) = &self.exchange.prover else {
            return Ok(request);
        };
        let (mut parts, body) = request.into_parts();
        let clock = self.exchange.clock();
        prover.prove(&mut parts, None, Moment { wall: clock.wall(), now: clock.now() })?;
        Ok(Request::from_parts(parts, body))
    }

    /// Reports with each token that the secret expires soon.
    fn tell_expiry(&self, at: SystemTime) {
        tracing::warn!(at = httpdate::fmt_http_date(at), "The client's secret expires soon; replace it");
        self.exchange.observer().on(&Event::SecretExpires { at });
    }

    /// The form, wiped when it was sent.
    fn form(&self, credentials: &Credentials) -> Result<Body, Error> {
        let proof = self.proof(credentials)?;
        let scope = self.scope.as_deref().unwrap_or_default();
        // Room for all of it, escaped: growing would leave copies behind unwiped.
        let proofs: usize = proof.iter().map(|(name, value)| name.len() + 3 * value.len()).sum();
        let longest = 128 + 3 * (credentials.client_id.len() + scope.len()) + proofs;
        let mut form = Zeroizing::new(Vec::with_capacity(longest));
        let mut add = |name: &str, value: &str| {
            let joint = if form.is_empty() { "" } else { "&" };
            form.extend_from_slice(joint.as_bytes());
            form.extend_from_slice(name.as_bytes());
            form.push(b'=');
            utf8_percent_encode(value, ESCAPED).for_each(|piece| form.extend_from_slice(piece.as_bytes()));
        };
        add("grant_type", "client_credentials");
        add("client_id", &credentials.client_id);
        for (name, value) in &proof {
            add(name, value);
        }
        if let Some(scope) = &self.scope {
            add("scope", scope);
        }
        Ok(Body::from(Bytes::from_owner(form)))
    }

    /// The parameters that prove who asks.
    fn proof(&self, credentials: &Credentials) -> Result<Vec<(&'static str, Zeroizing<String>)>, Error> {
        let kind = || Zeroizing::new(fuuffy_protocol::ClientAuthentication::ASSERTION_TYPE.to_owned());
        match &credentials.proof {
            ClientProof::Secret(secret) => Ok(vec![("client_secret", Zeroizing::new(secret.reveal().to_owned()))]),
            #[cfg(feature = "private-key")]
            ClientProof::Key(key) => {
                let assertion = key.assertion(&credentials.client_id, &self.issuer, self.exchange.clock().wall())?;
                Ok(vec![("client_assertion_type", kind()), ("client_assertion", assertion)])
            }
            // The platform asserts it, in the place of the client itself.
            ClientProof::Identity(token) => {
                let token = Zeroizing::new(token.reveal().to_owned());
                Ok(vec![("client_assertion_type", kind()), ("client_assertion", token)])
            }
            // The connection proves it (RFC 8705 §2).
            #[cfg(feature = "client-certificate")]
            ClientProof::Certificate if self.exchange.presenter.is_some() => Ok(Vec::new()),
            #[cfg(feature = "client-certificate")]
            ClientProof::Certificate => Err(Error::configuration(
                "the client is to be known by its certificate, and has none; give it one, as by FUUFFY_CLIENT_CERT_FILE \
                 and FUUFFY_CLIENT_CERT_KEY_FILE",
            )),
        }
    }
}
