//! Numbers in few bytes, since one history is kept for each client: counts by their size, fractions only where there
//! are any, and series by how their neighbours differ.

use super::bytes::ForeignBytes;

/// The length of the run of ones beyond which a difference is written out.
const LONGEST_RUN: u32 = 12;
/// No number of a history is larger, whatever its client does.
const MOST: f32 = 1.0e15;

/// Bytes that are being written.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// A count, in as many bytes as it needs (LEB128).
    pub(super) fn count(&mut self, count: u32) {
        let mut left = count;
        while left > 0x7f {
            self.0.push(left.to_le_bytes()[0] | 0x80);
            left >>= 7;
        }
        self.0.push(left.to_le_bytes()[0]);
    }

    /// Numbers: two bits for each that say whether it is zero, a count or neither, then those that are not zero.
    pub(super) fn numbers<const N: usize>(&mut self, numbers: [f32; N]) {
        let tags_at = self.0.len();
        self.0.resize(tags_at + N.div_ceil(4), 0);
        for (place, number) in numbers.into_iter().enumerate() {
            let tag = if number == 0.0 {
                0
            } else if let Some(count) = whole(number) {
                self.count(count);
                1
            } else {
                self.0.extend(number.to_le_bytes());
                2
            };
            self.0[tags_at + place / 4] |= tag << (2 * (place % 4));
        }
    }

    /// A series by the difference of each from the one before, or from `first`: small ones in few bits: as many low bits as suit the
    /// series, and a run of ones for the rest (Rice, "Some practical universal noiseless coding techniques", JPL 79-22,
    /// 1979).
    pub(super) fn series(&mut self, first: u8, series: &[u8]) {
        let differences = || {
            let before = std::iter::once(&first).chain(series);
            before.zip(series).map(|(before, value)| u32::from(folded(value.wrapping_sub(*before))))
        };
        let mean = differences().sum::<u32>() / u32::try_from(series.len().max(1)).unwrap_or(u32::MAX);
        let low = mean.max(1).ilog2();
        let start = self.0.len();
        // A value takes 20 bits at most, and the last word that is written its eight bytes.
        self.0.resize(start + 1 + 3 * series.len() + 8, 0);
        let mut bits = BitWriter { bytes: &mut self.0[start..], at: 0, held: 0, count: 0 };
        bits.put(low, 3);
        for difference in differences() {
            let run = difference >> low;
            if run < LONGEST_RUN {
                let rest = difference & ((1 << low) - 1);
                bits.put(rest << (run + 1) | ((1 << run) - 1), run + 1 + low);
            } else {
                bits.put(difference << LONGEST_RUN | ((1 << LONGEST_RUN) - 1), LONGEST_RUN + 8);
            }
        }
        let length = bits.at + bits.count.div_ceil(8) as usize;
        self.0.truncate(start + length);
    }
}

/// A number that is a count of at most three bytes.
fn whole(number: f32) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is compared with what it was")]
    let count = number as u32;
    ((1..2_097_152).contains(&count) && count as f32 == number).then_some(count)
}

/// A difference with its sign last, so that small ones of either sign are small.
const fn folded(difference: u8) -> u8 {
    (difference << 1) ^ if difference >= 0x80 { 0xff } else { 0 }
}

const fn unfolded(folded: u8) -> u8 {
    (folded >> 1) ^ if folded & 1 == 1 { 0xff } else { 0 }
}

/// Bits into bytes, the lowest first. There is no branch that depends on them, for none of those would be foreseen.
struct BitWriter<'a> {
    bytes: &'a mut [u8],
    /// Bytes that are full.
    at: usize,
    held: u64,
    /// Fewer than eight between two calls.
    count: u32,
}

impl BitWriter<'_> {
    fn put(&mut self, bits: u32, count: u32) {
        self.held |= u64::from(bits) << self.count;
        self.bytes[self.at..self.at + 8].copy_from_slice(&self.held.to_le_bytes());
        let held = self.count + count;
        self.at += (held / 8) as usize;
        self.held >>= held / 8 * 8;
        self.count = held % 8;
    }
}

/// Bytes that are being read. Whatever they are, nothing is read beyond them.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], ForeignBytes> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ForeignBytes)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn count(&mut self) -> Result<u32, ForeignBytes> {
        let mut count = 0_u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take()?;
            count |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(count).map_err(|_| ForeignBytes);
            }
        }
        Err(ForeignBytes)
    }

    pub(super) fn numbers<const N: usize>(&mut self) -> Result<[f32; N], ForeignBytes> {
        let (tags, rest) = self.0.split_at_checked(N.div_ceil(4)).ok_or(ForeignBytes)?;
        self.0 = rest;
        let mut numbers = [0.0; N];
        for (place, number) in numbers.iter_mut().enumerate() {
            *number = match tags[place / 4] >> (2 * (place % 4)) & 3 {
                0 => 0.0,
                1 => self.count()? as f32,
                2 => {
                    Some(f32::from_le_bytes(self.take()?)).filter(|number| number.abs() <= MOST).ok_or(ForeignBytes)?
                }
                _ => return Err(ForeignBytes),
            };
        }
        Ok(numbers)
    }

    pub(super) fn series(&mut self, first: u8, series: &mut [u8]) -> Result<(), ForeignBytes> {
        let mut bits = BitReader { bytes: self.0, at: 0 };
        let (low, mut before) = (bits.take(3), first);
        for value in series {
            let run = bits.held().trailing_ones().min(LONGEST_RUN);
            let folded = if run == LONGEST_RUN {
                bits.take(LONGEST_RUN + 8) >> LONGEST_RUN
            } else {
                u64::from(run) << low | bits.take(run + 1 + low as u32) >> (run + 1)
            };
            before = before.wrapping_add(unfolded(u8::try_from(folded).map_err(|_| ForeignBytes)?));
            *value = before;
        }
        self.0 = self.0.get(bits.at.div_ceil(8)..).ok_or(ForeignBytes)?;
        Ok(())
    }
}

/// Bits out of bytes, the lowest first; beyond their end there are zeros, and `at` says so.
struct BitReader<'a> {
    bytes: &'a [u8],
    /// How many bits were taken.
    at: usize,
}

impl BitReader<'_> {
    /// At least the next 57.
    fn held(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        });
        u64::from_le_bytes(word) >> (self.at % 8)
    }

    fn take(&mut self, count: u32) -> u64 {
        let bits = self.held() & ((1 << count) - 1);
        self.at += count as usize;
        bits
    }
}
