//! A type as C would write it, and its size: what prototypes and members are compared by.

use super::error::malformed;
use super::reader::MAX_CHAIN;
use super::record::Kind;
use super::{Btf, BtfError};

/// Bytes of a pointer in the running kernel, which is built for the same machine.
const POINTER: u32 = size_of::<usize>() as u32;

impl Btf<'_> {
    /// `struct sk_buff *`, `enum skb_drop_reason`, `void *`: without qualifiers, which kernels add and drop freely.
    pub(super) fn type_name(&self, mut id: u32) -> Result<String, BtfError> {
        let mut stars = String::new();
        for _ in 0..MAX_CHAIN {
            let found = self.type_by_id(id)?;
            let tag = match found.kind {
                Kind::Void => return Ok(join("void", "", &stars)),
                Kind::Struct => "struct ",
                Kind::Union => "union ",
                Kind::Enum | Kind::Enum64 => "enum ",
                Kind::Pointer | Kind::Modifier => {
                    if found.kind == Kind::Pointer {
                        stars.push('*');
                    }
                    id = found.head.size_or_type;
                    continue;
                }
                Kind::Array => return Ok(join("array", "", &stars)),
                Kind::Prototype => return Ok(join("function", "", &stars)),
                // A forward declaration is a struct that this BTF does not spell out.
                Kind::Forward => {
                    if found.head.flag() {
                        "union "
                    } else {
                        "struct "
                    }
                }
                Kind::Int | Kind::Float | Kind::Typedef | Kind::Function | Kind::Other => "",
            };
            return Ok(join(tag, self.string(found.head.name)?, &stars));
        }
        Err(malformed("a type is made of itself"))
    }

    /// The name that a type has of itself; none where it has none.
    pub(crate) fn name_of(&self, id: u32) -> Option<String> {
        let name = self.string(self.type_by_id(id).ok()?.head.name).ok()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// Size of a type in bytes.
    pub(super) fn size_of(&self, id: u32) -> Result<u32, BtfError> {
        let mut id = id;
        let mut count: u32 = 1;
        for _ in 0..MAX_CHAIN {
            let found = self.resolve(id)?;
            let size = match found.kind {
                Kind::Pointer => POINTER,
                Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => {
                    found.head.size_or_type
                }
                Kind::Array => {
                    let [element, _, len] = found.elements().next().ok_or(malformed("an array has no element type"))?;
                    count = count.checked_mul(len).ok_or(malformed("an array is larger than 4 GiB"))?;
                    id = element;
                    continue;
                }
                _ => return Err(malformed("a member has no size")),
            };
            return size.checked_mul(count).ok_or(malformed("a member is beyond 4 GiB"));
        }
        Err(malformed("a type is made of itself"))
    }
}

fn join(tag: &str, name: &str, stars: &str) -> String {
    let space = if stars.is_empty() { "" } else { " " };
    format!("{tag}{name}{space}{stars}")
}
