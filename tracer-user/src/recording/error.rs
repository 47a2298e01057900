//! Why there is nothing to list.

use crate::host::error::Errno;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    #[error(
        "no `whydrop watch` is running that this process can see; start one, or name a file that `whydrop watch -o json` \
         was saved to with --from FILE ({refused} whydrop processes could not be looked into: run as root)"
    )]
    Refused { refused: u32 },
    #[error(
        "no `whydrop watch` is running that this process can see; start one (in a container: with the host's PID \
         namespace), or name a file that `whydrop watch -o json` was saved to with --from FILE"
    )]
    NotRunning,
    #[error("{path} cannot be read: {errno}")]
    Unreadable { path: String, errno: Errno },
    #[error("{path} holds no line of `whydrop watch -o json`; save one with `whydrop watch -o json > FILE`")]
    Foreign { path: String },
    #[error("{path} cannot be listed: is /proc mounted? ({errno})")]
    NoProc { path: String, errno: Errno },
}
