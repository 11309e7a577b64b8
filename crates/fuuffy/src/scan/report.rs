//! What a scan tells: each find as it comes, in a line, or all of them at the end as JSON. Nothing of it holds a secret,
//! not even the name of a file that does.

use std::io::{self, Write};
use std::path::Path;

use fuuffy_protocol::SecretKind;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::finder::{Found, Sighting, mask};
use crate::integrator::progress;

/// Where something was found.
pub(super) enum Place<'a> {
    File(&'a Path),
    /// The name of a file or a folder, and not what is in it.
    Name(&'a Path),
    StandardInput,
    /// An object of a repository.
    Object(&'a Path, Object<'a>),
}

/// An object of a git repository.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    /// blob, tree, commit or tag
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    /// The first commit that has it, and by which path there, if any has.
    pub(super) first: Option<(&'a str, &'a Path)>,
}

/// What came of a scan so far.
pub(super) struct Report<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    is_json: bool,
    bar: ProgressBar,
    /// Kept only for JSON, which is told at the end.
    finds: Vec<Value>,
    found: u64,
    searched: u64,
    bytes: u64,
    unread: u64,
    /// What became of the telling.
    told: io::Result<()>,
}

impl<'a> Report<'a> {
    pub(super) fn new(is_json: bool, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        let bar = progress::bar("searched", None);
        Self { out, err, is_json, bar, finds: Vec::new(), found: 0, searched: 0, bytes: 0, unread: 0, told: Ok(()) }
    }

    /// Something was found.
    pub(super) fn found(&mut self, place: &Place<'_>, it: &Sighting) {
        self.found += 1;
        if self.is_json {
            self.finds.push(as_json(place, it));
        } else if self.told.is_ok() {
            let line = in_a_line(place, it);
            self.told = self.bar.suspend(|| writeln!(self.out, "{line}"));
        }
    }

    /// A file, an object or the standard input was searched, all of it or not.
    pub(super) fn searched(&mut self, name: &str, read: io::Result<u64>) {
        match read {
            Ok(bytes) => {
                self.searched += 1;
                self.bytes += bytes;
                self.bar.inc(bytes);
            }
            Err(error) => self.unread(name, &error.to_string()),
        }
    }

    /// Something could not be read, or not to its end.
    pub(super) fn unread(&mut self, name: &str, why: &str) {
        self.unread += 1;
        if self.told.is_ok() {
            let line = plain(&format!("{name}: {why}"));
            self.told = self.bar.suspend(|| writeln!(self.err, "{line}"));
        }
    }

    /// Tells the end, and answers the exit status.
    pub(super) fn end(mut self) -> anyhow::Result<u8> {
        self.bar.finish_and_clear();
        self.told?;
        let Self { found, searched, bytes, unread, .. } = self;
        if self.is_json {
            let finds = std::mem::take(&mut self.finds);
            let whole = json!({"found": finds, "searched": searched, "bytes": bytes, "unread": unread});
            writeln!(self.out, "{whole}")?;
        }
        writeln!(
            self.err,
            "Searched {searched} files and objects of {bytes} bytes: found {found}, could not read {unread}."
        )?;
        if found > 0 {
            writeln!(
                self.err,
                "Whoever could read them has them: replace each secret (fuuffy rotate), then retire it."
            )?;
        }
        Ok(match (found, unread) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        })
    }
}

/// A path as it may be shown.
pub(super) fn shown(path: &Path) -> String {
    plain(&path.to_string_lossy())
}

/// Words without secrets, and without what would command a terminal or begin another line.
fn plain(words: &str) -> String {
    mask(words).replace(char::is_control, "\u{fffd}")
}

fn in_a_line(place: &Place<'_>, it: &Sighting) -> String {
    let what = match it.found {
        Found::Secret(kind) => format!("{} secret {}", environment(kind), it.masked),
        Found::Token => format!("token {}", it.masked),
    };
    let Sighting { line, column, .. } = it;
    match place {
        Place::File(path) => format!("{}:{line}:{column}: {what}", shown(path)),
        Place::Name(path) => format!("{}: {what} in its name", shown(path)),
        Place::StandardInput => format!("-:{line}:{column}: {what}"),
        Place::Object(_, Object { first: Some((commit, path)), .. }) => {
            format!("{}:{}:{line}:{column}: {what}", plain(commit), shown(path))
        }
        Place::Object(_, Object { kind, id, .. }) => format!("{kind} {id}:{line}:{column}: {what}"),
    }
}

fn as_json(place: &Place<'_>, it: &Sighting) -> Value {
    let (found, environment) = match it.found {
        Found::Secret(kind) => ("secret", Some(environment(kind))),
        Found::Token => ("token", None),
    };
    let mut find = json!({"found": found, "environment": environment, "masked": it.masked});
    let more = match place {
        Place::File(path) => json!({"in": "file", "path": shown(path), "line": it.line, "column": it.column}),
        Place::Name(path) => json!({"in": "name", "path": shown(path)}),
        Place::StandardInput => json!({"in": "standard input", "line": it.line, "column": it.column}),
        Place::Object(repository, Object { kind, id, first }) => json!({
            "in": "history",
            "repository": shown(repository),
            "kind": kind,
            "object": id,
            "commit": first.map(|(commit, _)| commit),
            "path": first.map(|(_, path)| shown(path)),
            "line": it.line,
            "column": it.column,
        }),
    };
    if let (Value::Object(find), Value::Object(more)) = (&mut find, more) {
        find.extend(more);
    }
    find
}

const fn environment(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::Testing => "testing",
        SecretKind::Production => "production",
    }
}
