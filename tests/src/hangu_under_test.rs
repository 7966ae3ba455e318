//! The binary that the end-to-end tests run: the same entry as `hangu`, always built from the code beside them.

use std::process::ExitCode;

fn main() -> ExitCode {
    hangu_gateway::cli::main()
}
