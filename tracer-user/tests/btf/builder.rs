//! Writes BTF by hand, right or wrong.

use whydrop::btf::Btf;

pub(crate) const INT: u32 = 1;
pub(crate) const PTR: u32 = 2;
pub(crate) const ARRAY: u32 = 3;
pub(crate) const STRUCT: u32 = 4;
pub(crate) const UNION: u32 = 5;
pub(crate) const ENUM: u32 = 6;
pub(crate) const FWD: u32 = 7;
pub(crate) const TYPEDEF: u32 = 8;
pub(crate) const VOLATILE: u32 = 9;
pub(crate) const CONST: u32 = 10;
pub(crate) const FUNC_PROTO: u32 = 13;
pub(crate) const TYPE_TAG: u32 = 18;
pub(crate) const ENUM64: u32 = 19;

/// The flag of a record: bit field sizes in members, signed values in enums.
pub(crate) const FLAG: u32 = 1 << 31;

pub(crate) struct Builder {
    pub(crate) types: Vec<u32>,
    pub(crate) strings: Vec<u8>,
    first_id: u32,
    count: u32,
    first_string: u32,
    layouts: Option<Vec<u8>>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], first_id: 1, count: 0, first_string: 0, layouts: None }
    }

    /// A module's BTF, which continues the numbers of `base`.
    pub(crate) fn split(base: &Self) -> Self {
        let first_string = base.first_string + base.strings.len() as u32;
        Self { first_id: base.first_id + base.count, first_string, strings: Vec::new(), ..Self::new() }
    }

    pub(crate) fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let offset = self.first_string + self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        offset
    }

    /// Adds a record and returns its number.
    pub(crate) fn add(&mut self, kind: u32, name: &str, count: u32, size_or_type: u32, rest: &[u32]) -> u32 {
        let name = self.name(name);
        self.types.extend([name, (kind & !FLAG) << 24 | kind & FLAG | count, size_or_type]);
        self.types.extend(rest);
        self.count += 1;
        self.first_id + self.count - 1
    }

    pub(crate) fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(INT, name, 0, size, &[size * 8])
    }

    /// Members are name, type and bit offset.
    pub(crate) fn aggregate(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let rest: Vec<u32> = members.iter().flat_map(|&(name, id, bits)| [self.name(name), id, bits]).collect();
        self.add(kind, name, members.len() as u32, size, &rest)
    }

    pub(crate) fn enumeration(&mut self, kind: u32, name: &str, values: &[(&str, u32)]) -> u32 {
        let rest: Vec<u32> = values.iter().flat_map(|&(name, value)| [self.name(name), value]).collect();
        self.add(kind, name, values.len() as u32, 4, &rest)
    }

    /// `typedef void (*btf_trace_<name>)(parameters)`.
    pub(crate) fn tracepoint(&mut self, name: &str, parameters: &[u32]) -> u32 {
        let rest: Vec<u32> = parameters.iter().flat_map(|&id| [0, id]).collect();
        let prototype = self.add(FUNC_PROTO, "", parameters.len() as u32, 0, &rest);
        let pointer = self.add(PTR, "", 0, prototype, &[]);
        self.add(TYPEDEF, &format!("btf_trace_{name}"), 0, pointer, &[])
    }

    /// Adds the section that tells the sizes of each kind's records, as Linux 7.3 writes it.
    pub(crate) fn layout(&mut self, kind: usize, once: u8, each: u8) {
        let layouts = self.layouts.get_or_insert_default();
        layouts.resize(layouts.len().max(4 * (kind + 1)), 0);
        layouts[4 * kind] = once;
        layouts[4 * kind + 1] = each;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let types: Vec<u8> = self.types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (types_len, strings_len) = (types.len() as u32, self.strings.len() as u32);
        let mut header = vec![if self.layouts.is_some() { 32 } else { 24 }, 0, types_len, types_len, strings_len];
        if let Some(layouts) = &self.layouts {
            header.extend([types_len + strings_len, layouts.len() as u32]);
        }
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend(header.into_iter().flat_map(u32::to_ne_bytes));
        bytes.extend(types);
        bytes.extend(&self.strings);
        bytes.extend(self.layouts.iter().flatten());
        bytes
    }

    pub(crate) fn parse(&self) -> Btf<'static> {
        Btf::parse(self.bytes()).expect("the builder writes valid BTF")
    }
}
