//! What the kernel programs log, in builds that ask for it (feature `kernel-log`).
//!
//! Rule: for developers only; a call per drop is dear, so no released build has it.

use aya::Ebpf;
use aya_log::EbpfLogger;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Passes it on to our own log (`WHYDROP_LOG=debug`), from a task of its own.
pub(super) fn start(object: &mut Ebpf) {
    let logger = match EbpfLogger::init(object) {
        Ok(logger) => logger,
        Err(error) => return tracing::warn!("the kernel programs log nothing: {error}"),
    };
    // SAFETY: the logger owns its descriptor and keeps it until it is dropped.
    match unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) } {
        Ok(mut logger) => {
            tokio::spawn(async move {
                while let Ok(mut guard) = logger.readable_mut().await {
                    guard.get_inner_mut().flush();
                    guard.clear_ready();
                }
            });
        }
        Err(error) => tracing::warn!("can't wait for the kernel programs' log: {}", std::io::Error::from(error)),
    }
}
