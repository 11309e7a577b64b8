//! What clients used: by client, by route or by time.

use std::ops::Range;
use std::time::Duration;

use fuuffy_domain::{Client, ClientId, Minute, Timestamp, Usage};
use fuuffy_store::{Grouping, Part, PartOf, Step, UsageQuery, UsageRow};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::deed::{DeedError, Environment, client_id};

/// What is told unless more is asked for.
const USUALLY: Duration = Duration::from_secs(24 * 3600);
/// What is told by the minute, unless that is asked for by name.
const BY_MINUTE: Duration = Duration::from_secs(2 * 3600);

/// Which usage.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageWanted {
    /// Of this client alone.
    #[param(pattern = r"^[A-Za-z0-9_-]{1,64}$")]
    client_id: Option<String>,
    /// What makes a row.
    #[serde(default)]
    #[param(inline, value_type = Option<By>)]
    by: By,
    /// From when on: how long ago, as in 90m, 24h or 7d, or a time (RFC 3339); 24h unless given. The step that it is in
    /// counts whole: the minute of the last two hours, the hour of the last 35 days, else the day.
    #[param(
        pattern = r"^([0-9]{1,5}[mhd]|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$"
    )]
    since: Option<String>,
    /// Until when; now unless given.
    #[param(
        pattern = r"^([0-9]{1,5}[mhd]|20[0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$"
    )]
    until: Option<String>,
    /// From 1.
    #[serde(default = "crate::api::first")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 9007199254740991_u64)]
    pub(crate) page: usize,
    /// Up to 100.
    #[serde(default = "crate::api::twenty")]
    #[param(value_type = Option<u64>, minimum = 1, maximum = 100)]
    pub(crate) per_page: usize,
}

/// What makes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    #[default]
    Client,
    Route,
    Minute,
    Hour,
    Day,
}

/// What was used by a client, of a route or in a step of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct ShownUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// What people call the client; empty where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The prefix of the route, the path of the token endpoint, or empty where no route was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// When the step began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    at: Option<Timestamp>,
    /// Requests that were answered, refused ones included.
    requests: u64,
    /// Those by the class of their answer.
    #[serde(rename = "1xx")]
    informational: u64,
    #[serde(rename = "2xx")]
    successful: u64,
    #[serde(rename = "3xx")]
    redirected: u64,
    #[serde(rename = "4xx")]
    client_errors: u64,
    #[serde(rename = "5xx")]
    server_errors: u64,
    /// Those answered with 401 or 403.
    forbidden: u64,
    /// Those answered with 404.
    not_found: u64,
    /// Those that the client's plan did not let through.
    limited: u64,
    /// Those that a limit that is only observed would not have let through.
    observed: u64,
    /// Those for which the API behind the gateway failed.
    failed: u64,
    /// Bytes of bodies from the client.
    bytes_in: u64,
    /// Bytes of bodies to the client.
    bytes_out: u64,
    /// How long the client waited for the head of the answer, in milliseconds: half of the requests at most so long,
    /// told up to 41 % too large; none where there were no requests.
    p50_ms: Option<f64>,
    /// The same for 95 of 100.
    p95_ms: Option<f64>,
    /// The same for 99 of 100.
    p99_ms: Option<f64>,
}

impl ShownUsage {
    fn new(row: UsageRow, client: Option<&Client>) -> Self {
        let UsageRow { client: slot, route, at, usage } = row;
        let Usage { requests, classes, forbidden, not_found, limited, failed, bytes_in, bytes_out, latency, observed } =
            usage;
        let millis = |part| latency.quantile(part).map(|took| took.as_secs_f64() * 1000.0);
        let [informational, successful, redirected, client_errors, server_errors] = classes;
        Self {
            client_id: slot.map(|_| client.map(|client| client.id.to_string()).unwrap_or_default()),
            name: slot.map(|_| client.map(|client| client.name.clone()).unwrap_or_default()),
            route,
            at,
            requests,
            informational,
            successful,
            redirected,
            client_errors,
            server_errors,
            forbidden,
            not_found,
            limited,
            observed,
            failed,
            bytes_in,
            bytes_out,
            p50_ms: millis(0.5),
            p95_ms: millis(0.95),
            p99_ms: millis(0.99),
        }
    }
}

/// What was used, for operators.
pub(crate) async fn list(
    environment: &Environment,
    wanted: &UsageWanted,
    part: PartOf,
) -> Result<Part<ShownUsage>, DeedError> {
    let client = match &wanted.client_id {
        Some(id) => Some(environment.store.directory().find(&client_id(id)?).ok_or(DeedError::NotFound("client"))?),
        None => None,
    };
    read(environment, wanted, client.as_deref(), part).await
}

