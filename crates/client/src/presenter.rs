//! Shows the client's certificate on every connection (RFC 8705), and another one once it is there. A token is used over
//! connections that show the certificate which it was granted for, whatever has come meanwhile.

use std::fmt;
use std::sync::Arc;

use http::{Extensions, Request, Response};
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::credentials::CertificateFiles;
use crate::http_client::{HttpClient, TransportError};
use crate::{BaseUrl, Body, BoxFuture, ClientCertificate, Error};

/// What makes an HTTP client whose connections show a certificate.
pub(crate) type Connect = dyn Fn(&ClientCertificate) -> Result<Arc<dyn HttpClient>, Error> + Send + Sync;

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Given(ClientCertificate),
    Files(CertificateFiles),
}

/// The certificate that is shown now, and how another one is come by.
pub(crate) struct Presenter {
    source: Source,
    connect: Box<Connect>,
    clock: Arc<dyn Clock>,
    shown: Mutex<Shown>,
}

/// A certificate, and the connections that show it.
#[derive(Clone)]
pub(crate) struct Shown(Arc<Pool>);

struct Pool {
    certificate: ClientCertificate,
    http: Arc<dyn HttpClient>,
}

impl Presenter {
    /// Reads the certificate, which must be there.
    pub(crate) fn new(
        source: Source,
        base_url: &BaseUrl,
        connect: Option<Box<Connect>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        if !base_url.is_https() {
            return Err(Error::configuration(format!(
                "the client has a certificate, and {base_url} is in clear: without TLS there is nobody to show it to; \
                 use https://, or leave the certificate out"
            )));
        }
        let connect = connect.unwrap_or_else(|| usual(base_url.clone()));
        let certificate = match &source {
            Source::Given(certificate) => certificate.clone(),
            Source::Files(files) => files.read()?,
        };
        let shown = Shown::by(certificate, &*connect)?;
        Ok(Self { source, connect, clock, shown: Mutex::new(shown) })
    }

    /// Looks whether there is another certificate, and answers what is to be shown from here on. Two files are not replaced
    /// at once: while what is there cannot be used, the one from before is, as long as it is good.
    pub(crate) async fn look(&self) -> Result<Shown, Error> {
        let (current, now) = (self.current(), self.clock.wall());
        let Source::Files(files) = self.source.clone() else {
            return Ok(current);
        };
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let read = read.map_err(|_| Error::credentials("the files of the client's certificate could not be read"))?;
        let certificate = match read {
            Ok(certificate) if certificate.thumbprint() == current.thumbprint() => {
                if certificate.ends_at() <= now {
                    tracing::warn!(
                        subject = certificate.subject(),
                        "The client's certificate has expired; put a new one in its place"
                    );
                }
                return Ok(current);
            }
            Ok(certificate) => certificate,
            Err(error) if now < current.0.certificate.ends_at() => {
                tracing::warn!(%error, "The client's certificate cannot be read anew; the one from before is shown on");
                return Ok(current);
            }
            Err(error) => return Err(error),
        };
        let shown = Shown::by(certificate, &*self.connect)?;
        let (subject, thumbprint) = (shown.0.certificate.subject(), shown.thumbprint());
        tracing::info!(subject, thumbprint, "Another certificate of the client is shown");
        *self.shown.lock() = shown.clone();
        Ok(shown)
    }

    fn current(&self) -> Shown {
        self.shown.lock().clone()
    }

    /// What to look at where the server does not know a client by its certificate.
    pub(crate) fn advice(&self) -> String {
        let current = self.current();
        let certificate = &current.0.certificate;
        format!(
            "The client is known by its certificate alone, {} (thumbprint {}): has it expired, is it registered for this \
             client in this environment (fuuffy clients certificates list), and does every proxy on the way pass it on?",
            certificate.subject(),
            certificate.thumbprint()
        )
    }
}

impl HttpClient for Presenter {
    fn send(&self, mut request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let shown = request.extensions_mut().remove::<Shown>().unwrap_or_else(|| self.current());
        Box::pin(async move { shown.0.http.send(request).await })
    }
}

impl Shown {
    fn by(certificate: ClientCertificate, connect: &Connect) -> Result<Self, Error> {
        let http = connect(&certificate)?;
        Ok(Self(Arc::new(Pool { certificate, http })))
    }

    /// Has a request sent by these connections.
    pub(crate) fn go_along(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }

    /// What tokens that are bound to the certificate name it by.
    pub(crate) fn thumbprint(&self) -> &str {
        self.0.certificate.thumbprint()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shown").field(&self.0.certificate).finish()
    }
}

#[cfg(feature = "reqwest")]
fn usual(base_url: BaseUrl) -> Box<Connect> {
    Box::new(move |certificate| Ok(Arc::new(crate::ReqwestClient::showing(&base_url, certificate)?)))
}

#[cfg(not(feature = "reqwest"))]
fn usual(_: BaseUrl) -> Box<Connect> {
    Box::new(|_| {
        Err(Error::configuration("the client was built without reqwest; give it what connects by http_client_showing"))
    })
}
