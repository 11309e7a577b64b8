//! The `fuuffy` command. All of it is in the library, so that tests can own it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fuuffy::cli::main()
}
