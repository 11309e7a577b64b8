//! `fuuffy scan`: finds our secrets where they should not be, in files and in the history of git repositories. It needs
//! no server and no configuration, and sends nothing anywhere. What it finds it never shows, but where it is.

mod files;
mod finder;
mod history;
mod report;
mod rules;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use finder::Finder;
use report::Report;
use rules::Scanner;

/// What the command's help ends with.
const MORE: &str = "\
Files are read as they are: what is compressed, encrypted or encoded otherwise is not seen. Hidden and ignored files are \
read too, for secrets are in those; symbolic links are not followed.

Exits with 0 where nothing was found, with 1 where something was, and with 2 where nothing was found but not everything \
could be read.";

/// `fuuffy scan`
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct ScanArgs {
    /// Files and directories; - is standard input.
    #[arg(required_unless_present = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Search the history of the git repositories in and around the paths, too: every object that is kept, whether
    /// a branch leads to it or not.
    #[arg(long)]
    history: bool,
    /// Find access tokens, too. They have no checksum, and other services have keys of the same form.
    #[arg(long)]
    tokens: bool,
    /// Print the rule by which another scanner finds our secrets, and search nothing.
    #[arg(long, value_name = "SCANNER", conflicts_with_all = ["paths", "history", "tokens"])]
    rules: Option<Scanner>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Searches, and tells where something was found.
///
/// # Errors
/// Writing failed.
pub fn scan(args: &ScanArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if let Some(scanner) = args.rules {
        write!(out, "{}", rules::of(scanner))?;
        return Ok(0);
    }
    let mut finder = Finder::new(args.tokens);
    let mut report = Report::new(args.json, out, err);
    let mut repositories = BTreeSet::new();
    for path in &args.paths {
        let inner = files::search(path, &mut finder, &mut report);
        if args.history {
            repositories.extend(history::repositories(path, &inner, &mut report));
        }
    }
    for repository in &repositories {
        history::search(repository, &mut finder, &mut report);
    }
    report.end()
}
