//! Compiles `proto/` with a compiler written in Rust: nothing has to be installed for it.

use std::error::Error;

const FILES: [&str; 2] = ["proto/cri.proto", "proto/hubble/observer.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().build_server(true).compile_fds(descriptors)?;
    Ok(())
}
