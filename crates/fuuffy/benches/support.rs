//! What the benchmarks need of the inside: the token path with the store left out, a store filled by
//! millions of tokens, how fast operators' deeds are with their records in the audit log, and the bare cost of a look-up.
//!
//!     support serve-without-store CONFIG
//!     support fill CONFIG CLIENT_ID COUNT SAMPLE_FILE   (the secret on standard input)
//!     support register CONFIG COUNT
//!     support look-up COUNT
//!     support deeds CONFIG CLIENT_ID COUNT AT_ONCE   (revokes the client's tokens so often; says the seconds)

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use fuuffy::serve::read_config;
use fuuffy::server::{Environment, Environments, Server, Sources};
use fuuffy_domain::{
    Actor, AuditEvent, Cause, CertificateId, Checkpoint, ClientChange, ClientId, ClientKeyId, ClientSlot, Clock as _,
    Entropy as _, IdentityId, KeyId, Lifetime, PlanName, RequestContext, RequestId, Revision, ScopeSet, SecretDigest,
    SecretId, SeededEntropy, Timestamp, TokenDigest,
};
use fuuffy_issuer::OAuthEndpoint;
use fuuffy_protocol::BodyShape;
use fuuffy_store::{
    Answered, AssertionUse, AuditQuery, AuditRow, CertificateUse, Changed, Conditions, Creation, Deed, Directory,
    IdentityUse, IndexedToken, ListedToken, Lost, NewCertificate, NewClient, NewClientKey, NewCredential, NewIdentity,
    NewSecret, NewToken, Once, Part, PartOf, SecretChange, SecretUse, Store, TokenIndex, TokenName,
};
use tokio::task::JoinSet;

/// Tokens that are kept for a benchmark to use.
const SAMPLE: usize = 20_000;
/// Token requests under way while filling.
const AT_ONCE: usize = 1024;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match words[..] {
        ["serve-without-store", config] => runtime.block_on(serve_without_store(config)),
        ["fill", config, client, count, sample] => runtime.block_on(fill(config, client, count.parse()?, sample)),
        ["register", config, count] => runtime.block_on(register(config, count.parse()?)),
        ["look-up", count] => look_up(count.parse()?),
        ["deeds", config, client, count, at_once] => {
            runtime.block_on(deeds(config, client, count.parse()?, at_once.parse()?))
        }
        // `cargo bench` without a benchmark of this name runs it bare.
        _ => Ok(()),
    }
}

/// A store that acknowledges tokens without writing them.
struct Forgetful(Arc<dyn Store>);

impl Store for Forgetful {
    fn directory(&self) -> &Directory {
        self.0.directory()
    }

    fn tokens(&self) -> &TokenIndex {
        self.0.tokens()
    }

    fn newest_record(&self) -> Option<Timestamp> {
        self.0.newest_record()
    }

    fn is_writable(&self) -> bool {
        self.0.is_writable()
    }

    fn is_full(&self) -> bool {
        self.0.is_full()
    }

    fn create_client(&self, cause: Cause, new: NewClient, once: Option<Once>) -> Deed<Creation> {
        self.0.create_client(cause, new, once)
    }

    fn change_client(&self, cause: Cause, id: ClientId, seen: Option<Revision>, change: ClientChange) -> Deed<Changed> {
        self.0.change_client(cause, id, seen, change)
    }

    fn add_secret(&self, cause: Cause, id: ClientId, secret: NewSecret, on: Conditions) -> Deed<Creation> {
        self.0.add_secret(cause, id, secret, on)
    }

    fn change_secret(
        &self,
        cause: Cause,
        of: (ClientId, SecretId),
        seen: Option<Revision>,
        change: SecretChange,
    ) -> Deed<Changed> {
        self.0.change_secret(cause, of, seen, change)
    }

    fn add_key(&self, cause: Cause, id: ClientId, key: NewClientKey, on: Conditions) -> Deed<Creation> {
        self.0.add_key(cause, id, key, on)
    }

    fn remove_key(&self, cause: Cause, of: (ClientId, ClientKeyId), seen: Option<Revision>) -> Deed<Changed> {
        self.0.remove_key(cause, of, seen)
    }

    fn use_assertion(&self, used: AssertionUse) -> Deed<bool> {
        self.0.use_assertion(used)
    }

    fn add_identity(&self, cause: Cause, id: ClientId, new: NewIdentity, on: Conditions) -> Deed<Creation> {
        self.0.add_identity(cause, id, new, on)
    }

    fn remove_identity(&self, cause: Cause, of: (ClientId, IdentityId), seen: Option<Revision>) -> Deed<Changed> {
        self.0.remove_identity(cause, of, seen)
    }

