//! The binary: everything is in the library, so that tests start the same daemon.

/// Long-lived buffers of many sizes: the system's allocator fragments under them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tongdao::cli::run()
}
