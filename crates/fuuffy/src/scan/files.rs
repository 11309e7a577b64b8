//! Walks files and directories and searches each regular file, its bytes and its name. Asks nobody which files matter.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::finder::Finder;
use super::report::{Place, Report};

/// Searches what a path names, and answers which folders within it are those of git repositories.
pub(super) fn search(path: &Path, finder: &mut Finder, report: &mut Report<'_>) -> Vec<PathBuf> {
    if path.as_os_str() == "-" {
        let read = finder.search(&mut std::io::stdin().lock(), &mut |it| report.found(&Place::StandardInput, &it));
        report.searched("standard input", read);
        return Vec::new();
    }
    let mut repositories = Vec::new();
    // Sorted, so that two runs can be compared. A link that is named is followed, one that is met is not.
    let walk = WalkDir::new(path).follow_links(false).sort_by_file_name();
    for entry in walk.into_iter().filter_entry(|entry| !holds_objects(entry)) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let name = error.path().unwrap_or(path).to_string_lossy().into_owned();
                report.unread(&name, &io::Error::from(error).to_string());
                continue;
            }
        };
        if entry.file_name() == ".git" {
            repositories.extend(entry.path().parent().map(Path::to_owned));
        }
        let name = &mut entry.file_name().as_bytes();
        // It is in memory, and is read whatever comes.
        let _ = finder.search(name, &mut |it| report.found(&Place::Name(entry.path()), &it));
        if entry.file_type().is_file() || is_named_link_to_file(&entry) {
            search_file(entry.path(), finder, report);
        } else if entry.depth() == 0 && !entry.path().is_dir() {
            // What was named itself is meant, be it a pipe.
            search_file(entry.path(), finder, report);
        }
    }
    repositories
}

fn search_file(path: &Path, finder: &mut Finder, report: &mut Report<'_>) {
    let read =
        File::open(path).and_then(|mut file| finder.search(&mut file, &mut |it| report.found(&Place::File(path), &it)));
    report.searched(&path.to_string_lossy(), read);
}

/// What was named itself may be a link, and then what it leads to is meant.
fn is_named_link_to_file(entry: &DirEntry) -> bool {
    entry.depth() == 0 && entry.path_is_symlink() && entry.path().is_file()
}

/// The objects of a git repository are compressed; what is in them is searched by asking git.
fn holds_objects(entry: &DirEntry) -> bool {
    let beside = |name: &str| entry.path().with_file_name(name);
    entry.file_type().is_dir()
        && entry.file_name() == OsStr::new("objects")
        && beside("HEAD").is_file()
        && beside("refs").is_dir()
}
