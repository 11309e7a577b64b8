//! `fuuffy clients certificates`, and the certificate that `fuuffy clients create` is given.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use http::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::{Call, Care, InEnvironment, OfClient, Shape, Why, segment};

/// The largest file that has a certificate, in bytes.
const LARGEST: u64 = 64 * 1024;
/// Characters of a line of PEM (RFC 7468 §2).
const LINE: usize = 64;

/// `fuuffy clients certificates`
#[derive(Debug, Args)]
pub(super) struct CertificatesArgs {
    #[command(subcommand)]
    command: CertificatesCommand,
}

/// The name that a certificate must have which one of the configured authorities has signed.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// Its subject as RFC 4514 writes it, as in "CN=orders,O=Acme,C=DE".
    #[arg(long, value_name = "NAME", group = "rule")]
    subject_dn: Option<String>,
    /// A name of DNS in it, as in orders.example.com.
    #[arg(long, value_name = "NAME", group = "rule")]
    san_dns: Option<String>,
    /// A URI in it, as in spiffe://example.com/orders.
    #[arg(long, value_name = "URI", group = "rule")]
    san_uri: Option<String>,
    /// An address in it, as in 192.0.2.7.
    #[arg(long, value_name = "ADDRESS", group = "rule")]
    san_ip: Option<String>,
    /// An address of electronic mail in it.
    #[arg(long, value_name = "ADDRESS", group = "rule")]
    san_email: Option<String>,
}

#[derive(Debug, Subcommand)]
enum CertificatesCommand {
    /// Have a client known by a certificate: by a name in one of a configured authority, or by one itself. It may have ten.
    #[command(group = clap::ArgGroup::new("rule").required(true))]
    Add {
        #[command(flatten)]
        client: OfClient,
        #[command(flatten)]
        name: Name,
        /// A file with the certificate itself in PEM, the client's own first, whoever signed it.
        #[arg(long, value_name = "FILE", group = "rule")]
        file: Option<PathBuf>,
        #[command(flatten)]
        why: Why,
    },
    /// List the certificates that a client is known by.
    List {
        #[command(flatten)]
        client: OfClient,
    },
    /// Take a certificate away: nobody is known by it any more.
    Remove {
        #[command(flatten)]
        client: OfClient,
        /// The certificate's id.
        #[arg(long, value_name = "CERTIFICATE_ID")]
        certificate: String,
        #[command(flatten)]
        why: Why,
    },
}

const COLUMNS: &[&str] =
    &["certificate_id", "method", "kind", "value", "expires_at", "created_at", "last_used_at", "use_count"];

impl CertificatesArgs {
    /// The call that it comes to.
    ///
    /// # Errors
    /// The file has no certificate.
    pub(super) fn call(self) -> anyhow::Result<(InEnvironment, Call)> {
        let of = |client: &OfClient| format!("clients/{}/certificates", segment(&client.client));
        Ok(match self.command {
            CertificatesCommand::Add { client, name, file, why } => {
                let (path, body) = (of(&client), name.body(file.as_deref())?);
                (client.place, Call::create(path, body.unwrap_or_default(), why))
            }
            CertificatesCommand::List { client } => {
                let path = of(&client);
                (client.place, Call::get(path, Shape::Table(COLUMNS)))
            }
            CertificatesCommand::Remove { client, certificate, why } => {
                let path = format!("{}/{}", of(&client), segment(&certificate));
                let call = Call::post(path, None, why);
                (client.place, Call { method: Method::DELETE, care: Care::Nothing, ..call })
            }
        })
    }
}

impl Name {
    /// What the operators' API gets; `None` where neither a name nor a file was given.
    ///
    /// # Errors
    /// The file has no certificate.
    pub(super) fn body(self, file: Option<&Path>) -> anyhow::Result<Option<Value>> {
        let given = [
            ("subject_dn", self.subject_dn),
            ("san_dns", self.san_dns),
            ("san_uri", self.san_uri),
            ("san_ip", self.san_ip),
            ("san_email", self.san_email),
            ("certificate", file.map(first_certificate).transpose()?),
        ];
        let mut given = given.into_iter().filter_map(|(kind, text)| Some((kind, text?)));
        Ok(given.next().map(|(kind, text)| json!({kind: text})))
    }
}

/// The first certificate in a file, in PEM. Nothing else in the file is sent, and least of all a private key.
fn first_certificate(file: &Path) -> anyhow::Result<String> {
    use base64::Engine as _;
    let shown = file.display();
    let cannot = || format!("{shown} could not be read");
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).with_context(cannot)?;
    opened.take(LARGEST + 1).read_to_end(&mut text).with_context(cannot)?;
    ensure!(text.len() as u64 <= LARGEST, "{shown} is larger than any file with a certificate");
    // What the parser says could quote a key.
    let Some(Ok(der)) = CertificateDer::pem_slice_iter(&text).next() else {
        bail!("{shown} has no certificate; expected PEM, as in -----BEGIN CERTIFICATE-----");
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(&der);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in encoded.as_bytes().chunks(LINE) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    Ok(pem)
}
