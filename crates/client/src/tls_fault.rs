//! Why TLS came to nothing, as far as it matters for what to do about it. In none of these cases did anything of a request
//! get to anybody, and sending it again would change nothing.

use std::fmt;

/// What was wrong with the server's end of TLS, or with the client's for the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate is by an authority that this machine does not know.
    UnknownAuthority,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    WrongName,
    /// The certificate does not hold for another reason.
    Certificate,
    /// The server does not take the client's certificate, or wants one and got none.
    ClientCertificate,
    /// What came is not TLS.
    NotTls,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAuthority => "the server's certificate is by an authority that this machine does not know",
            Self::Expired => "the server's certificate has expired",
            Self::NotYetValid => "the server's certificate is not valid yet",
            Self::WrongName => "the server's certificate is for another name",
            Self::Certificate => "the server's certificate does not hold",
            Self::ClientCertificate => "the server refused the client's certificate, or that it has none",
            Self::NotTls => "the server does not speak TLS at that port",
        })
    }
}

#[cfg(feature = "reqwest")]
impl TlsFault {
    /// The fault beneath an error, if there is one.
    pub(crate) fn beneath(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Self::of(error);
            }
            // An I/O error tells its cause's cause as its own, and HTTP/2's tells none.
            let io = error.downcast_ref::<std::io::Error>();
            let io = io.or_else(|| error.downcast_ref::<h2::Error>().and_then(h2::Error::get_io));
            let inner = io.and_then(std::io::Error::get_ref);
            next = inner.map(|inner| inner as &(dyn std::error::Error + 'static)).or_else(|| error.source());
        }
        None
    }

    fn of(error: &rustls::Error) -> Option<Self> {
        use rustls::{AlertDescription as Alert, CertificateError as Wrong};
        Some(match error {
            rustls::Error::InvalidCertificate(wrong) => match wrong {
                // The signature is wrong where a known authority's name has another key, as when it was made anew.
                Wrong::UnknownIssuer | Wrong::BadSignature => Self::UnknownAuthority,
                Wrong::Expired | Wrong::ExpiredContext { .. } => Self::Expired,
                Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => Self::NotYetValid,
                Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => Self::WrongName,
                _ => Self::Certificate,
            },
            rustls::Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired,
            ) => Self::ClientCertificate,
            rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
            _ => return None,
        })
    }
}
