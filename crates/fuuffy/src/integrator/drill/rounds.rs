//! `fuuffy drill --all`: every drill in its turn, set, met and ended.

use std::io::Write;

use fuuffy_domain::{Drill, DrillKind};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::report::{Report, Round, Verdict};
use super::turn::{self, Turn};
use super::{Desk, DrillArgs};
use crate::integrator::Settings;

/// What ends the command before its time: a person's Ctrl-C, or a job that takes too long.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whose drills they are, and where they are set.
type Place<'a> = (&'a Settings<'a>, &'a Desk);

/// Runs all drills in turn and reports. 0 only if all were taken.
pub(super) async fn run(
    args: &DrillArgs,
    place: Place<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut stop = Stop::listen()?;
    let mut report = Report::default();
    for kind in DrillKind::ALL {
        if !args.common.json {
            writeln!(err, "{} …", kind.as_str())?;
        }
        report.add(round(kind, args, place, &mut stop).await?);
    }
    if args.common.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.write(out)?;
    }
    Ok(u8::from(!report.all_were_taken()))
}

/// One drill. It is ended whatever became of its turn.
async fn round(
    kind: DrillKind,
    args: &DrillArgs,
    (settings, desk): Place<'_>,
    stop: &mut Stop,
) -> anyhow::Result<Round> {
    let delay = args.delay.filter(|_| kind == DrillKind::Slow);
    let drill = Drill::new(kind, args.requests, delay)?;
    desk.set(&drill).await?;
    let began = Instant::now();
    let turn = async {
        match args.command.split_first() {
            Some((program, arguments)) => turn::of_command(settings, program, arguments).await,
            None => turn::of_own_calls(settings, &args.path).await,
        }
    };
    let turn = tokio::select! {
        turn = turn => turn,
        () = stop.comes() => Err(anyhow::anyhow!("interrupted; the drill was ended")),
    };
    let took = began.elapsed();
    let pending = desk.pending().await;
    desk.end().await?;
    let Turn { mut steps, exit_status, is_well } = turn?;
    let met = drill.requests() - pending?.map_or(0, |pending| pending.requests_left.min(drill.requests()));
    let verdict = match (met, is_well) {
        (0, _) => Verdict::Unmet,
        (_, true) => Verdict::Took,
        (_, false) => Verdict::Failed,
    };
    if verdict == Verdict::Unmet {
        steps.push(match kind {
            DrillKind::AuthDown => "no token was asked for: run it without a cached one".to_owned(),
            _ => "no request came".to_owned(),
        });
    }
    Ok(Round { kind, requests: drill.requests(), met, verdict, steps, exit_status, took })
}
