//! What became of all drills: a table for people, JSON for programs.

use std::io::{self, Write};
use std::time::Duration;

use fuuffy_domain::DrillKind;
use serde_json::{Value, json};

/// One drill's turn, judged.
pub(super) struct Round {
    pub(super) kind: DrillKind,
    /// How many requests were to meet it.
    pub(super) requests: u64,
    /// How many did.
    pub(super) met: u64,
    pub(super) verdict: Verdict,
    /// What happened, in order.
    pub(super) steps: Vec<String>,
    /// How the integrator's program ended, if that was run and ended by itself.
    pub(super) exit_status: Option<i32>,
    pub(super) took: Duration,
}

/// How a drill was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was met, and all went well in the end.
    Took,
    /// Nothing that it is about was sent.
    Unmet,
    /// It was met, and that was too much.
    Failed,
}

/// All turns so far.
#[derive(Default)]
pub(super) struct Report(Vec<Round>);

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Took => "took it",
            Self::Unmet => "did not meet it",
            Self::Failed => "failed",
        }
    }
}

impl Report {
    pub(super) fn add(&mut self, round: Round) {
        self.0.push(round);
    }

    pub(super) fn all_were_taken(&self) -> bool {
        self.0.iter().all(|round| round.verdict == Verdict::Took)
    }

    pub(super) fn to_json(&self) -> Value {
        let rounds: Vec<Value> = self.0.iter().map(Round::to_json).collect();
        json!({"drills": rounds, "all_taken": self.all_were_taken()})
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{:<12}  {:<15}  {:>9}  {:>8}  what happened", "drill", "verdict", "met", "took")?;
        for round in &self.0 {
            let (kind, verdict) = (round.kind.as_str(), round.verdict.as_str());
            let met = format!("{} of {}", round.met, round.requests);
            let took = format!("{:.2} s", round.took.as_secs_f64());
            writeln!(out, "{kind:<12}  {verdict:<15}  {met:>9}  {took:>8}  {}", round.steps.join("; "))?;
        }
        Ok(())
    }
}

impl Round {
    fn to_json(&self) -> Value {
        json!({
            "drill": self.kind.as_str(),
            "verdict": self.verdict.as_str(),
            "requests": self.requests,
            "met": self.met,
            "took_ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "steps": self.steps,
            "exit_status": self.exit_status,
        })
    }
}
