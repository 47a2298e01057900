//! Kernel addresses to symbols; an address stays a number where the kernel hides its symbols.

use crate::event::Location;
use crate::host::Symbols;

/// The function that freed the packet.
pub fn location(address: u64, symbols: Option<&Symbols>) -> Location {
    match symbols.and_then(|symbols| symbols.resolve(address)) {
        Some(symbol) => {
            Location { symbol: symbol.name.to_owned(), offset: symbol.offset, module: symbol.module.map(str::to_owned) }
        }
        None => Location { symbol: format!("{address:#x}"), offset: 0, module: None },
    }
}

/// The functions of a stack, innermost first.
pub fn stack(frames: &[u64], symbols: Option<&Symbols>) -> Vec<String> {
    frames.iter().map(|frame| location(*frame, symbols).symbol).collect()
}
