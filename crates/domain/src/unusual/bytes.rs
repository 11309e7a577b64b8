//! What is kept of one client as bytes, in memory between its minutes and on disk, so that a restart forgets nothing.
//!
//! A version, the networks, the history, then the CRC-32 of all of it. Bytes of another version, of another length or with
//! another sum are refused, and so are numbers that no history has.

use thiserror::Error;

use super::Networks;
use super::alert::Direction;
use super::history::History;
use super::hours::Hours;
use super::measure::BINS;
use super::pack::{Reader, Writer};
use super::track::{Phase, Track};

const VERSION: u8 = 3;
/// What is kept of a client takes a multiple of so many bytes, as allocators give them out.
const ROOM: usize = 64;
/// Offsets that are alike: of volume, of the shares, of latency and bytes.
const BINS_ALIKE: [std::ops::Range<usize>; 3] = [0..168, 168..280, 280..BINS];
/// What offsets and spreads are near.
const NO_OFFSET: u8 = 128;
const SPREAD_OF_ONE: u8 = 64;

/// Bytes that are not what is kept of a client by this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("these bytes are not a client's history of this version, or they were damaged")]
pub struct ForeignBytes;

/// What is kept of one client: what it does, and where it comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Its minutes.
    pub history: History,
    /// Its networks.
    pub networks: Networks,
}

impl Kept {
    /// All of it as bytes: some 400 of a client that is busy, and never more than 2 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = written(&self.networks, |writer| {
            self.history.write_minutes(writer);
            self.history.write_week(writer);
        });
        bytes.shrink_to_fit();
        bytes
    }

    /// Reads what [`Kept::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ForeignBytes`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ForeignBytes> {
        Self::and_week(bytes).map(|(kept, _)| kept)
    }

    /// What was written, and the bytes of its week.
    fn and_week(bytes: &[u8]) -> Result<(Self, &[u8]), ForeignBytes> {
        let (networks, mut reader) = networks_of(bytes)?;
        let mut history = History::read_minutes(&mut reader)?;
        let week = reader.0;
        history.read_week(&mut reader)?;
        if reader.0.is_empty() { Ok((Self { history, networks }, week)) } else { Err(ForeignBytes) }
    }

    /// Looks at what is kept of a client, and keeps what has become of it. Of foreign bytes nothing is known.
    pub fn with<T>(bytes: &mut Vec<u8>, look: impl FnOnce(&mut Self) -> T) -> T {
        let (mut kept, week) = Self::and_week(bytes).unwrap_or_default();
        let (bins, spreads) = (kept.history.bins, kept.history.spreads);
        let seen = look(&mut kept);
        let Self { history, networks } = &kept;
        let changed = written(networks, |writer| {
            history.write_minutes(writer);
            // The week changes once an hour.
            if !week.is_empty() && (history.bins, history.spreads) == (bins, spreads) {
                writer.0.extend(week);
            } else {
                history.write_week(writer);
            }
        });
        keep(bytes, &changed);
        seen
    }

    /// The same, for the networks alone: the history stays packed.
    pub fn with_networks<T>(bytes: &mut Vec<u8>, look: impl FnOnce(&mut Networks) -> T) -> T {
        let Ok((mut networks, history)) = networks_of(bytes) else {
            return Self::with(bytes, |kept| look(&mut kept.networks));
        };
        let seen = look(&mut networks);
        let changed = written(&networks, |writer| writer.0.extend(history.0));
        keep(bytes, &changed);
        seen
    }
}

/// In the same place while they fit: what is written each minute must not be allocated each minute.
fn keep(bytes: &mut Vec<u8>, changed: &[u8]) {
    bytes.clear();
    bytes.reserve_exact(changed.len().next_multiple_of(ROOM));
    bytes.extend_from_slice(changed);
}

fn written(networks: &Networks, history: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(1024));
    writer.0.push(VERSION);
    networks.write(&mut writer);
    history(&mut writer);
    // Against damage, not against malice: whoever can write the history can write the sum.
    let sum = crc32fast::hash(&writer.0);
    writer.0.extend(sum.to_le_bytes());
    writer.0
}

/// The networks, and what is to be read after them.
fn networks_of(bytes: &[u8]) -> Result<(Networks, Reader<'_>), ForeignBytes> {
    let (body, sum) = bytes.split_last_chunk().ok_or(ForeignBytes)?;
    if crc32fast::hash(body).to_le_bytes() != *sum {
        return Err(ForeignBytes);
    }
    let mut reader = Reader(body);
    if reader.take()? != [VERSION] {
        return Err(ForeignBytes);
    }
    Ok((Networks::read(&mut reader)?, reader))
}