    fn use_identity(&self, used: IdentityUse) -> Deed<()> {
        self.0.use_identity(used)
    }

    fn add_certificate(&self, cause: Cause, id: ClientId, new: NewCertificate, on: Conditions) -> Deed<Creation> {
        self.0.add_certificate(cause, id, new, on)
    }

    fn remove_certificate(&self, cause: Cause, of: (ClientId, CertificateId), seen: Option<Revision>) -> Deed<Changed> {
        self.0.remove_certificate(cause, of, seen)
    }

    fn use_certificate(&self, used: CertificateUse) -> Deed<()> {
        self.0.use_certificate(used)
    }

    fn revoke_token(&self, cause: Cause, which: TokenName) -> Deed<Option<ListedToken>> {
        self.0.revoke_token(cause, which)
    }

    fn owner(&self, which: TokenName) -> Deed<Option<ClientSlot>> {
        self.0.owner(which)
    }

    fn note(&self, cause: Cause, event: AuditEvent) -> Deed<()> {
        self.0.note(cause, event)
    }

    fn checkpoint(&self, now: Timestamp) -> Deed<Checkpoint> {
        self.0.checkpoint(now)
    }

    fn audit(&self, wanted: AuditQuery) -> Deed<Part<AuditRow>> {
        self.0.audit(wanted)
    }

    fn deed_behind(&self, client: ClientId, lost: Lost) -> Deed<Option<AuditRow>> {
        self.0.deed_behind(client, lost)
    }

    fn list_tokens(&self, client: ClientSlot, now: Timestamp, part: PartOf) -> Deed<Part<ListedToken>> {
        self.0.list_tokens(client, now, part)
    }

    fn answered(&self, key: [u8; 32]) -> Deed<Option<Answered>> {
        self.0.answered(key)
    }

    fn note_use(&self, used: SecretUse) -> Deed<()> {
        self.0.note_use(used)
    }

