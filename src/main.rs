//! The binary: the command line of the library.
//!
//! Invariant: everything else is in the library, so that tests start the very daemon that this starts.

fn main() -> std::process::ExitCode {
    tongdao::cli::run()
}
