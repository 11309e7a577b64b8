//! What is wrong with a request that nobody could serve, and the words for it.

/// What is wrong with a request that nobody could serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestFault {
    /// Anything but `application/x-www-form-urlencoded` where a form is expected.
    ContentType,
    /// A form that cannot be decoded.
    MalformedForm,
    /// A repeated form parameter.
    RepeatedParameter,
    /// No `grant_type`.
    MissingGrantType,
    /// No `token` where a token is asked about.
    MissingTokenParameter,
    /// Two client authentications in one request.
    SeveralAuthentications,
    /// `client_id` or `client_secret` in the query string.
    CredentialsInQuery,
    /// Two `Authorization` fields.
    RepeatedAuthorization,
    /// A path with dot segments, empty segments, or letters hidden behind percent signs.
    AmbiguousPath,
    /// A message whose length or fields can be read in two ways.
    AmbiguousFraming,
    /// Not HTTP, or a body that broke off.
    MalformedMessage,
    /// Plain HTTP where TLS is spoken.
    PlainHttp,
    /// An `Upgrade` on a route that does not allow it.
    UpgradeNotAllowed,
    /// What sets a drill is not JSON, or has other members.
    MalformedDrill,
    /// A drill that there is not.
    UnknownDrill,
    /// A drill that nobody or too many would meet.
    DrillRequests,
    /// A delay that is too long, or of a drill that has none.
    DrillDelay,
    /// A question after usage that is none.
    UsageQuery,
    /// A report of leaks that is not signed by a key that is known, or is none.
    Report,
    /// No client certificate, or one that cannot be used, where the client's tokens are always bound to one.
    NoCertificate,
    /// A proof of a key, where the client's tokens are always bound to a certificate.
    SeveralBindings,
}

impl RequestFault {
    pub(crate) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::ContentType => {
                ("The content type is not supported here", "Send Content-Type: application/x-www-form-urlencoded")
            }
            Self::MalformedForm => ("The form is malformed", "Percent-encode the values as UTF-8"),
            Self::RepeatedParameter => ("A parameter is repeated", "Send each parameter once"),
            Self::MissingGrantType => ("The parameter grant_type is missing", "Send grant_type=client_credentials"),
            Self::MissingTokenParameter => ("The parameter token is missing", "Send the token in the form, as token"),
            Self::SeveralAuthentications => (
                "The client is authenticated in more than one way",
                "Send a secret in the form or by Basic, or an assertion: one of them",
            ),
            Self::CredentialsInQuery => (
                "Credentials do not belong into the query string",
                "Send them in the form, and replace this secret: URLs are logged",
            ),
            Self::RepeatedAuthorization => ("The Authorization field is repeated", "Send one Authorization field"),
            Self::AmbiguousPath => (
                "The path can be read in more than one way",
                "Leave out dot segments, empty segments and needless percent-encoding",
            ),
            Self::AmbiguousFraming => (
                "The message can be read in more than one way",
                "Send one Content-Length or one Transfer-Encoding, and well-formed fields",
            ),
            Self::MalformedMessage => {
                ("The request is not well-formed HTTP", "Check the request line, the fields and the body")
            }
            Self::PlainHttp => (
                "Plain HTTP was sent to a port that speaks HTTPS alone",
                "Use https:// in the URL; a secret or token that was sent is to be replaced, since it crossed the network in clear",
            ),
            Self::UpgradeNotAllowed => ("This route does not allow an upgrade", "Leave out the Upgrade field"),
            Self::MalformedDrill => (
                "The drill is not a JSON object of the members that a drill has",
                "Send drill, and if need be requests and delay_ms as whole numbers, and nothing else",
            ),
            Self::UnknownDrill => {
                ("There is no such drill", "The drills are expired, revoked, rate-limited, auth-down, slow and flaky")
            }
            Self::DrillRequests => ("So many requests cannot meet a drill", "Send requests from 1 to 1000"),
            Self::DrillDelay => ("The drill cannot have that delay", "Send delay_ms up to 30000, and for slow alone"),
            Self::NoCertificate => (
                "The tokens of this client are bound to its certificate, and none came that can be used",
                "Show a client certificate whose time is now in the handshake; the request's id tells the client what is wrong",
            ),
            Self::SeveralBindings => (
                "The tokens of this client are bound to its certificate, and a DPoP proof came besides",
                "Leave the field DPoP out, or ask the operator of the API to bind this client's tokens otherwise",
            ),
            Self::Report => (
                "The report is not signed by a key that is known here, or cannot be read",
                "Send an array of objects with a token each, and sign the body with the key that Github-Public-Key-Identifier names",
            ),
            Self::UsageQuery => (
                "The question after usage is not understood",
                "Send by (client, route, minute, hour or day), since and until (24h, 7d or a time), page and per_page",
            ),
        }
    }
}
