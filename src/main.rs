//! The binary: the command line of the library.
//!
//! Invariant: everything else is in the library, so that tests start the very daemon that this starts.

fn main() -> std::process::ExitCode {
    if cfg!(feature = "planted") {
        // Defects on purpose are for the simulation alone.
        return std::process::ExitCode::FAILURE;
    }
    tongdao::cli::run()
}
