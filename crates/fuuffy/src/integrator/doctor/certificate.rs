//! The client's certificate: which one is shown, and whether it is good for a while. That it is not is the server's to say,
//! by its own clock; here it is worth a word.

use std::time::{Duration, SystemTime};

use fuuffy_client::{BaseUrl, ClientCertificate};

use super::super::Settings;
use super::Finding;
use super::checks::wrong_setup;

const NAME: &str = "certificate";
/// One that ends sooner is told of, unless it lives for days anyway.
const SOON: Duration = Duration::from_secs(14 * 86_400);
const ADVICE: &str =
    "put another one and its key in the place of the two files; they are read again for every token request";

/// The certificate, if the client has one.
pub(super) async fn read(settings: &Settings<'_>, base_url: &BaseUrl) -> Result<Option<ClientCertificate>, Finding> {
    let Some(files) = settings.variables().certificate_files().map_err(wrong_setup)? else {
        return Ok(None);
    };
    if !base_url.is_https() {
        let found = format!("{base_url} is in clear: without TLS there is nobody to show a certificate to");
        let advice = "use https://, or leave FUUFFY_CLIENT_CERT_FILE and FUUFFY_CLIENT_CERT_KEY_FILE out";
        return Err(Finding::failed(NAME, found, advice).of_configuration());
    }
    let read = tokio::task::spawn_blocking(move || files.read()).await;
    let failed = |found: String| {
        let advice = "the certificate is where FUUFFY_CLIENT_CERT_FILE and FUUFFY_CLIENT_CERT_KEY_FILE or the profile say, or \
                      they say the wrong place";
        Finding::failed(NAME, found, advice).of_configuration()
    };
    let read = read.map_err(|_| failed("the files could not be read".to_owned()))?;
    read.map(Some).map_err(|error| failed(error.to_string()))
}

/// Whose it is, and until when it is good.
pub(super) fn finding(certificate: &ClientCertificate, now: SystemTime) -> Finding {
    let (subject, thumbprint) = (certificate.subject(), certificate.thumbprint());
    let (starts_at, ends_at) = (certificate.starts_at(), certificate.ends_at());
    let day = httpdate::fmt_http_date;
    if now < starts_at {
        let found = format!("{subject} is not valid before {}", day(starts_at));
        return Finding::warning(NAME, found, "is this machine's clock right?");
    }
    let Some(left) = ends_at.duration_since(now).ok().filter(|left| !left.is_zero()) else {
        return Finding::warning(NAME, format!("{subject} has expired on {}", day(ends_at)), ADVICE);
    };
    let life = ends_at.duration_since(starts_at).unwrap_or_default();
    let found = format!("{subject}, until {}, thumbprint {thumbprint}", day(ends_at));
    // Whoever issues short ones replaces them in the last third.
    if left < SOON.min(life / 4) {
        Finding::warning(NAME, format!("{found}: it ends soon"), ADVICE)
    } else {
        Finding::ok(NAME, found)
    }
}
