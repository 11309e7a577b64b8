//! A file with a key or a password in it, which nobody else may read.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};
use zeroize::Zeroizing;

/// So many bytes are read.
const MOST: u64 = 4096;

/// What is in a file, without white space at its end.
pub(super) fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let place = path.display();
    let mut file = File::open(path).with_context(|| format!("{place} cannot be read"))?;
    ensure!(file.metadata()?.mode() & 0o077 == 0, "{place} can be read by others; make it private with chmod 600");
    let mut content = Zeroizing::new(Vec::new());
    file.by_ref().take(MOST).read_to_end(&mut content)?;
    let length = content.trim_ascii_end().len();
    content.truncate(length);
    Ok(content)
}
