//! The listener that an authority comes to by plain HTTP. It answers what a challenge asks for (RFC 8555 §8.3); everybody
//! else is told that there is HTTPS alone, and what leaked by asking is looked into, as on a port that speaks TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuuffy_domain::{Clock as _, RequestContext};
use fuuffy_protocol::{BodyShape, Refusal};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::challenges::Challenges;
use crate::server::{Environment, Environments, connection, farewell, told_to_stop};

/// Connections at a time. Whoever comes while there are so many waits to be accepted.
const MOST: usize = 256;
/// How long a request may take, and its answer.
const PATIENCE: Duration = Duration::from_secs(5);
const FOLDER: &str = "/.well-known/acme-challenge/";
/// Tokens are base64url of at least 128 bits (RFC 8555 §8.3); none is as long as this.
const LONGEST_TOKEN: usize = 256;

/// Where authorities come by plain HTTP.
pub(in crate::server) struct Plain {
    listener: TcpListener,
    pub(in crate::server) address: SocketAddr,
}

/// What a request in clear asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct PlainRequest<'a> {
    /// The token of a challenge, if it asks for one.
    pub token: Option<&'a str>,
    /// The host, without a port.
    pub host: Option<&'a str>,
}

impl<'a> PlainRequest<'a> {
    /// Reads the head of a request. What is no head asks for nothing.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let nothing = Self { token: None, host: None };
        if !matches!(head.parse(bytes), Ok(httparse::Status::Complete(_))) {
            return nothing;
        }
        let host = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("host"));
        let host = host.and_then(|field| std::str::from_utf8(field.value).ok());
        let host = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
        let is_token = |token: &&str| {
            (1..=LONGEST_TOKEN).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        let token = head.path.filter(|_| head.method == Some("GET")).and_then(|path| path.strip_prefix(FOLDER));
        Self { token: token.filter(is_token), host }
    }
}

impl Plain {
    pub(in crate::server) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    /// Answers until told to stop.
    pub(in crate::server) async fn serve(
        self,
        challenges: Arc<Challenges>,
        environments: Environments,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let has_room = connections.len() < MOST;
            tokio::select! {
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, peer)) => {
                        let (challenges, environments) = (Arc::clone(&challenges), environments.clone());
                        connections.spawn(async move { answer(stream, peer, &challenges, &environments).await });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "A connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = told_to_stop(&mut stopped) => break,
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

async fn answer(mut stream: TcpStream, peer: SocketAddr, challenges: &Challenges, environments: &Environments) {
    let mut heard = Zeroizing::new(Vec::new());
    let _ = timeout(PATIENCE, connection::hear(&mut stream, &mut heard)).await;
    let request = PlainRequest::read(&heard);
    let Some((environment, context)) = met(environments, peer, request.host) else {
        return;
    };
    let Some(token) = request.token else {
        return connection::refuse_heard(environment, (&context, &heard), stream).await;
    };
    let answer = match challenges.under(token) {
        Some(authorization) => {
            tracing::debug!(%peer, "A challenge was looked at");
            Bytes::from(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{authorization}",
                authorization.len()
            ))
        }
        None => farewell::answer(context.id, &Refusal::NotFound, (BodyShape::Guide, "http")),
    };
    let said = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    // Whoever went away comes again.
    let _ = timeout(PATIENCE, said).await;
}

/// Who is meant by a host, or else whoever there is; and the request.
fn met<'a>(
    environments: &'a Environments,
    peer: SocketAddr,
    host: Option<&str>,
) -> Option<(&'a Environment, RequestContext)> {
    let is_meant = |environment: &&Arc<Environment>| {
        let hosts = environment.settings.hosts.iter().flatten();
        host.is_some_and(|host| hosts.into_iter().any(|known| known.eq_ignore_ascii_case(host)))
    };
    let environment = environments.iter().find(is_meant).or_else(|| environments.iter().next())?;
    let context = RequestContext {
        id: environments.new_request_id()?,
        peer: peer.ip().to_canonical(),
        now: environment.clock.now(),
    };
    Some((environment, context))
}