/// What a client used itself, and where in its list that stands.
///
/// # Errors
/// What is asked for is not what it must be, or the usage cannot be read.
pub async fn own_usage(
    environment: &Environment,
    client: &ClientId,
    wanted: &UsageWanted,
) -> Result<Part<ShownUsage>, DeedError> {
    if wanted.client_id.as_ref().is_some_and(|id| id != client.as_str()) {
        return Err(DeedError::NotFound("client"));
    }
    let client = environment.store.directory().find(client).ok_or(DeedError::NotFound("client"))?;
    read(environment, wanted, Some(&client), wanted.part()?).await
}

impl UsageWanted {
    /// # Errors
    /// [`DeedError::Invalid`]
    fn part(&self) -> Result<PartOf, DeedError> {
        if self.page == 0 || !(1..=100).contains(&self.per_page) {
            return Err(DeedError::Invalid("page is from 1, and per_page from 1 to 100".to_owned()));
        }
        Ok(PartOf { skip: (self.page - 1).saturating_mul(self.per_page), take: self.per_page })
    }

    /// The page, and how many there are on it at most.
    #[must_use]
    pub const fn page(&self) -> (usize, usize) {
        (self.page, self.per_page)
    }

    fn query(&self, client: Option<&Client>, now: Timestamp) -> Result<UsageQuery, DeedError> {
        let time = time(self.since.as_deref(), self.until.as_deref(), now)?;
        let (by, step) = match self.by {
            By::Client => (Grouping::Client, step_of(&time, now)),
            By::Route => (Grouping::Route, step_of(&time, now)),
            By::Minute => (Grouping::Time, Step::Minute),
            By::Hour => (Grouping::Time, Step::Hour),
            By::Day => (Grouping::Time, Step::Day),
        };
        // Each step costs a look, and before that there is none to find.
        let oldest = ago(now, step.kept());
        let time = time.start.max(oldest)..time.end.max(oldest);
        Ok(UsageQuery { client: client.map(|client| client.slot), by, time, step })
    }
}

/// The time that is asked for.
///
/// # Errors
/// [`DeedError::Invalid`]
pub(crate) fn time(since: Option<&str>, until: Option<&str>, now: Timestamp) -> Result<Range<Timestamp>, DeedError> {
    let wrong = |name: &str| {
        DeedError::Invalid(format!(
            "{name} is how long ago, as in 90m, 24h or 7d, or a time, as in 2030-01-01T00:00:00Z"
        ))
    };
    let start = match since {
        Some(text) => moment(text, now).ok_or_else(|| wrong("since"))?,
        None => ago(now, USUALLY),
    };
    let end = match until {
        Some(text) => moment(text, now).ok_or_else(|| wrong("until"))?,
        None => now.after(Duration::from_millis(1)),
    };
    // Nothing is kept for longer, and nothing is to come.
    let (oldest, soon) = (ago(now, Step::Day.kept()), now.after(Duration::from_secs(60)));
    Ok(start.clamp(oldest, soon)..end.clamp(oldest, soon))
}

async fn read(
    environment: &Environment,
    wanted: &UsageWanted,
    client: Option<&Client>,
    part: PartOf,
) -> Result<Part<ShownUsage>, DeedError> {
    let now = environment.clock.now();
    let rows = environment.usage.read(wanted.query(client, now)?, now).await?;
    let total = rows.len();
    let shown = |row: UsageRow| {
        let client = row.client.and_then(|slot| environment.store.directory().get(slot));
        ShownUsage::new(row, client.as_deref())
    };
    Ok(Part { items: rows.into_iter().skip(part.skip).take(part.take).map(shown).collect(), total })
}

/// The finest step that the whole time is kept in, but for short times no finer than it takes.
fn step_of(time: &Range<Timestamp>, now: Timestamp) -> Step {
    let age = now.since(time.start);
    if age <= BY_MINUTE {
        Step::Minute
    } else if age <= Step::Hour.kept() {
        Step::Hour
    } else {
        Step::Day
    }
}

fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let unit = match text.as_bytes().last() {
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 24 * 3600,
        _ => return text.parse().ok().map(|at: jiff::Timestamp| Timestamp::from_unix_millis(at.as_millisecond())),
    };
    let digits = &text[..text.len() - 1];
    let count: u64 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(ago(now, Duration::from_secs(count.checked_mul(unit)?)))
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_millis(now.unix_millis().saturating_sub(age)).max(Minute(0).start())
}
