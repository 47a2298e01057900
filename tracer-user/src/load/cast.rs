//! The kernel's function that gives a tc program its packet as a `struct sk_buff` (`bpf_cast_to_kern_ctx`, since Linux 6.2):
//! members are plain loads then, where a helper that copies one takes 20 ns.
//!
//! Rule: calls of it are marked in the object ([`CAST_CALL`]), and become calls only where the kernel has just taken a program with
//! one. Elsewhere they stay marks in code that is removed at load.

use std::io;

use object::{Object, ObjectSection, SectionKind};
use tracer_common::CAST_CALL;

/// Its name in the kernel's types.
pub(super) const FUNCTION: &str = "bpf_cast_to_kern_ctx";

/// `uapi/linux/bpf.h`.
const PROGRAM_LOAD: libc::c_int = 5;
const SCHED_CLS: u32 = 3;
/// A call, and the source register that makes it one of a kernel function (`BPF_PSEUDO_KFUNC_CALL`).
const CALL: u8 = 0x85;
const KERNEL_FUNCTION: u8 = 2 << 4;
/// Bytes of an instruction.
const INSTRUCTION: usize = 8;

/// The object with calls of the function of this number; `None` where the kernel does not take them.
pub(super) fn with_calls(object: &[u8], function: u32) -> Option<Vec<u8>> {
    match try_call(function) {
        Ok(()) => set_calls(object, function),
        Err(error) => {
            tracing::debug!("`{FUNCTION}` cannot be called, members of packets are copied: {error}");
            None
        }
    }
}

fn call(function: u32) -> [u8; INSTRUCTION] {
    let [a, b, c, d] = function.to_ne_bytes();
    [CALL, KERNEL_FUNCTION, 0, 0, a, b, c, d]
}

fn set_calls(object: &[u8], function: u32) -> Option<Vec<u8>> {
    let file = object::File::parse(object).ok()?;
    let code = file.sections().filter(|section| section.kind() == SectionKind::Text);
    let places: Vec<_> = code.filter_map(|section| section.file_range()).collect();
    let [a, b, c, d] = CAST_CALL.to_ne_bytes();
    let mut object = object.to_vec();
    for (start, length) in places {
        let (start, length) = (usize::try_from(start).ok()?, usize::try_from(length).ok()?);
        let section = object.get_mut(start..start.checked_add(length)?)?;
        for instruction in section.chunks_exact_mut(INSTRUCTION) {
            if instruction == [CALL, 0, 0, 0, a, b, c, d] {
                instruction.copy_from_slice(&call(function));
            }
        }
    }
    Some(object)
}

/// The first members of `union bpf_attr` for a load; the kernel takes the rest as zeros.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

/// Loads a tc program that calls it and does nothing else.
fn try_call(function: u32) -> io::Result<()> {
    // r0 = 0; exit.
    let program = [call(function), [0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    let attributes = ProgramLoad {
        kind: SCHED_CLS,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
    };
    // SAFETY: the kernel reads a complete `ProgramLoad`, as many instructions as it says, and a licence that ends with NUL.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROGRAM_LOAD, &raw const attributes, size_of::<ProgramLoad>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that nobody else has.
    unsafe { libc::close(fd as libc::c_int) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::embedded;

    fn count(object: &[u8], instruction: [u8; INSTRUCTION]) -> usize {
        object.chunks_exact(INSTRUCTION).filter(|bytes| **bytes == instruction).count()
    }

    #[test]
    fn marks_become_calls_and_nothing_else_changes() {
        let [a, b, c, d] = CAST_CALL.to_ne_bytes();
        let mark = [CALL, 0, 0, 0, a, b, c, d];
        let marks = count(embedded(), mark);
        assert!(marks > 0);
        let object = set_calls(embedded(), 77).unwrap();
        assert_eq!((count(&object, mark), count(&object, call(77))), (0, marks));
        let changed = object.iter().zip(embedded()).filter(|(new, old)| new != old).count();
        assert!(changed <= marks * 5, "{changed} bytes of {marks} calls");
    }

    #[test]
    fn what_is_no_object_has_no_calls() {
        assert_eq!(set_calls(b"not an object", 1), None);
        for length in (1..embedded().len()).step_by(4001) {
            drop(set_calls(&embedded()[..length], 1));
        }
    }
}
