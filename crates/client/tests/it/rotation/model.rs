//! Two machines that replace the secret of one client where nothing keeps them apart, killed at any moment: what is
//! kept works, always, and whoever comes last brings it to an end.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use fuuffy_client::test_util::ManualClock;
use fuuffy_client::{
    Body, BoxFuture, Client, ClientSecret, Clock as _, CredentialSource, Credentials, Error, HttpClient, Replacement,
    Rotation, TransportError,
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;

const IN_FLIGHT: Duration = Duration::from_secs(600);
const UNUSED_FOR: Duration = Duration::from_secs(86_400);

/// A secret as the server keeps it.
#[derive(Debug, Clone)]
struct Kept {
    text: String,
    created_at: SystemTime,
    is_pending: bool,
    used_at: Option<SystemTime>,
    retiring_since: Option<SystemTime>,
    is_retired: bool,
}

/// A server by the rules of the real one, and the place where the secret is kept.
#[derive(Clone)]
struct World {
    secrets: Arc<Mutex<Vec<Kept>>>,
    place: Arc<Mutex<String>>,
    clock: ManualClock,
}

/// A moment at which another process can go on, or this one be killed.
async fn step() {
    let mut was_here = false;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut was_here, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Kept {
    fn is_in_flight(&self, now: SystemTime) -> bool {
        self.is_pending && now < self.created_at + IN_FLIGHT
    }
}

impl World {
    fn new() -> Self {
        let world = Self { secrets: Arc::default(), place: Arc::default(), clock: ManualClock::default() };
        let first = Kept { is_pending: false, ..world.secret() };
        *world.place.lock() = first.text.clone();
        world.secrets.lock().push(first);
        world
    }

    fn secret(&self) -> Kept {
        Kept {
            text: format!("secret-{}", self.secrets.lock().len()),
            created_at: self.clock.wall(),
            is_pending: true,
            used_at: None,
            retiring_since: None,
            is_retired: false,
        }
    }

    fn client(&self) -> Client {
        let builder = Client::builder().base_url("http://127.0.0.1:1/v1").clock(self.clock.clone()).seed(7);
        builder.http_client(self.clone()).credential_source(self.clone()).build().unwrap()
    }

    /// What the server knows of the secret that is kept.
    fn kept(&self) -> Kept {
        let place = self.place.lock().clone();
        self.secrets.lock().iter().find(|secret| secret.text == place).unwrap().clone()
    }

    /// Time goes by. Whatever runs somewhere uses the secret that is kept.
    fn pass(&self, time: Duration) {
        self.clock.pass(time);
        let (now, place) = (self.clock.wall(), self.place.lock().clone());
        for secret in self.secrets.lock().iter_mut() {
            if secret.text == place {
                secret.used_at = Some(now);
            }
            let quiet_since = secret.retiring_since.map(|since| secret.used_at.map_or(since, |used| used.max(since)));
            secret.is_retired |= quiet_since.is_some_and(|since| now >= since + UNUSED_FOR);
        }
    }

    fn answer(&self, method: &str, path: &str, presented: &str) -> (u16, serde_json::Value) {
        let now = self.clock.wall();
        let next = self.secret();
        let mut secrets = self.secrets.lock();
        let refused =
            |status: u16, code: &str| (status, json!({"error": {"code": code, "message": "No", "details": ""}}));
        let Some(known) = secrets.iter().position(|secret| secret.text == presented && !secret.is_retired) else {
            return refused(401, "invalid_client");
        };
        match (method, path) {
            ("POST", "/v1/auth/token") => {
                secrets[known].used_at = Some(now);
                (200, json!({"data": {"access_token": "sk-1", "token_type": "Bearer", "expires_in": 3600}}))
            }
            ("GET", "/v1/auth/secrets") => {
                let shown = secrets.iter().filter(|secret| !secret.is_retired).map(|secret| {
                    let status = match secret {
                        Kept { retiring_since: Some(_), .. } => "retiring",
                        Kept { is_pending: true, .. } => "pending",
                        _ => "live",
                    };
                    let created_at = secret.created_at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
                    let created_at = jiff::Timestamp::from_millisecond(i64::try_from(created_at).unwrap()).unwrap();
                    json!({"secret_id": secret.text, "created_at": created_at.to_string(), "expires_at": null,
                           "status": status, "presented": secret.text == presented})
                });
                (200, json!({"data": shown.collect::<Vec<_>>()}))
            }
            ("POST", "/v1/auth/secrets") => {
                let unused = secrets.iter_mut().find(|secret| {
                    secret.is_pending && secret.used_at.is_none() && !secret.is_retired && !secret.is_in_flight(now)
                });
                if let Some(unused) = unused {
                    unused.is_retired = true;
                }
                if secrets.iter().filter(|secret| !secret.is_retired).count() >= 3 {
                    return refused(409, "too_many_secrets");
                }
                secrets.push(next.clone());
                (201, json!({"data": {"secret_id": next.text, "client_secret": next.text, "expires_at": null}}))
            }
            ("POST", "/v1/auth/secrets/confirm") => {
                if std::mem::replace(&mut secrets[known].is_pending, false) {
                    let others =
                        secrets.iter_mut().filter(|secret| secret.text != presented && !secret.is_in_flight(now));
                    others.for_each(|secret| secret.retiring_since = secret.retiring_since.or(Some(now)));
                }
                (200, json!({"data": {"secret_id": presented, "retiring": [], "unused_for": "86400s"}}))
            }
            _ => refused(404, "not_found"),
        }
    }
}

impl HttpClient for World {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let presented = match parts.headers.get("authorization") {
                Some(basic) => {
                    let pair = basic.to_str().unwrap().strip_prefix("Basic ").unwrap();
                    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(pair).unwrap()).unwrap()
                }
                None => String::from_utf8(body.to_vec()).unwrap().replace("&client_secret=", ":"),
            };
            step().await;
            let presented = presented.rsplit_once(':').unwrap().1;
            let (status, answer) = self.answer(parts.method.as_str(), parts.uri.path(), presented);
            step().await;
            let date = httpdate::fmt_http_date(self.clock.wall());
            Ok(Response::builder().status(status).header("date", date).body(Body::from(answer.to_string())).unwrap())
        })
    }
}

