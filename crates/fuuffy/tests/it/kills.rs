//! A command that is killed at each of its steps on files, one after the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::app::{BINARY, Place};

/// No command has more steps.
const LIMIT: usize = 2000;

/// The library that kills at a chosen step, built from `kills.c`.
pub(crate) struct Killer {
    _folder: TempDir,
    library: PathBuf,
}

impl Killer {
    pub(crate) fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("kills.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/kills.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        assert!(built.unwrap().success(), "the C compiler failed");
        Self { _folder: folder, library }
    }

    /// Runs the command on places that `prepare` makes, killed at its first step, at its second and so on, and
    /// lets `check` look at what is left; until it ends by itself. Answers how many steps it had.
    pub(crate) fn at_every_step<T>(
        &self,
        prepare: impl Fn() -> (Place, T),
        arguments: impl Fn(&Place) -> Vec<String>,
        check: impl Fn(usize, &Place, &T),
    ) -> usize {
        for step in 1..LIMIT {
            let (place, prepared) = prepare();
            let output = self.run(&place, step, &arguments(&place));
            if output.status.code().is_some() {
                assert!(output.status.success(), "step {step}: {output:?}");
                check(step, &place, &prepared);
                return step - 1;
            }
            check(step, &place, &prepared);
        }
        panic!("the command has more than {LIMIT} steps");
    }

    fn run(&self, place: &Place, step: usize, arguments: &[String]) -> Output {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--config").arg(place.config_file()).env_clear().stdin(Stdio::null());
        self.aim(&mut command, &place.path(""), step).output().unwrap()
    }

    /// Has the command killed at a step of its work below a folder.
    pub(crate) fn aim<'a>(&self, command: &'a mut Command, below: &Path, step: usize) -> &'a mut Command {
        command.env("LD_PRELOAD", &self.library).env("FUUFFY_KILL_BELOW", below).env("FUUFFY_KILL_AT", step.to_string())
    }
}
