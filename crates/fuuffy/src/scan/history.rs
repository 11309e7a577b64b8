//! Searches all that git repositories keep: every object, whether a branch, a tag, a stash or nothing leads to it any
//! more. git itself reads the objects, and says which commit had one first. A foreign repository is not trusted: only
//! plumbing is run, and without what its settings could make git run.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::finder::{Finder, Sighting};
use super::report::{Object, Place, Report, shown};

/// Bytes that are read from git at once.
const PIECE: usize = 256 * 1024;
/// Bytes of the longest line or path that git is believed.
const LONGEST: u64 = 64 * 1024;

/// What was found in one object.
struct Find {
    kind: String,
    id: String,
    sighting: Sighting,
}

/// The repositories that a path is in, or that were met within it, each by the folder that its worktrees share.
pub(super) fn repositories(path: &Path, within: &[PathBuf], report: &mut Report<'_>) -> Vec<PathBuf> {
    let around = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    let mut found = Vec::new();
    let mut reason = None;
    for folder in std::iter::once(around).chain(within.iter().map(PathBuf::as_path)) {
        match shared_folder(folder) {
            Ok(repository) => found.push(repository),
            // A folder that is in no repository may have some in it.
            Err(why) if folder == around => reason = Some(why),
            Err(why) => report.unread(&folder.to_string_lossy(), &why),
        }
    }
    if let (true, Some(why)) = (found.is_empty(), reason) {
        report.unread(&path.to_string_lossy(), &format!("has no history that can be read: {why}"));
    }
    found
}

fn shared_folder(folder: &Path) -> Result<PathBuf, String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let asked = git().arg("-C").arg(folder).args(["rev-parse", "--path-format=absolute", "--git-common-dir"]).output();
    let answer = asked.map_err(|error| not_run(&error))?;
    if !answer.status.success() {
        return Err(String::from_utf8_lossy(&answer.stderr).trim().to_owned());
    }
    Ok(PathBuf::from(OsStr::from_bytes(answer.stdout.trim_ascii_end())))
}

/// Searches every object of a repository once.
pub(super) fn search(repository: &Path, finder: &mut Finder, report: &mut Report<'_>) {
    let mut finds = Vec::new();
    if let Err(error) = search_objects(repository, finder, &mut finds, report) {
        report.unread(&repository.to_string_lossy(), &format!("not all of its history was read: {error}"));
    }
    if finds.is_empty() {
        return;
    }
    let mut first = HashMap::new();
    if let Err(error) = find_commits(repository, &finds, &mut first) {
        report.unread(&repository.to_string_lossy(), &format!("not all of its commits were read: {error}"));
    }
    for Find { kind, id, sighting } in &finds {
        let first = first.get(id).map(|(commit, path): &(String, PathBuf)| (commit.as_str(), path.as_path()));
        report.found(&Place::Object(repository, Object { kind, id, first }), sighting);
    }
}

fn search_objects(
    repository: &Path,
    finder: &mut Finder,
    finds: &mut Vec<Find>,
    report: &mut Report<'_>,
) -> io::Result<()> {
    let mut git = in_repository(repository);
    git.args(["cat-file", "--batch", "--batch-all-objects", "--unordered", "--buffer"]);
    let (child, mut objects) = start(&mut git, Stdio::null())?;
    while let Some((id, kind, size)) = next_object(&mut objects)? {
        let Some(size) = size else {
            report.unread(&format!("{}: object {id}", shown(repository)), "it is not there");
            continue;
        };
        let mut bytes = objects.by_ref().take(size);
        let read = finder.search(&mut bytes, &mut |sighting| {
            finds.push(Find { kind: kind.clone(), id: id.clone(), sighting });
        })?;
        if read < size || objects.by_ref().take(1).read_to_end(&mut Vec::new())? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        report.searched(&id, Ok(read));
    }
    wait(child)
}

