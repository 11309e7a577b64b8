//! Labelled series from elsewhere, and the model's own written down in the same form: one file of
//! `timestamp,value,label` lines for each series.
//!
//! The time is in seconds since the epoch or as in `2026-11-26T08:00:00Z` (a space for the `T` and no `Z` will do). The
//! label is 1 where the series is unusual and 0 elsewhere. A file is named after its measure
//! (`latency-….csv`); any other name is volume. Volume is requests a minute, a share is from 0 to 1, latency is in
//! microseconds. What is measured less often than once a minute holds until the next line.

use std::path::Path;

use fuuffy_domain::{Change, History, Measure, Sample, Timestamp};

use super::score::{Labelled, Score};

/// Requests a minute that a series of another measure is taken to rest on, as it does not say.
const REQUESTS: u32 = 100;
/// The farthest that a value holds.
const LONGEST_MINUTES: i64 = 120;

struct Line {
    minute: i64,
    value: f64,
    is_labelled: bool,
}

/// Reads all series of a directory and counts what is found in them.
pub(crate) fn judge(directory: &Path, score: &mut Score) -> Result<usize, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    for path in &paths {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let lines =
            parse(&text).map_err(|line| format!("{}: line {line} is not timestamp,value,label", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let measure = Measure::ALL.into_iter().find(|measure| name.starts_with(measure.name()));
        judge_one(measure.unwrap_or(Measure::Volume), &lines, score);
    }
    Ok(paths.len())
}

fn parse(text: &str) -> Result<Vec<Line>, usize> {
    let mut lines = Vec::new();
    for (number, text) in text.lines().enumerate() {
        let is_header = number == 0 && text.starts_with("timestamp");
        if is_header || text.trim().is_empty() {
            continue;
        }
        lines.push(line(text).ok_or(number + 1)?);
    }
    lines.sort_by_key(|line| line.minute);
    Ok(lines)
}

fn line(text: &str) -> Option<Line> {
    let mut parts = text.trim().split(',');
    let (time, value, label) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0"));
    let seconds = time.parse::<f64>().ok().map(|seconds| seconds as i64).or_else(|| calendar(time))?;
    let value = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let is_labelled = !matches!(label.trim(), "0" | "" | "0.0" | "false");
    Some(Line { minute: seconds.div_euclid(60), value, is_labelled })
}

fn calendar(text: &str) -> Option<i64> {
    let zoned = if text.ends_with('Z') { text.to_owned() } else { format!("{text}Z") };
    zoned.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn judge_one(measure: Measure, lines: &[Line], score: &mut Score) {
    let Some(first) = lines.first() else { return };
    let mut history = History::new();
    let mut changes: Vec<(u32, Change)> = Vec::new();
    let mut labels: Vec<Labelled> = Vec::new();
    let at = |minute: i64| u32::try_from(minute - first.minute).unwrap_or(u32::MAX);
    for (place, line) in lines.iter().enumerate() {
        let next = lines.get(place + 1).map_or(line.minute + 1, |next| next.minute);
        if line.is_labelled {
            match labels.last_mut() {
                Some(label) if label.end >= at(line.minute) => label.end = at(next),
                _ => labels.push(Labelled {
                    measure,
                    direction: None,
                    name: "labelled",
                    start: at(line.minute),
                    from: at(line.minute),
                    end: at(next),
                }),
            }
        }
        let sample = sample(measure, line.value);
        for minute in line.minute..next.min(line.minute + LONGEST_MINUTES) {
            let told = history.observe(Timestamp::from_unix_millis(minute * 60_000), &sample, &[]);
            changes.extend(told.into_iter().map(|change| (at(minute), change)));
        }
    }
    let days = f64::from(at(lines.last().map_or(0, |line| line.minute))) / 1440.0;
    // What happens while the history is still learned is nothing that anybody could be told of.
    labels.retain(|label| label.end > 14 * 1440);
    score.count("elsewhere", &labels, &changes, (days - 14.0).max(0.0));
}

fn sample(measure: Measure, value: f64) -> Sample {
    let of_all = (value.clamp(0.0, 1.0) * f64::from(REQUESTS)).round() as u32;
    let value = value.max(0.0);
    let ordinary = Sample { requests: REQUESTS, latency: Some(20_000), ..Sample::default() };
    match measure {
        Measure::Volume => {
            let requests = value.round() as u32;
            Sample { requests, latency: (requests > 0).then_some(20_000), ..Sample::default() }
        }
        Measure::ForbiddenShare => Sample { forbidden: of_all, ..ordinary },
        Measure::NotFoundShare => Sample { not_found: of_all, ..ordinary },
        Measure::LimitedShare => Sample { limited: of_all, ..ordinary },
        Measure::ErrorShare => Sample { server_errors: of_all, ..ordinary },
        Measure::Latency => Sample { latency: Some(value as u32), ..ordinary },
        Measure::Bytes => Sample { bytes_out: (value * f64::from(REQUESTS)) as u64, ..ordinary },
    }
}

/// A measure's value of a sample, as it is written down.
pub(crate) fn value(measure: Measure, sample: &Sample) -> f64 {
    let share = |count: u32| f64::from(count) / f64::from(sample.requests.max(1));
    match measure {
        Measure::Volume => f64::from(sample.requests),
        Measure::ForbiddenShare => share(sample.forbidden),
        Measure::NotFoundShare => share(sample.not_found),
        Measure::LimitedShare => share(sample.limited),
        Measure::ErrorShare => share(sample.server_errors),
        Measure::Latency => f64::from(sample.latency.unwrap_or(0)),
        Measure::Bytes => (sample.bytes_in + sample.bytes_out) as f64 / f64::from(sample.requests.max(1)),
    }
}