impl History {
    fn write_minutes(&self, writer: &mut Writer) {
        writer.count(self.first);
        writer.count(self.last.wrapping_sub(self.first));
        for track in &self.tracks {
            track.write(self.last, writer);
        }
        let Hours { quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar, busy, is_open } = self.hours;
        writer.numbers([quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar]);
        writer.count(since(self.last, busy));
        writer.count(u32::from(is_open));
    }

    fn write_week(&self, writer: &mut Writer) {
        for part in BINS_ALIKE {
            writer.series(NO_OFFSET, &self.bins[part]);
        }
        writer.series(SPREAD_OF_ONE, &self.spreads);
    }

    /// All but the week.
    fn read_minutes(reader: &mut Reader<'_>) -> Result<Self, ForeignBytes> {
        let (first, age) = (reader.count()?, reader.count()?);
        let last = first.checked_add(age).ok_or(ForeignBytes)?;
        if (first == 0) != (last == 0) {
            return Err(ForeignBytes);
        }
        let mut tracks = <[Track; 7]>::default();
        for track in &mut tracks {
            *track = Track::read(last, reader)?;
        }
        let [quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar] = reader.numbers()?;
        let busy = at(last, reader.count()?);
        let is_open = match reader.count()? {
            0 => false,
            1 => true,
            _ => return Err(ForeignBytes),
        };
        let hours = Hours { quiet, quiet_block, quiet_hour, low, high, up, down, spread, bar, busy, is_open };
        Ok(Self { tracks, hours, first, last, ..Self::default() })
    }

    fn read_week(&mut self, reader: &mut Reader<'_>) -> Result<(), ForeignBytes> {
        for part in BINS_ALIKE {
            reader.series(NO_OFFSET, &mut self.bins[part])?;
        }
        reader.series(SPREAD_OF_ONE, &mut self.spreads)
    }
}

impl Track {
    fn write(&self, last: u32, writer: &mut Writer) {
        let Self { level, wander, bar, up, down, back, seen, weight, low, high, .. } = *self;
        let Self { hour_seen, hour_weight, hour_sum, hour_far, .. } = *self;
        let of_hour = [hour_seen, hour_weight, hour_sum, hour_far];
        let [a, b, c, d] = of_hour;
        writer.numbers([level, wander, bar, up, down, back, seen, weight, low, high, a, b, c, d]);
        writer.count(since(last, self.since));
        writer.count(since(last, self.closed));
        let phase = match self.phase {
            Phase::Calm => 0,
            Phase::Open(Direction::Jump, false) => 1,
            Phase::Open(Direction::Jump, true) => 2,
            Phase::Open(Direction::Drop, false) => 3,
            Phase::Open(Direction::Drop, true) => 4,
        };
        writer.count(u32::from(self.block_minutes) << 3 | phase);
        writer.count(u32::from(self.hours));
        writer.count(u32::from(self.hour_blocks));
    }

    fn read(last: u32, reader: &mut Reader<'_>) -> Result<Self, ForeignBytes> {
        let [level, wander, bar, up, down, back, seen, weight, low, high, hour_seen, hour_weight, hour_sum, hour_far] =
            reader.numbers()?;
        // A logarithm of what fits into 64 bits or an angle; a variance and a factor are not negative.
        if level.abs() > 70.0 || wander < 0.0 || bar < 0.0 {
            return Err(ForeignBytes);
        }
        let (since, closed) = (at(last, reader.count()?), at(last, reader.count()?));
        let block = reader.count()?;
        let phase = match block & 7 {
            0 => Phase::Calm,
            1 => Phase::Open(Direction::Jump, false),
            2 => Phase::Open(Direction::Jump, true),
            3 => Phase::Open(Direction::Drop, false),
            4 => Phase::Open(Direction::Drop, true),
            _ => return Err(ForeignBytes),
        };
        let block_minutes = u16::try_from(block >> 3).map_err(|_| ForeignBytes)?;
        let hours = u16::try_from(reader.count()?).map_err(|_| ForeignBytes)?;
        let hour_blocks = u8::try_from(reader.count()?).map_err(|_| ForeignBytes)?;
        Ok(Self {
            level,
            wander,
            bar,
            up,
            down,
            back,
            seen,
            weight,
            low,
            high,
            hour_seen,
            hour_weight,
            hour_sum,
            hour_far,
            since,
            closed,
            block_minutes,
            hours,
            hour_blocks,
            phase,
        })
    }
}

/// How long before the last minute another was, and one more: zero is none, and what was of late is small.
pub(super) const fn since(last: u32, minute: u32) -> u32 {
    if minute == 0 { 0 } else { last.wrapping_sub(minute).wrapping_add(1) }
}

pub(super) const fn at(last: u32, since: u32) -> u32 {
    if since == 0 { 0 } else { last.wrapping_sub(since.wrapping_sub(1)) }
}
