//! What the registers of a rule hold, as far as iptables-nft uses them.

use crate::model::{MetaKey, PayloadBase, Register};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Payload { base: PayloadBase, offset: u32, length: u32 },
    Meta(MetaKey),
    Immediate(Vec<u8>),
}

/// A value: `(source & mask) ^ xor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) source: Source,
    pub(super) mask: Option<Vec<u8>>,
    pub(super) xor: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Registers([Option<Value>; 16]);

impl Registers {
    pub(super) fn load(&mut self, register: Register, source: Source) {
        self.put(register, Value { source, mask: None, xor: Vec::new() });
    }

    pub(super) fn put(&mut self, register: Register, value: Value) {
        if let Some(slot) = self.0.get_mut(usize::from(register.0)) {
            *slot = Some(value);
        }
    }

    pub(super) fn get(&self, register: Register) -> Option<&Value> {
        self.0.get(usize::from(register.0))?.as_ref()
    }
}
