//! From the entries of a table to its chains.
//!
//! ```text
//!  hook_entry -> [rule]..[policy] <- underflow   [ERROR "name"][rule]..[RETURN]   ...   [ERROR "ERROR"]
//! ```
//!
//! Rule: heads, tails and policies are no rules, as `iptables -S` counts them.

use std::collections::HashMap;

use super::LegacyError;
use super::control::Info;
use super::entry::{ACCEPT, CONTINUE, DROP, Entry, Layout, NOWHERE, RETURN, Standard, text};
use crate::model::{Backend, Base, Chain, ChainKind, Family, Hook, Policy, RawRule, Table};

/// The table that these entries are.
pub(super) fn table(layout: &Layout, name: &str, info: &Info, entries: &[u8]) -> Result<Table, LegacyError> {
    let malformed = |what| LegacyError::Malformed { family: layout.family, table: name.to_owned(), what };
    if place(name, Hook::Forward).is_none() {
        return Err(LegacyError::Name { family: layout.family, table: name.to_owned() });
    }
    let mut builder = Builder::new(Table::new(Backend::Legacy, layout.family, name), info);
    let mut offset = 0_u32;
    while let Some(rest) = entries.get(offset as usize..).filter(|rest| !rest.is_empty()) {
        let entry = Entry::new(layout, rest).ok_or_else(|| malformed("an entry"))?;
        let next = offset.checked_add(entry.bytes.len() as u32).ok_or_else(|| malformed("its size"))?;
        builder.entry(offset, next, &entry).ok_or_else(|| malformed("a chain"))?;
        offset = next;
    }
    Ok(builder.finish())
}

/// Priority of a table at a hook (`include/uapi/linux/netfilter_ipv4.h`), and whether its chains are of NAT.
pub(crate) fn place(table: &str, hook: Hook) -> Option<(i32, ChainKind)> {
    Some(match (table, hook) {
        ("raw", _) => (-300, ChainKind::Filter),
        ("mangle", _) => (-150, ChainKind::Filter),
        ("nat", Hook::Input | Hook::Postrouting) => (100, ChainKind::Nat),
        ("nat", _) => (-100, ChainKind::Nat),
        ("filter", _) => (0, ChainKind::Filter),
        ("security", _) => (50, ChainKind::Filter),
        _ => return None,
    })
}

/// The name of a built-in chain.
const fn built_in(hook: Hook) -> &'static str {
    match hook {
        Hook::Prerouting => "PREROUTING",
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
        Hook::Postrouting => "POSTROUTING",
        Hook::Ingress => "INGRESS",
        Hook::Egress => "EGRESS",
    }
}

struct Builder {
    table: Table,
    /// Offsets where chains of hooks begin and where their policies are.
    hooks: HashMap<u32, Hook>,
    policies: HashMap<u32, Hook>,
    /// Chain by the offset of its first rule.
    begins: HashMap<u32, usize>,
    /// The chain being filled. Jumps are still offsets in it.
    current: Option<Chain>,
}

impl Builder {
    fn new(table: Table, info: &Info) -> Self {
        let family = if table.family == Family::Arp { Family::Arp } else { Family::Ip };
        let at = |offsets: &[u32]| {
            let with_hook = offsets.iter().zip(0_u32..).filter(|(_, number)| info.valid_hooks >> number & 1 == 1);
            with_hook.filter_map(|(offset, number)| Some((*offset, Hook::from_number(family, number)?))).collect()
        };
        let (hooks, policies) = (at(&info.hook_entry), at(&info.underflow));
        Self { table, hooks, policies, begins: HashMap::new(), current: None }
    }

    /// Takes one entry; `None` if it can't stand where it is.
    fn entry(&mut self, offset: u32, next: u32, entry: &Entry<'_>) -> Option<()> {
        if let Some(hook) = self.hooks.get(&offset).copied() {
            self.begin(built_in(hook).to_owned(), offset);
        }
        if let Some(hook) = self.policies.get(&offset).copied() {
            return self.policy(hook, entry);
        }
        let target = entry.target()?;
        if target.name == "ERROR" && !entry.has_matches() {
            // The last entry of all is another such, with the name ERROR.
            self.begin(text(target.data), next);
            return Some(());
        }
        let (bytes, jump) = match entry.standard() {
            Some(Standard::Jump(to)) if to == next => (entry.detached(Some(CONTINUE)), None),
            Some(Standard::Jump(to)) => (entry.detached(Some(0)), Some(to as usize)),
            Some(Standard::Verdict(_)) | None => (entry.detached(None), None),
        };
        self.current.as_mut()?.rules.push(RawRule::Legacy { entry: bytes, jump });
        Some(())
    }

    fn begin(&mut self, name: String, first: u32) {
        self.end();
        self.begins.insert(first, self.table.chains.len());
        self.current = Some(Chain { name, handle: None, base: None, rules: Vec::new() });
    }

    fn policy(&mut self, hook: Hook, entry: &Entry<'_>) -> Option<()> {
        let policy = match entry.standard()? {
            Standard::Verdict(ACCEPT) => Policy::Accept,
            Standard::Verdict(DROP) => Policy::Drop,
            _ => return None,
        };
        let (priority, kind) = place(&self.table.name, hook)?;
        let mut chain = self.current.take().filter(|chain| chain.name == built_in(hook))?;
        chain.base = Some(Base { hook, priority, kind, policy, devices: Vec::new(), counter: entry.counter() });
        self.table.push(chain);
        Some(())
    }

