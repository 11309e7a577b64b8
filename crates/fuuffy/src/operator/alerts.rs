//! `fuuffy alerts`

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::Map;

use super::{Call, Common, InEnvironment, Shape, Why, run, segment};

/// `fuuffy alerts`
#[derive(Debug, Args)]
pub struct AlertsArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// List the alerts that nobody has taken yet: those that wait, and dead letters.
    List {
        #[command(flatten)]
        place: InEnvironment,
        /// Those of this state alone.
        #[arg(long, value_name = "STATE")]
        state: Option<State>,
    },
    /// Send an alert once more, now and for another day.
    Redeliver {
        #[command(flatten)]
        place: InEnvironment,
        #[command(flatten)]
        which: Which,
        /// By this channel alone.
        #[arg(long, value_name = "CHANNEL")]
        channel: Option<Channel>,
        #[command(flatten)]
        why: Why,
    },
    /// Have nobody told of something that is known, for a while. It is still logged.
    Silence {
        #[command(flatten)]
        place: InEnvironment,
        /// Alerts of this client alone.
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// Alerts of this kind alone, as in volume_drop.
        #[arg(long)]
        kind: Option<String>,
        /// For how long: a whole number with the unit s, m, h or d, up to 365d.
        #[arg(long = "for", value_name = "TIME")]
        lasts: String,
        /// Why, for the audit log and whoever lists silences.
        #[arg(long, value_name = "WORDS")]
        why: String,
    },
    /// List the silences that hold, and how many alerts each kept back.
    Silences {
        #[command(flatten)]
        place: InEnvironment,
    },
    /// End a silence. What goes on still is told within a minute.
    Unsilence {
        #[command(flatten)]
        place: InEnvironment,
        /// Which.
        #[arg(value_name = "SILENCE_ID")]
        silence: String,
        #[command(flatten)]
        why: Why,
    },
    /// Send a test to whoever takes alerts, on every channel, and wait for the outcomes.
    Test {
        #[command(flatten)]
        place: InEnvironment,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Waiting,
    Dead,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Channel {
    Webhook,
    Email,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// This one.
    #[arg(value_name = "MESSAGE_ID")]
    message: Option<String>,
    /// Every dead letter.
    #[arg(long)]
    all: bool,
}

const ALERT_COLUMNS: &[&str] =
    &["message_id", "type", "channel", "state", "queued_at", "attempts", "next_attempt_at", "error"];

const SILENCE_COLUMNS: &[&str] =
    &["silence_id", "client_id", "kind", "until", "silenced", "last_silenced_at", "by/kind", "why"];

/// Runs an `alerts` command.
///
/// # Errors
/// The server or the data directory could not be reached, or writing failed.
pub async fn alerts(args: AlertsArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let (place, call) = match args.command {
        AlertsCommand::List { place, state } => {
            let query = match state {
                None => "",
                Some(State::Waiting) => "?state=waiting",
                Some(State::Dead) => "?state=dead",
            };
            (place, Call::get(format!("alerts{query}"), Shape::Pages(ALERT_COLUMNS)))
        }
        AlertsCommand::Redeliver { place, which: Which { message, .. }, channel, why } => {
            let query = match channel {
                None => "",
                Some(Channel::Webhook) => "?channel=webhook",
                Some(Channel::Email) => "?channel=email",
            };
            let of = message.map_or_else(String::new, |id| format!("/{}", segment(&id)));
            (place, Call::post(format!("alerts{of}/redeliver{query}"), None, why))
        }
        AlertsCommand::Silence { place, client, kind, lasts, why } => {
            let members = [("client_id", client), ("kind", kind), ("for", Some(lasts))];
            let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
            let body = Some(given.collect::<Map<_, _>>().into());
            (place, Call::post("silences".to_owned(), body, Why { why: Some(why) }))
        }
        AlertsCommand::Silences { place } => (place, Call::get("silences".to_owned(), Shape::Pages(SILENCE_COLUMNS))),
        AlertsCommand::Unsilence { place, silence, why } => {
            let call = Call::post(format!("silences/{}", segment(&silence)), None, why);
            (place, Call { method: Method::DELETE, ..call })
        }
        AlertsCommand::Test { place, why } => (place, Call::post("alerts/test".to_owned(), None, why)),
    };
    run(&args.common, place.environment, call, out, err).await
}
