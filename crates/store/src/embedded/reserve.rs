//! Space kept for a full disk: a file that is given back when nothing else can be written any more, so that
//! what takes access away can still be written down.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// So much is kept, in bytes.
const KEPT: u64 = 4 << 20;
/// So much more must be free before anything but a revocation is written again.
const BEYOND: u64 = 1 << 20;
/// It is filled by pieces of this size, larger than what a file system compresses at a time.
const PIECE: usize = 256 << 10;

/// The file, whether or not it has its size.
pub(super) struct Reserve(File);

impl Reserve {
    pub(super) fn open(store: &Path) -> io::Result<Self> {
        let path = store.with_extension("reserve");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        Ok(Self(file))
    }

    /// Makes it whole. Fails where there is no room.
    pub(super) fn fill(&self) -> io::Result<()> {
        let length = self.0.metadata()?.len();
        if length < KEPT { self.grow(length, KEPT) } else { Ok(()) }
    }

    /// Gives the space back. Whether there was any.
    pub(super) fn give_back(&self) -> bool {
        let was_any = self.0.metadata().is_ok_and(|metadata| metadata.len() > 0);
        was_any && self.0.set_len(0).is_ok()
    }

    /// Makes it whole again and tries whether there is room beside it.
    pub(super) fn finds_room(&self) -> bool {
        let tried = self.fill().and_then(|()| self.grow(KEPT, KEPT + BEYOND)).and_then(|()| self.0.sync_data());
        let shrunk = self.0.set_len(KEPT.min(self.0.metadata().map_or(0, |metadata| metadata.len())));
        tried.and(shrunk).is_ok()
    }

    /// Writes what neither compresses nor is a hole, so that the space is really taken.
    fn grow(&self, from: u64, to: u64) -> io::Result<()> {
        let mut piece = Vec::with_capacity(PIECE);
        let mut number: u64 = 0x9e37_79b9_7f4a_7c15;
        while piece.len() < PIECE {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            piece.extend_from_slice(&number.to_le_bytes());
        }
        let mut at = from;
        while at < to {
            let length = usize::try_from(to - at).map_or(PIECE, |left| left.min(PIECE));
            self.0.write_all_at(&piece[..length], at)?;
            at += length as u64;
        }
        Ok(())
    }
}