    /// The chain is whole: one of the user's ends with a RETURN that is not a rule.
    fn end(&mut self) {
        let Some(mut chain) = self.current.take() else { return };
        let layout = Layout::of(self.table.family);
        let is_tail = |rule: &RawRule| match (rule, layout) {
            (RawRule::Legacy { entry, .. }, Some(layout)) => Entry::new(layout, entry)
                .is_some_and(|entry| !entry.has_matches() && entry.standard() == Some(Standard::Verdict(RETURN))),
            _ => false,
        };
        if chain.rules.last().is_some_and(is_tail) {
            chain.rules.pop();
        }
        self.table.push(chain);
    }

    /// Turns the offsets of jumps into chains. The last head, `ERROR`, is none: not even a tail follows it.
    fn finish(mut self) -> Table {
        match self.current.take() {
            Some(last) if last.name == "ERROR" && last.rules.is_empty() => {}
            other => self.current = other,
        }
        self.end();
        let Self { mut table, begins, .. } = self;
        let layout = Layout::of(table.family);
        let count = table.chains.len();
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            let RawRule::Legacy { entry, jump } = rule else { continue };
            let Some(offset) = jump.take() else { continue };
            let chain = u32::try_from(offset).ok().and_then(|offset| begins.get(&offset));
            *jump = chain.copied().filter(|chain| *chain < count);
            if jump.is_none()
                && let Some(parsed) = layout.and_then(|layout| Entry::new(layout, entry))
            {
                *entry = parsed.detached(Some(NOWHERE));
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::EXTENSION;
    use super::super::rule::rule;
    use super::*;

    const HEADER: usize = Layout::IPV4.header;

    /// An entry with a target of this name and data.
    fn entry(target: &str, data: &[u8]) -> Vec<u8> {
        let length = (EXTENSION + data.len()).next_multiple_of(8);
        let mut bytes = vec![0; HEADER + length];
        bytes[88..90].copy_from_slice(&(HEADER as u16).to_ne_bytes());
        bytes[90..92].copy_from_slice(&((HEADER + length) as u16).to_ne_bytes());
        bytes[HEADER..HEADER + 2].copy_from_slice(&(length as u16).to_ne_bytes());
        bytes[HEADER + 2..HEADER + 2 + target.len()].copy_from_slice(target.as_bytes());
        bytes[HEADER + EXTENSION..HEADER + EXTENSION + data.len()].copy_from_slice(data);
        bytes
    }

    fn verdict(verdict: i32) -> Vec<u8> {
        entry("", &verdict.to_ne_bytes())
    }

    /// A table `security`: INPUT with a jump to `user`, which has one rule; FORWARD and OUTPUT empty.
    fn good() -> (Info, Vec<u8>) {
        let standard = verdict(0).len() as u32;
        let head = entry("ERROR", b"user\0").len() as u32;
        let user = 4 * standard + head;
        let mut bytes = [verdict(user.cast_signed()), verdict(DROP), verdict(ACCEPT), verdict(ACCEPT)].concat();
        bytes.extend(entry("ERROR", b"user\0"));
        bytes.extend([verdict(ACCEPT), verdict(RETURN), entry("ERROR", b"ERROR\0")].concat());
        let info = Info {
            valid_hooks: 0b01110,
            hook_entry: vec![0, 0, 2 * standard, 3 * standard, 0],
            underflow: vec![0, standard, 2 * standard, 3 * standard, 0],
            entries: 8,
            size: bytes.len() as u32,
        };
        (info, bytes)
    }

    fn jumps(table: &Table) -> Vec<Option<usize>> {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        rules
            .map(|rule| match rule {
                RawRule::Legacy { jump, .. } => *jump,
                RawRule::Nft { .. } => None,
            })
            .collect()
    }

    #[test]
    fn chains_are_told_by_their_heads() {
        let (info, bytes) = good();
        let table = table(&Layout::IPV4, "security", &info, &bytes).unwrap();
        let chains: Vec<_> = table.chains.iter().map(|chain| (chain.name.as_str(), chain.rules.len())).collect();
        assert_eq!(chains, [("INPUT", 1), ("FORWARD", 0), ("OUTPUT", 0), ("user", 1)]);
        assert_eq!(jumps(&table), [Some(3), None]);
        assert_eq!(table.chains[0].base.as_ref().unwrap().policy, Policy::Drop);
    }

    #[test]
    fn a_jump_into_the_middle_of_a_chain_is_not_guessed_at() {
        let (info, mut bytes) = good();
        let at = HEADER + EXTENSION;
        let offset = i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) + 8;
        bytes[at..at + 4].copy_from_slice(&offset.to_ne_bytes());
        let table = table(&Layout::IPV4, "security", &info, &bytes).unwrap();
        let RawRule::Legacy { entry, jump } = &table.chains[0].rules[0] else { panic!("a rule of nf_tables") };
        assert!(rule(&table, entry, *jump, 1).is_err());
    }

    #[test]
    fn random_changes_never_panic_and_are_often_noticed() {
        let (info, good) = good();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let mut refused = 0;
        for _ in 0..50_000 {
            let (mut info, mut bytes) = (info.clone(), good.clone());
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            match random(4) {
                0 => bytes.truncate(random(good.len())),
                1 => info.hook_entry[random(5)] = random(good.len()) as u32,
                2 => info.underflow[random(5)] = random(good.len()) as u32,
                _ => {}
            }
            let Ok(table) = table(&Layout::IPV4, "security", &info, &bytes) else {
                refused += 1;
                continue;
            };
            assert!(jumps(&table).into_iter().flatten().all(|chain| chain < table.chains.len()));
            for raw in table.chains.iter().flat_map(|chain| &chain.rules) {
                let RawRule::Legacy { entry, jump } = raw else { continue };
                let _ = rule(&table, entry, *jump, 1);
            }
        }
        assert!(refused > 5_000, "{refused}");
    }
}