/// The head of the next object: its id, its kind and how many bytes follow, unless it is missing.
fn next_object(objects: &mut BufReader<ChildStdout>) -> io::Result<Option<(String, String, Option<u64>)>> {
    let mut line = Vec::new();
    if objects.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split_ascii_whitespace();
    let (Some(id), Some(kind)) = (words.next(), words.next()) else {
        return Err(io::Error::other("git did not say what follows"));
    };
    Ok(Some((id.to_owned(), kind.to_owned(), words.next().and_then(|size| size.parse().ok()))))
}

/// Which commit had each object first, and by which path there: commits come after their parents.
fn find_commits(repository: &Path, finds: &[Find], first: &mut HashMap<String, (String, PathBuf)>) -> io::Result<()> {
    let wanted: HashMap<&[u8], &str> = finds.iter().map(|find| (find.id.as_bytes(), find.id.as_str())).collect();
    let mut commits = in_repository(repository);
    commits.args(["rev-list", "--all", "--reflog", "--topo-order", "--reverse"]);
    let mut commits =
        commits.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|it| io::Error::other(not_run(&it)))?;
    let ids = commits.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let mut differences = in_repository(repository);
    differences.args([
        "diff-tree",
        "--stdin",
        "-r",
        "-t",
        "-m",
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "-z",
    ]);
    let (child, mut fields) = start(&mut differences, ids)?;
    // A commit's id, and then, for each path that it changed, a field of numbers that begins with a colon, and the path.
    let (mut field, mut commit) = (Vec::new(), String::new());
    while next_field(&mut fields, &mut field)? {
        let Some(numbers) = field.strip_prefix(b":") else {
            commit = String::from_utf8_lossy(&field).trim().to_owned();
            continue;
        };
        let id = numbers.split(|byte| *byte == b' ').nth(3).and_then(|id| wanted.get(id));
        if next_field(&mut fields, &mut field)?
            && let Some(id) = id
        {
            let path = PathBuf::from(OsStr::from_bytes(&field));
            first.entry((*id).to_owned()).or_insert_with(|| (commit.clone(), path));
        }
    }
    // Where something is left, nobody may wait for it.
    drop(fields);
    wait(commits)?;
    wait(child)
}

/// The next field, which ends with a zero; `false` where there is none. Of one that is too long the beginning is kept.
fn next_field(fields: &mut BufReader<ChildStdout>, field: &mut Vec<u8>) -> io::Result<bool> {
    field.clear();
    fields.by_ref().take(LONGEST).read_until(0, field)?;
    if field.pop_if(|last| *last == 0).is_some() {
        return Ok(true);
    }
    if field.len() < usize::try_from(LONGEST).unwrap_or(usize::MAX) {
        return Ok(false);
    }
    fields.skip_until(0).map(|_| true)
}

fn git() -> Command {
    let mut git = Command::new("git");
    // A hook has these set, and then they would win over the path that was named. Nothing is fetched that is missing.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE"] {
        git.env_remove(name);
    }
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_NO_REPLACE_OBJECTS", "1").env("LC_ALL", "C");
    // Whatever looks at the index would run what these name, diff-tree among them.
    git.env("GIT_OPTIONAL_LOCKS", "0").args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    git
}

fn in_repository(repository: &Path) -> Command {
    let mut git = git();
    git.arg("--git-dir").arg(repository);
    git
}

fn start(git: &mut Command, input: Stdio) -> io::Result<(Child, BufReader<ChildStdout>)> {
    let mut child = git.stdin(input).stdout(Stdio::piped()).spawn().map_err(|it| io::Error::other(not_run(&it)))?;
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, BufReader::with_capacity(PIECE, output)))
}

fn wait(mut child: Child) -> io::Result<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("git ended with {status}"))) }
}

fn not_run(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "git is not installed, and histories are read by it".to_owned(),
        _ => format!("git cannot be run: {error}"),
    }
}
