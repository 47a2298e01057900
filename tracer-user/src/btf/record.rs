//! One type record of BTF, as bytes. Rule: nothing here follows a reference; every length is taken from the record and
//! checked against the section before it is used. The format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h.

/// Bytes of a record before its kind's own part.
pub(super) const HEAD: usize = 12;

/// The kinds that this reader tells apart; `Other` is stepped over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Void,
    Int,
    Pointer,
    Array,
    Struct,
    Union,
    Enum,
    Enum64,
    /// A struct or union that is only declared.
    Forward,
    Typedef,
    /// `const`, `volatile`, `restrict` or a type tag: says nothing about where bytes are.
    Modifier,
    Prototype,
    Function,
    Float,
    Other,
}

impl Kind {
    fn of(number: u32) -> Self {
        match number {
            0 => Self::Void,
            1 => Self::Int,
            2 => Self::Pointer,
            3 => Self::Array,
            4 => Self::Struct,
            5 => Self::Union,
            6 => Self::Enum,
            7 => Self::Forward,
            8 => Self::Typedef,
            9..=11 | 18 => Self::Modifier,
            12 => Self::Function,
            13 => Self::Prototype,
            16 => Self::Float,
            19 => Self::Enum64,
            _ => Self::Other,
        }
    }

    /// Whether anything asks for such a type by its name.
    pub(super) fn is_looked_up(self) -> bool {
        matches!(self, Self::Struct | Self::Union | Self::Enum | Self::Enum64 | Self::Typedef)
    }
}

/// Sizes of what follows a record's head: once, and for each of its `count` elements.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) once: usize,
    pub(super) each: usize,
}

impl Layout {
    /// The kinds that Linux 7.2 has; newer ones are described by the file itself.
    pub(super) fn of(number: u32) -> Option<Self> {
        let (once, each) = match number {
            2 | 7..=12 | 16 | 18 => (0, 0),
            1 | 14 | 17 => (4, 0),
            3 => (12, 0),
            4 | 5 | 15 | 19 => (0, 12),
            6 | 13 => (0, 8),
            _ => return None,
        };
        Some(Self { once, each })
    }

    /// Bytes that follow the head of a record with `count` elements.
    pub(super) fn len(self, count: usize) -> Option<usize> {
        self.each.checked_mul(count)?.checked_add(self.once)
    }
}

/// The head of a record.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) name: u32,
    info: u32,
    /// The size in bytes, or the type that this one is made from: the kind says which.
    pub(super) size_or_type: u32,
}

impl Head {
    pub(super) fn read(section: &[u8], at: usize) -> Option<Self> {
        let [name, info, size_or_type] = words(section.get(at..at.checked_add(HEAD)?)?)?;
        Some(Self { name, info, size_or_type })
    }

    pub(super) fn kind_number(self) -> u32 {
        self.info >> 24 & 0x7f
    }

    pub(super) fn kind(self) -> Kind {
        Kind::of(self.kind_number())
    }

    /// Members, parameters or enumerators that follow. 16 bits until 7.2, 24 from 7.3; the others were always zero.
    pub(super) fn count(self) -> usize {
        (self.info & 0x00ff_ffff) as usize
    }

    /// Struct: members hold bit field sizes. Enum: values are signed.
    pub(super) fn flag(self) -> bool {
        self.info >> 31 == 1
    }
}

/// A record with the bytes that follow its head.
#[derive(Clone, Copy)]
pub(super) struct Type<'a> {
    pub(super) head: Head,
    pub(super) kind: Kind,
    pub(super) tail: &'a [u8],
}

impl<'a> Type<'a> {
    pub(super) const VOID: Type<'static> =
        Type { head: Head { name: 0, info: 0, size_or_type: 0 }, kind: Kind::Void, tail: &[] };

    /// The elements that follow the head, as groups of `N` words.
    pub(super) fn elements<const N: usize>(self) -> impl Iterator<Item = [u32; N]> + 'a {
        self.tail.chunks_exact(4 * N).filter_map(words)
    }

    pub(super) fn is_aggregate(self) -> bool {
        matches!(self.kind, Kind::Struct | Kind::Union)
    }
}

/// `bytes` as `N` words of this machine, which is the one whose kernel wrote them.
pub(super) fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let (chunks, []) = bytes.as_chunks::<4>() else { return None };
    let chunks: &[[u8; 4]; N] = chunks.try_into().ok()?;
    Some(chunks.map(u32::from_ne_bytes))
}
