//! Makes a test fixture of a kernel's BTF: `btf_extract /sys/kernel/btf/vmlinux fixtures/btf/6.18.btf` keeps the
//! structs, the tracepoint and the enums that whydrop reads, with all that they hold by value. What they only
//! point to becomes a forward declaration or `void`, so that 5 MB shrink to 50 kB. Reads BTF that a build of the kernel
//! made, not hostile files.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result, bail};

/// Enums and the tracepoint's typedef; the structs are those of the field list.
const NAMES: [&str; 6] = [
    "skb_drop_reason",
    "skb_drop_reason_subsys",
    "mac80211_drop_reason",
    "ovs_drop_reason",
    "qdisc_drop_reason",
    "btf_trace_kfree_skb",
];

const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const FUNC_PROTO: u32 = 13;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, input, output] = arguments.as_slice() else { bail!("usage: btf_extract IN OUT") };
    let bytes = fs::read(input).with_context(|| format!("cannot read {input}"))?;
    let source = Source::read(&bytes).context("this is not BTF")?;
    let structs = tracer_common::FIELDS.iter().filter_map(|field| field.path.split('.').next());
    let wanted: Vec<&str> = structs.chain(NAMES).collect();
    let mut extract = Extract { source: &source, ids: HashMap::new(), queue: Vec::new(), strings: Strings::new() };
    let roots: Vec<u32> = (1..source.records.len() as u32).filter(|&id| source.is_root(id, &wanted)).collect();
    for &id in &roots {
        extract.want(id, Form::Whole);
    }
    let file = extract.write();
    fs::write(output, &file).with_context(|| format!("cannot write {output}"))?;
    println!("{} types of {}, {} bytes of {}", extract.queue.len(), source.records.len(), file.len(), bytes.len());
    Ok(())
}

/// A record as words: name, info, size or type, and the rest.
struct Source<'a> {
    records: Vec<Vec<u32>>,
    strings: &'a [u8],
}

impl<'a> Source<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let section = |at: usize| {
            let start = (word(4)? + word(at)?) as usize;
            bytes.get(start..start + word(at + 4)? as usize)
        };
        let types: Vec<u32> = section(8)?
            .chunks_exact(4)
            .map(|word| word.try_into().map(u32::from_ne_bytes))
            .collect::<Result<_, _>>()
            .ok()?;
        let mut records = vec![Vec::new()];
        let mut rest = types.as_slice();
        while let [_, info, ..] = rest {
            let count = (info & 0xffff) as usize;
            let len = 3 + match info >> 24 & 0x1f {
                1 | 14 | 17 => 1,
                3 => 3,
                4 | 5 | 15 | 19 => 3 * count,
                6 | 13 => 2 * count,
                _ => 0,
            };
            records.push(rest.get(..len)?.to_vec());
            rest = rest.get(len..)?;
        }
        Some(Self { records, strings: section(16)? })
    }

    fn name(&self, id: u32) -> &'a [u8] {
        self.string(self.records[id as usize][0])
    }

    fn string(&self, offset: u32) -> &'a [u8] {
        self.strings[offset as usize..].split(|&byte| byte == 0).next().unwrap_or_default()
    }

    fn kind(&self, id: u32) -> u32 {
        self.records[id as usize].get(1).map_or(0, |info| info >> 24 & 0x1f)
    }

    fn is_root(&self, id: u32, wanted: &[&str]) -> bool {
        let name = self.name(id);
        matches!(self.kind(id), STRUCT | UNION | 6 | 19 | TYPEDEF)
            && wanted.iter().any(|wanted| wanted.as_bytes() == name)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Whole,
    Forward,
}

struct Extract<'a> {
    source: &'a Source<'a>,
    /// New numbers of what was asked for.
    ids: HashMap<(u32, Form), u32>,
    queue: Vec<(u32, Form)>,
    strings: Strings<'a>,
}

impl Extract<'_> {
    fn want(&mut self, id: u32, form: Form) -> u32 {
        if id == 0 {
            return 0;
        }
        let next = self.queue.len() as u32 + 1;
        *self.ids.entry((id, form)).or_insert_with(|| {
            self.queue.push((id, form));
            next
        })
    }

    /// The new number of a pointer's target.
    fn pointed(&mut self, mut id: u32, is_tracepoint: bool) -> u32 {
        while matches!(self.source.kind(id), 9..=11 | 18) {
            id = self.source.records[id as usize][2];
        }
        match self.source.kind(id) {
            STRUCT | UNION if !self.ids.contains_key(&(id, Form::Whole)) => self.want(id, Form::Forward),
            FUNC_PROTO if !is_tracepoint => 0,
            _ => self.want(id, Form::Whole),
        }
    }

    fn write(&mut self) -> Vec<u8> {
        let mut types = Vec::new();
        let mut tracepoint = None;
        let mut at = 0;
        while let Some(&(id, form)) = self.queue.get(at) {
            at += 1;
            if self.source.name(id) == b"btf_trace_kfree_skb" {
                tracepoint = Some(self.source.records[id as usize][2]);
            }
            let record = self.record(id, form, tracepoint == Some(id));
            types.extend(record);
        }
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let strings = &self.strings.bytes;
        let lens = [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let header = [0x9f, 0xeb, 1, 0].into_iter().chain(lens.into_iter().flat_map(u32::to_ne_bytes));
        header.chain(types.iter().copied()).chain(strings.iter().copied()).collect()
    }

    fn record(&mut self, id: u32, form: Form, is_tracepoint: bool) -> Vec<u32> {
        let mut record = self.source.records[id as usize].clone();
        let kind = self.source.kind(id);
        record[0] = self.strings.add(self.source.name(id));
        if form == Form::Forward {
            return vec![record[0], FWD << 24 | u32::from(kind == UNION) << 31, 0];
        }
        let (head, rest) = record.split_at_mut(3);
        match kind {
            PTR => head[2] = self.pointed(head[2], is_tracepoint),
            TYPEDEF | 9..=11 | 18 => head[2] = self.want(head[2], Form::Whole),
            ARRAY => (rest[0], rest[1]) = (self.want(rest[0], Form::Whole), self.want(rest[1], Form::Whole)),
            STRUCT | UNION => {
                for member in rest.chunks_exact_mut(3) {
                    member[0] = self.strings.add(self.source.string(member[0]));
                    member[1] = self.want(member[1], Form::Whole);
                }
            }
            FUNC_PROTO => {
                head[2] = self.want(head[2], Form::Whole);
                for parameter in rest.chunks_exact_mut(2) {
                    parameter[0] = self.strings.add(self.source.string(parameter[0]));
                    parameter[1] = self.want(parameter[1], Form::Whole);
                }
            }
            6 => rest.chunks_exact_mut(2).for_each(|value| value[0] = self.strings.add(self.source.string(value[0]))),
            19 => rest.chunks_exact_mut(3).for_each(|value| value[0] = self.strings.add(self.source.string(value[0]))),
            _ => {}
        }
        record
    }
}

struct Strings<'a> {
    bytes: Vec<u8>,
    offsets: HashMap<&'a [u8], u32>,
}

impl<'a> Strings<'a> {
    fn new() -> Self {
        Self { bytes: vec![0], offsets: HashMap::from([(&b""[..], 0)]) }
    }

    fn add(&mut self, text: &'a [u8]) -> u32 {
        let next = self.bytes.len() as u32;
        *self.offsets.entry(text).or_insert_with(|| {
            self.bytes.extend(text);
            self.bytes.push(0);
            next
        })
    }
}
