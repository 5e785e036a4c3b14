//! The binary: the command line of the library, and the allocator.
//!
//! Invariant: everything else is in the library, so that tests start the very daemon that this starts. Buffers of many
//! sizes live long in the daemon, under which the system's allocator fragments.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tongdao::cli::run()
}
