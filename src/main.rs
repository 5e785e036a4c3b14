//! The binary: it starts the library's command line and ends with its exit code.
//!
//! Invariant: everything is in the library, so that tests start the same daemon that people do.

/// Long-lived buffers of many sizes: the system's allocator fragments under them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tongdao::cli::run()
}
