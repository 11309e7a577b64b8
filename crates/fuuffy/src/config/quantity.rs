//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads `36h` or `400d`: at least an hour, at most a hundred years.
pub(crate) fn age(text: &str) -> Option<Duration> {
    let hours = match text.strip_suffix('d') {
        Some(days) => digits(days)?.checked_mul(24)?,
        None => digits(text.strip_suffix('h')?)?,
    };
    (1..=36_500 * 24).contains(&hours).then(|| Duration::from_secs(hours * 3600))
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Shows what [`age`] reads, and what is less than an hour in minutes.
pub(crate) fn show_age(age: Duration) -> String {
    let (minutes, hours) = (age.as_secs() / 60, age.as_secs() / 3600);
    match hours {
        0 => format!("{minutes}m"),
        hours if hours.is_multiple_of(24) => format!("{}d", hours / 24),
        hours => format!("{hours}h"),
    }
}

/// Reads `500ms`, `10s`, `5m` or `1h`: at least a millisecond, at most a day.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let millis = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=86_400_000).contains(&millis).then(|| Duration::from_millis(millis))
}

/// Writes what [`duration`] reads.
pub(super) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

/// Reads `512`, `16KiB` or `10MiB`: at least a byte, at most 1 TiB.
pub(super) fn size(text: &str) -> Option<u64> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| (1..=1 << 40).contains(bytes))
}
