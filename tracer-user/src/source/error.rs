//! What can go wrong while reading from the kernel programs.

use std::io;

use aya::maps::MapError;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum SourceError {
    #[error("the kernel programs' maps can't be used: {0}; build whydrop again if its parts are of different versions")]
    Map(#[from] MapError),
    #[error("can't wait for the ring buffer: {0}")]
    Poll(io::Error),
    #[error("can't tell the number of CPUs: {0}; is /sys mounted?")]
    Cpus(io::Error),
    #[error("the kernel does not give the counts of {map}: {error}")]
    Read { map: &'static str, error: io::Error },
}
