//! `fuuffy drill`: what production will do some day, met today. Drills are the testing environment's own.

mod report;
mod rounds;
mod turn;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, value_parser};
use fuuffy_client::{Client, Environment, Error};
use fuuffy_domain::{Drill, DrillKind};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Common;
use super::terminal::Terminal;

/// Where a client's drills are, below the base URL.
const PATH: &str = "/auth/drills";

/// `fuuffy drill`
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("deed").required(true).args(["kind", "status", "end", "all"])))]
pub struct DrillArgs {
    /// What the next requests of this client meet.
    #[arg(value_parser = kinds())]
    kind: Option<DrillKind>,
    /// How many requests meet it; one unless said.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=Drill::MOST_REQUESTS), conflicts_with_all = ["status", "end"])]
    requests: Option<u64>,
    /// How late slow forwards, as in 3s or 500ms; at most 30s.
    #[arg(long, value_parser = delay, conflicts_with_all = ["status", "end"])]
    delay: Option<Duration>,
    /// Tell which drill is pending.
    #[arg(long)]
    status: bool,
    /// End the drill that is pending.
    #[arg(long)]
    end: bool,
    /// Run all drills in turn, under calls of its own or under COMMAND, and report.
    #[arg(long)]
    all: bool,
    /// What the calls of its own get.
    #[arg(long, default_value = "/orders", conflicts_with_all = ["kind", "status", "end", "command"])]
    path: String,
    /// The program to run once under each drill; its output goes to standard error.
    #[arg(last = true, conflicts_with_all = ["kind", "status", "end"])]
    command: Vec<OsString>,
    #[command(flatten)]
    common: Common,
}

/// A drill as the server tells it.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    drill: String,
    requests_left: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    lapses_at: String,
}

/// Where drills are set, seen and ended. Nothing that is sent from here meets one.
struct Desk {
    client: Client,
}

/// Sets, shows, ends or runs drills.
///
/// # Errors
/// The server could not be reached or refused, or writing failed.
pub async fn drill(args: DrillArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let settings = args.common.settings()?;
    if settings.environment == Environment::Production {
        writeln!(err, "There are no drills in production; nothing was sent. Use --environment testing.")?;
        return Ok(2);
    }
    let asked = match args.kind.map(|kind| Drill::new(kind, args.requests, args.delay)).transpose() {
        Ok(asked) => asked,
        Err(fault) => {
            writeln!(err, "{fault}; nothing was sent")?;
            return Ok(2);
        }
    };
    let mut out = Terminal::on(out, std::io::stdout().is_terminal());
    let out: &mut dyn Write = &mut out;
    let desk = Desk { client: settings.builder(settings.cache()?)?.build()? };
    if args.all {
        return rounds::run(&args, (&settings, &desk), out, err).await;
    }
    let pending = match asked {
        Some(drill) => Some(desk.set(&drill).await?),
        None if args.end => desk.end().await?,
        None => desk.pending().await?,
    };
    if args.common.json {
        writeln!(out, "{}", serde_json::to_string(&pending)?)?;
        return Ok(0);
    }
    let Some(pending) = pending else {
        writeln!(out, "no drill is pending")?;
        return Ok(0);
    };
    writeln!(out, "{}  {} left, until {}", pending.drill, requests(pending.requests_left), pending.lapses_at)?;
    if let Some(drill) = asked {
        let mut err = Terminal::on(err, true);
        writeln!(err, "{}", announcement(drill.kind(), &pending))?;
        err.flush()?;
    }
    Ok(0)
}

impl Desk {
    async fn set(&self, drill: &Drill) -> anyhow::Result<Pending> {
        let mut asked = json!({"drill": drill.kind().as_str(), "requests": drill.requests()});
        if let Some(delay) = drill.delay() {
            asked["delay_ms"] = u64::try_from(delay.as_millis())?.into();
        }
        let set = self.client.put(PATH).json(&asked).data().await;
        set.or_else(|error| self.explain(error))
    }

    async fn pending(&self) -> anyhow::Result<Option<Pending>> {
        self.client.get(PATH).data().await.or_else(|error| self.explain(error))
    }

    async fn end(&self) -> anyhow::Result<Option<Pending>> {
        self.client.delete(PATH).data().await.or_else(|error| self.explain(error))
    }

    fn explain<T>(&self, error: Error) -> anyhow::Result<T> {
        let knows_none = error.status().is_some_and(|status| status == http::StatusCode::NOT_FOUND);
        let outcome: Result<T, Error> = Err(error);
        if knows_none {
            let place = self.client.base_url();
            return outcome.with_context(|| format!("{place} has no drills; is it the testing environment's?"));
        }
        Ok(outcome?)
    }
}

/// What will now happen, and how it ends.
fn announcement(kind: DrillKind, pending: &Pending) -> String {
    let next = match pending.requests_left {
        1 => "The next request".to_owned(),
        left => format!("Each of the next {left} requests"),
    };
    let mut text = match kind {
        DrillKind::Expired => format!("{next} of this client is refused as if its token had expired (401)."),
        DrillKind::Revoked => format!("{next} of this client is refused as if its token were revoked (401)."),
        DrillKind::RateLimited => format!("{next} of this client is refused as if its plan were used up (429)."),
        DrillKind::AuthDown => format!("{next} of this client for a token is refused (503); tokens that live work on."),
        DrillKind::Slow => {
            let delay = Duration::from_millis(pending.delay_ms.unwrap_or_default());
            format!("{next} of this client is forwarded {} s late.", delay.as_secs_f64())
        }
        DrillKind::Flaky => match pending.requests_left {
            1 => format!("{next} of this client fails (502)."),
            left => format!("Of the next {left} requests of this client every other one fails (502)."),
        },
    };
    let ending = match kind {
        DrillKind::AuthDown => ", but meets it itself where no token is cached",
        _ => " sooner",
    };
    text.push_str(&format!(
        "\nAnswers that met it bear X-Fuuffy-Drill: {}. It lapses at {}; fuuffy drill --end ends it{ending}.",
        pending.drill, pending.lapses_at
    ));
    text
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}

fn kinds() -> impl TypedValueParser<Value = DrillKind> {
    let names = PossibleValuesParser::new(DrillKind::ALL.map(DrillKind::as_str));
    names.try_map(|name| DrillKind::find(&name).ok_or("there is no such drill"))
}

/// How long, as people write it.
fn delay(text: &str) -> Result<Duration, String> {
    let delay = text.parse::<jiff::SignedDuration>().ok().and_then(|delay| Duration::try_from(delay).ok());
    let delay = delay.filter(|delay| *delay <= Drill::LONGEST_DELAY);
    delay.ok_or_else(|| "expected a delay of at most 30 seconds, as in 3s or 500ms".to_owned())
}
