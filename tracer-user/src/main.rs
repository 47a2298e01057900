//! Parse, run, exit status; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    whydrop::cli::main()
}