impl CredentialSource for World {
    fn read(&self) -> BoxFuture<'_, Result<Credentials, Error>> {
        Box::pin(async {
            step().await;
            let client_secret = ClientSecret::presented(&self.place.lock());
            Ok(Credentials::with_secret("app".to_owned(), client_secret))
        })
    }

    fn begin_replacement(&self) -> BoxFuture<'_, Result<Box<dyn Replacement>, Error>> {
        Box::pin(async {
            let right = Right { credentials: self.read().await?, place: Arc::clone(&self.place) };
            Ok(Box::new(right) as Box<dyn Replacement>)
        })
    }
}

struct Right {
    credentials: Credentials,
    place: Arc<Mutex<String>>,
}

impl Replacement for Right {
    fn current(&self) -> &Credentials {
        &self.credentials
    }

    fn keep<'a>(&'a mut self, secret: &'a ClientSecret) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async {
            step().await;
            *self.place.lock() = secret.reveal().to_owned();
            step().await;
            Ok(())
        })
    }
}

#[derive(Debug, Clone)]
enum Deed {
    /// One of the two goes on until its next moment.
    GoOn(usize),
    Kill(usize),
    /// Both are killed, and so much time goes by.
    PowerCut(Duration),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        30 => (0..2usize).prop_map(Deed::GoOn),
        1 => (0..2usize).prop_map(Deed::Kill),
        1 => prop_oneof![Just(1), Just(700), Just(90_000)].prop_map(|seconds| Deed::PowerCut(Duration::from_secs(seconds))),
    ];
    proptest::collection::vec(deed, 0..200)
}

type Run = BoxFuture<'static, Result<Rotation, Error>>;

fn run(client: &Client) -> Run {
    let client = client.clone();
    Box::pin(async move { client.rotate(None).await })
}

fn to_its_end(mut run: Run) -> Result<Rotation, Error> {
    loop {
        if let Poll::Ready(ended) = run.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return ended;
        }
    }
}

proptest! {
    #[test]
    fn what_is_kept_works_always_and_whoever_comes_last_ends_it(deeds in deeds()) {
        let world = World::new();
        let client = world.client();
        let mut runs: [Option<Run>; 2] = [None, None];
        for deed in deeds {
            match deed {
                Deed::GoOn(who) => {
                    let going = runs[who].get_or_insert_with(|| run(&client));
                    if going.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                        runs[who] = None;
                    }
                }
                Deed::Kill(who) => runs[who] = None,
                Deed::PowerCut(time) => {
                    runs = [None, None];
                    world.pass(time);
                }
            }
            prop_assert!(!world.kept().is_retired, "what is kept does not work: {:?}", world.secrets.lock());
        }
        drop(runs);
        // A day and ten minutes later there is room for another.
        world.pass(UNUSED_FOR + IN_FLIGHT);
        let ended = to_its_end(run(&client));
        prop_assert!(matches!(ended, Ok(Rotation::Replaced(_) | Rotation::Finished(_))), "{ended:?}");
        let kept = world.kept();
        prop_assert!(!kept.is_pending && kept.retiring_since.is_none() && !kept.is_retired, "{kept:?}");
        world.pass(UNUSED_FOR);
        let live: Vec<_> = world.secrets.lock().iter().filter(|secret| !secret.is_retired).cloned().collect();
        prop_assert_eq!(live.len(), 1, "the others are gone: {:?}", live);
    }
}
