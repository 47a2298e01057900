//! The read-only globals that user space sets before the load.
//!
//! Rule: each is one word. Words of a frozen read-only section are constants for the verifier, so code behind an
//! absent member or an unused setting is removed at load and costs nothing.

use tracer_common::{ABI_VERSION, ABSENT};

macro_rules! offsets {
    ($(($name:ident, $path:literal, $need:expr);)*) => {
        $(
            #[doc = concat!("Byte offset of `", $path, "`.")]
            #[unsafe(no_mangle)]
            pub static $name: u32 = ABSENT;
        )*
    };
}
tracer_common::kernel_fields!(offsets);

macro_rules! settings {
    ($($name:ident = $value:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub static $name: u32 = $value;
        )*
    };
}
settings! {
    ABI = ABI_VERSION;
    EVENT_BUDGET = 64;
    STACK_BUDGET = 64;
    EVERY = 0;
    SAMPLE_MASK = 1023;
    WAKE_AT = 0;
    FILTERS = 0;
    CAST_CONTEXT = 0;
    ARG_REASON = ABSENT;
    ARG_RX_SK = ABSENT;
}

/// The value that user space gave a global. Volatile, or the compiler would use the one compiled in.
#[inline(always)]
pub fn get(global: &'static u32) -> u32 {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::read_volatile(global) }
}