    fn issue_token(&self, token: NewToken) -> Deed<()> {
        self.0.tokens().insert(&IndexedToken {
            digest: token.digest,
            client: token.grant.client().slot,
            generation: token.grant.client().generation,
            scope: Arc::new(token.grant.scope().clone()),
            issued_at: token.issued_at,
            expires_at: token.issued_at.after(token.grant.lifetime().duration()),
            binding: token.grant.binding().copied(),
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn close(&self) -> Deed<()> {
        self.0.close()
    }
}

async fn serve_without_store(config: &str) -> anyhow::Result<()> {
    let config = read_config(Path::new(config))?;
    let mut sources = Sources::system();
    sources.store = |store| Arc::new(Forgetful(store));
    let server = Server::start(config, sources).await?;
    writeln!(std::io::stdout(), "{}", serde_json::json!({"ready": server.addresses()}))?;
    std::io::stdout().flush()?;
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
    server.shutdown().await;
    Ok(())
}

/// Issues tokens by the token service itself, on disk, and keeps some of them.
async fn fill(config: &str, client: &str, count: usize, sample: &str) -> anyhow::Result<()> {
    let mut secret = String::new();
    std::io::stdin().read_to_string(&mut secret)?;
    let config = read_config(Path::new(config))?;
    let (environments, _lock) = Environments::open(&config, &Sources::system())?;
    let environment = environments.testing.clone().context("no testing environment")?;
    let form =
        bytes::Bytes::from(format!("grant_type=client_credentials&client_id={client}&client_secret={}", secret.trim()));
    let mut kept = String::new();
    let (mut issuing, mut done, every) = (JoinSet::new(), 0_usize, count.div_ceil(SAMPLE).max(1));
    for number in 0..count {
        if issuing.len() >= AT_ONCE {
            keep(issuing.join_next().await, &mut kept, &mut done, every)?;
        }
        issuing.spawn(issue(Arc::clone(&environment), form.clone()));
        if number % 1_000_000 == 999_999 {
            writeln!(std::io::stderr(), "{} of {count}", number + 1)?;
        }
    }
    while !issuing.is_empty() {
        keep(issuing.join_next().await, &mut kept, &mut done, every)?;
    }
    std::fs::write(sample, kept)?;
    environments.close().await;
    Ok(())
}

/// Registers so many clients, a transaction for many at a time.
async fn register(config: &str, count: u32) -> anyhow::Result<()> {
    let config = read_config(Path::new(config))?;
    let (environments, _lock) = Environments::open(&config, &Sources::system())?;
    let environment = environments.testing.clone().context("no testing environment")?;
    let mut registering = JoinSet::new();
    for number in 0..count {
        if registering.len() >= AT_ONCE {
            registering.join_next().await.context("nothing was under way")???;
        }
        let at = environment.clock.now();
        let request = RequestId::generate(at, [0; 10]);
        let cause = Cause { actor: Actor::Server, from: None, request, at, why: None };
        let mut random = [0; 12];
        random[..4].copy_from_slice(&number.to_be_bytes());
        let digest = SecretDigest { key: KeyId(1), bytes: [0; 32] };
        let id = SecretId::from_random(random);
        let secret = NewSecret { id, digest, created_at: at, expires_at: None, made_by: None };
        let new = NewClient {
            id: ClientId::from_random(random),
            name: format!("Client {number}"),
            scopes: ScopeSet::parse("orders:read")?,
            plan: PlanName::parse("standard")?,
            limits: None,
            token_lifetime: None,
            may_rotate: false,
            must_bind: None,
            credential: NewCredential::Secret(secret),
        };
        registering.spawn(environment.store.create_client(cause, new, None));
    }
    while let Some(done) = registering.join_next().await {
        done??;
    }
    environments.close().await;
    Ok(())
}

/// Does deeds on one client, so many at once, each on disk before the next in its place.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
async fn deeds(config: &str, client: &str, count: usize, at_once: usize) -> anyhow::Result<()> {
    let config = read_config(Path::new(config))?;
    let (environments, _lock) = Environments::open(&config, &Sources::system())?;
    let environment = environments.testing.clone().context("no testing environment")?;
    let client = ClientId::parse(client)?;
    let (begun, mut doing) = (Instant::now(), JoinSet::new());
    for _ in 0..count {
        if doing.len() >= at_once {
            doing.join_next().await.context("nothing was under way")???;
        }
        let at = environment.clock.now();
        let cause =
            Cause { actor: Actor::Server, from: None, request: RequestId::generate(at, [0; 10]), at, why: None };
        doing.spawn(environment.store.change_client(cause, client.clone(), None, ClientChange::RevokeTokens));
    }
    while let Some(done) = doing.join_next().await {
        done??;
    }
    writeln!(std::io::stdout(), "{:.3}", begun.elapsed().as_secs_f64())?;
    environments.close().await;
    Ok(())
}

type Issued = Option<Result<anyhow::Result<bytes::Bytes>, tokio::task::JoinError>>;

fn keep(issued: Issued, kept: &mut String, done: &mut usize, every: usize) -> anyhow::Result<()> {
    let body = issued.context("nothing was under way")???;
    if done.is_multiple_of(every) {
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        kept.push_str(body["data"]["access_token"].as_str().context("no token")?);
        kept.push('\n');
    }
    *done += 1;
    Ok(())
}

async fn issue(environment: Arc<Environment>, form: bytes::Bytes) -> anyhow::Result<bytes::Bytes> {
    let now = environment.clock.now();
    let context = RequestContext { id: RequestId::generate(now, [0; 10]), peer: IpAddr::V4(Ipv4Addr::LOCALHOST), now };
    let request = http::Request::post("/v1/auth/token").header("content-type", "application/x-www-form-urlencoded");
    let (parts, ()) = request.body(())?.into_parts();
    let response = environment.issuer.respond(&context, &parts, Ok(form), OAuthEndpoint::Token(BodyShape::Guide)).await;
    ensure!(response.status().is_success(), "a token was refused: {:?}", response.body());
    Ok(response.into_body())
}

/// Nanoseconds for a look-up in the index alone, in random order, and bytes a token.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn look_up(count: usize) -> anyhow::Result<()> {
    let index = TokenIndex::new(Lifetime::HOUR);
    let scope = Arc::new(ScopeSet::parse("orders:read orders:write")?);
    let entropy = SeededEntropy::new(1);
    let mut digests: Vec<TokenDigest> = Vec::with_capacity(count);
    for number in 0..count {
        let mut digest = [0; 16];
        if entropy.fill(&mut digest).is_err() {
            bail!("a seed never fails");
        }
        digests.push(digest);
        let expires_at = Timestamp::from_unix_millis(1_800_000_000_000 + i64::try_from(number * 3_600_000 / count)?);
        let (client, scope) = (ClientSlot(0), Arc::clone(&scope));
        index.insert(&IndexedToken {
            digest,
            client,
            generation: 0,
            scope,
            issued_at: expires_at,
            expires_at,
            binding: None,
        });
    }
    let (rounds, mut place, mut found) = (2_000_000, 0_usize, 0_usize);
    let begun = Instant::now();
    for _ in 0..rounds {
        place = (place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)) % count;
        found += usize::from(index.find(&digests[place]).is_some());
    }
    let each = begun.elapsed().as_nanos() / rounds;
    ensure!(found == usize::try_from(rounds)?, "a token was not found");
    let bytes = index.memory_bytes().div_ceil(count);
    let told = serde_json::json!({"tokens": count, "nanoseconds": each, "bytes_each": bytes});
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}
