//! The networks of a client as bytes, so that a restart does not make all of them new, and back.
//!
//! A version, the count of requests, then each network with its minutes, then a sum over all of it, all in little-endian
//! order. What is not that is refused.

use super::super::bytes::{ForeignBytes, sum};
use super::{KNOWN, Known, Network, Networks};

const VERSION: [u8; 4] = *b"net1";
const EACH: usize = 1 + 6 + 4 + 4;

impl Networks {
    /// All of it as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(VERSION.len() + 4 + KNOWN * EACH + 8);
        bytes.extend(VERSION);
        bytes.extend(self.uses.to_le_bytes());
        for Known { network, since, last } in self.known.iter().flatten() {
            match network {
                Network::V4([a, b, c]) => bytes.extend([4, *a, *b, *c, 0, 0, 0]),
                Network::V6(start) => {
                    bytes.push(6);
                    bytes.extend(start);
                }
            }
            bytes.extend(since.to_le_bytes());
            bytes.extend(last.to_le_bytes());
        }
        bytes.extend(sum(&bytes).to_le_bytes());
        bytes
    }

    /// Reads what [`Networks::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ForeignBytes`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ForeignBytes> {
        let (body, written) = bytes.split_last_chunk().ok_or(ForeignBytes)?;
        let rest = body.strip_prefix(&VERSION).ok_or(ForeignBytes)?;
        let (uses, rest) = rest.split_first_chunk().ok_or(ForeignBytes)?;
        let (all, odd) = rest.as_chunks::<EACH>();
        if sum(body).to_le_bytes() != *written || !odd.is_empty() || all.len() > KNOWN {
            return Err(ForeignBytes);
        }
        let mut networks = Self { uses: u32::from_le_bytes(*uses), ..Self::default() };
        for (place, [family, a, b, c, d, e, f, minutes @ ..]) in networks.known.iter_mut().zip(all) {
            let network = match (family, [d, e, f]) {
                (4, [0, 0, 0]) => Network::V4([*a, *b, *c]),
                (6, _) => Network::V6([*a, *b, *c, *d, *e, *f]),
                _ => return Err(ForeignBytes),
            };
            let (since, last) = minutes.split_at(4);
            let minute = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).map_err(|_| ForeignBytes);
            *place = Some(Known { network, since: minute(since)?, last: minute(last)? });
        }
        Ok(networks)
    }
}
