//! A history as bytes, so that a restart forgets nothing, and back.
//!
//! A version, then every number in little-endian order, then a sum over all of it. Bytes of another version, of another
//! length or with another sum are refused, and so are numbers that no history has.

use thiserror::Error;

use super::alert::{Direction, Subject};
use super::history::History;
use super::hours::Hours;
use super::measure::{BINS, SPREADS};
use super::track::{Phase, Track};

const VERSION: [u8; 4] = *b"unu1";
const TRACK: usize = 14 * 4 + 2 * 4 + 2 * 2 + 2;
const HOURS: usize = 9 * 4 + 4 + 1;
const LENGTH: usize = VERSION.len() + 8 + 7 * TRACK + HOURS + BINS + SPREADS + 8;

/// Bytes that are not a history of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("these bytes are not a client's history of this version, or they were damaged")]
pub struct ForeignBytes;

impl History {
    /// The bytes of a history, as they are kept.
    pub const BYTES: usize = LENGTH;

    /// All of it as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend(VERSION);
        bytes.extend(self.first.to_le_bytes());
        bytes.extend(self.last.to_le_bytes());
        for track in &self.tracks {
            write_track(&mut bytes, track);
        }
        let Hours { quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar, busy, is_open } = self.hours;
        for number in [quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(busy.to_le_bytes());
        bytes.push(u8::from(is_open));
        bytes.extend(self.bins);
        bytes.extend(self.spreads);
        bytes.extend(sum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads what [`History::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ForeignBytes`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ForeignBytes> {
        let body = bytes.len().checked_sub(8).and_then(|at| bytes.split_at_checked(at)).ok_or(ForeignBytes)?;
        if bytes.len() != LENGTH || sum(body.0).to_le_bytes() != *body.1 {
            return Err(ForeignBytes);
        }
        let mut reader = Reader(body.0);
        if reader.take()? != VERSION {
            return Err(ForeignBytes);
        }
        let (first, last) = (u32::from_le_bytes(reader.take()?), u32::from_le_bytes(reader.take()?));
        let mut tracks = <[Track; 7]>::default();
        for track in &mut tracks {
            *track = reader.track()?;
        }
        let hours = Hours {
            quiet: reader.number()?,
            quiet_block: reader.number()?,
            quiet_hour: reader.number()?,
            low: reader.number()?,
            high: reader.number()?,
            up: reader.number()?,
            down: reader.number()?,
            spread: reader.number()?,
            bar: reader.number()?,
            busy: u32::from_le_bytes(reader.take()?),
            is_open: reader.take()? == [1],
        };
        let history = Self {
            tracks,
            bins: reader.take()?,
            spreads: reader.take()?,
            hours,
            first,
            last,
            subject: Subject::default(),
        };
        if first > last || (first == 0) != (last == 0) { Err(ForeignBytes) } else { Ok(history) }
    }
}

fn write_track(bytes: &mut Vec<u8>, track: &Track) {
    let Track { level, wander, bar, up, down, back, seen, weight, low, high, .. } = *track;
    let Track { hour_seen, hour_weight, hour_sum, hour_far, since, closed, block_minutes, hours, .. } = *track;
    let numbers = [level, wander, bar, up, down, back, seen, weight, low, high];
    for number in numbers.into_iter().chain([hour_seen, hour_weight, hour_sum, hour_far]) {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(since.to_le_bytes());
    bytes.extend(closed.to_le_bytes());
    bytes.extend(block_minutes.to_le_bytes());
    bytes.extend(hours.to_le_bytes());
    bytes.push(track.hour_blocks);
    bytes.push(match track.phase {
        Phase::Calm => 0,
        Phase::Open(Direction::Jump, false) => 1,
        Phase::Open(Direction::Jump, true) => 2,
        Phase::Open(Direction::Drop, false) => 3,
        Phase::Open(Direction::Drop, true) => 4,
    });
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo): against damage, not against malice, since whoever can write the history can
/// write the sum.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ForeignBytes> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ForeignBytes)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<f32, ForeignBytes> {
        let number = f32::from_le_bytes(self.take()?);
        if number.is_finite() { Ok(number) } else { Err(ForeignBytes) }
    }

    fn track(&mut self) -> Result<Track, ForeignBytes> {
        let mut track = Track {
            level: self.number()?,
            wander: self.number()?,
            bar: self.number()?,
            up: self.number()?,
            down: self.number()?,
            back: self.number()?,
            seen: self.number()?,
            weight: self.number()?,
            low: self.number()?,
            high: self.number()?,
            hour_seen: self.number()?,
            hour_weight: self.number()?,
            hour_sum: self.number()?,
            hour_far: self.number()?,
            since: u32::from_le_bytes(self.take()?),
            closed: u32::from_le_bytes(self.take()?),
            block_minutes: u16::from_le_bytes(self.take()?),
            hours: u16::from_le_bytes(self.take()?),
            ..Track::default()
        };
        [track.hour_blocks] = self.take()?;
        track.phase = match self.take()? {
            [0] => Phase::Calm,
            [1] => Phase::Open(Direction::Jump, false),
            [2] => Phase::Open(Direction::Jump, true),
            [3] => Phase::Open(Direction::Drop, false),
            [4] => Phase::Open(Direction::Drop, true),
            _ => return Err(ForeignBytes),
        };
        Ok(track)
    }
}
