//! The week of a measure in bytes: an offset for each part of the week, a spread for each part of the day.
//!
//! A byte is a number in steps of the measure's own size. What falls between two steps is rounded up or down by
//! chance in proportion (a chance that depends on nothing but the hour), so that moves smaller than a step add up to
//! what they should instead of being lost.

use super::measure::Shape;

/// Never learned.
const UNSET: u8 = 0;
/// The code of an offset of zero.
const MIDDLE: f32 = 128.0;
/// The code of a spread of one, and the steps of a doubling.
const ONE: f32 = 64.0;
const DOUBLING: f32 = 16.0;

/// Hours since the epoch to hours of the week, Monday 00:00 UTC first.
pub(super) const fn hour_of_week(hour: u32) -> u32 {
    // The epoch was a Thursday.
    (hour % 168 + 72) % 168
}

/// The offset of a part of the week; none if it was never learned.
pub(super) fn offset(shape: &Shape, bins: &[u8], hour_of_week: u32) -> Option<f32> {
    let code = *bins.get((hour_of_week / shape.bin_hours) as usize)?;
    (code != UNSET).then(|| (f32::from(code) - MIDDLE) * shape.step)
}

/// How far usual may lie on the way to the neighbouring part of the week that is nearer to this minute: not at all in
/// the middle of a part, all the way at its end, since people's days do not change on the hour of UTC.
pub(super) fn on_the_way(shape: &Shape, bins: &[u8], minute: u32, own: f32) -> f32 {
    let hour = hour_of_week(minute / 60);
    let (half, within) = (shape.bin_hours * 30, (hour % shape.bin_hours) * 60 + minute % 60);
    let neighbour = if within < half { 168 - shape.bin_hours } else { shape.bin_hours };
    let near = offset(shape, bins, (hour + neighbour) % 168).unwrap_or(own);
    own + (near - own) * within.abs_diff(half) as f32 / half as f32
}

/// The smallest offset of the same hour on any day of the week.
pub(super) fn quietest(shape: &Shape, bins: &[u8], hour: u32) -> Option<f32> {
    let days = (0..7).filter_map(|day| offset(shape, bins, day * 24 + hour % 24));
    days.reduce(f32::min)
}

/// The offset in the middle of those of the same hour on all days of the week.
pub(super) fn middle_day(shape: &Shape, bins: &[u8], hour: u32) -> Option<f32> {
    let mut days = [0.0; 7];
    let mut count = 0;
    for offset in (0..7).filter_map(|day| offset(shape, bins, day * 24 + hour % 24)) {
        days[count] = offset;
        count += 1;
    }
    let days = &mut days[..count];
    days.sort_unstable_by(f32::total_cmp);
    days.get(count / 2).copied()
}

/// The largest offset of all.
pub(super) fn busiest(shape: &Shape, bins: &[u8]) -> f32 {
    let code = bins.iter().copied().max().unwrap_or(UNSET);
    (f32::from(code) - MIDDLE) * shape.step
}

/// Sets the offset of a part of the week.
pub(super) fn set_offset(shape: &Shape, bins: &mut [u8], hour: u32, offset: f32) {
    if let Some(code) = bins.get_mut((hour_of_week(hour) / shape.bin_hours) as usize) {
        *code = rounded(offset / shape.step + MIDDLE, hour).max(1);
    }
}

/// Moves the mean of all offsets to zero, by whole steps, and says by how much the level must rise for it.
pub(super) fn centre(shape: &Shape, bins: &mut [u8]) -> f32 {
    let (count, sum) = bins
        .iter()
        .filter(|code| **code != UNSET)
        .fold((0_i32, 0_i32), |(count, sum), code| (count + 1, sum + i32::from(*code) - 128));
    if count == 0 {
        return 0.0;
    }
    let shift = sum / count;
    for code in bins.iter_mut().filter(|code| **code != UNSET) {
        *code = u8::try_from((i32::from(*code) - shift).clamp(1, 255)).unwrap_or(128);
    }
    shift as f32 * shape.step
}

/// How many times as far as an ordinary client's the measure strays in this part of the day.
pub(super) fn spread(shape: &Shape, spreads: &[u8], hour: u32) -> f32 {
    let code = spreads.get((hour % 24 / shape.spread_hours) as usize).copied().unwrap_or(64);
    ((f32::from(code) - ONE) / DOUBLING).exp2()
}

/// Widens or narrows the spread of a part of the day by so many doublings.
pub(super) fn move_spread(shape: &Shape, spreads: &mut [u8], hour: u32, doublings: f32) {
    if let Some(code) = spreads.get_mut((hour % 24 / shape.spread_hours) as usize) {
        // Never below half of what an ordinary client strays: too even a history must not make a trifle an alarm.
        *code = rounded(f32::from(*code) + doublings * DOUBLING, hour).clamp(48, 176);
    }
}

fn rounded(code: f32, hour: u32) -> u8 {
    let chance = (hour.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0;
    (code + chance).floor().clamp(0.0, 255.0) as u8
}
