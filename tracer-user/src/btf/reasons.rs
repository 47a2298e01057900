//! Names of drop reasons as the running kernel numbers them. Rule: no number is compiled in, as they differ in every
//! kernel line; a number without a name stays a number.

use std::path::Path;

use super::{Btf, BtfError};

/// The core's enum; kernels before 5.17 have none.
const CORE: &str = "skb_drop_reason";

/// What every core reason but two begins with; those two begin with the shorter one.
const PREFIXES: [&str; 2] = ["SKB_DROP_REASON_", "SKB_"];

/// Enums of the subsystems, and the module that has each where the kernel itself has not.
/// See `enum skb_drop_reason_subsys` in include/net/dropreason.h (7.2 has all of them).
const SUBSYSTEMS: [(&str, Option<&str>); 3] =
    [("mac80211_drop_reason", Some("mac80211")), ("ovs_drop_reason", Some("openvswitch")), ("qdisc_drop_reason", None)];

/// Bits of a reason that number it within its subsystem, where the kernel does not say
/// (`SKB_DROP_REASON_SUBSYS_SHIFT`, include/net/dropreason.h, 6.12).
const SUBSYSTEM_SHIFT: u32 = 16;

/// All reasons of one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonNames {
    /// Sorted by code, each code once.
    names: Vec<(u32, Box<str>)>,
    /// Number of a subsystem, and its name in lower case.
    subsystems: Vec<(u32, Box<str>)>,
    shift: u32,
}

impl ReasonNames {
    /// Reads the enums from the kernel's BTF and, for what is not there, from that of loaded modules in `modules`
    /// (`/sys/kernel/btf`). Kernels before 5.17 give an empty list.
    ///
    /// Module files that are present but unusable come back beside the names: their reasons stay numbers.
    pub fn from_kernel(kernel: &Btf<'_>, modules: &Path) -> Result<(Self, Vec<BtfError>), BtfError> {
        let mut reasons = Self { names: Vec::new(), subsystems: Vec::new(), shift: SUBSYSTEM_SHIFT };
        let mut unusable = Vec::new();
        reasons.read_core(kernel)?;
        for (name, module) in SUBSYSTEMS {
            if reasons.read_subsystem(kernel, name)? {
                continue;
            }
            let file = module.map(|module| modules.join(module)).filter(|file| file.exists());
            unusable.extend(file.and_then(|file| reasons.read_module(kernel, name, &file).err()));
        }
        reasons.names.sort_by_key(|&(code, _)| code);
        reasons.names.dedup_by_key(|&mut (code, _)| code);
        Ok((reasons, unusable))
    }

    /// The name without the kernel's prefix, such as `NETFILTER_DROP`; subsystems keep theirs: `OVS_DROP_METER`.
    pub fn name(&self, code: u32) -> Option<&str> {
        let at = self.names.binary_search_by_key(&code, |&(code, _)| code).ok()?;
        self.names.get(at).map(|(_, name)| &**name)
    }

    /// The code of a name, in any case, with or without the kernel's prefix.
    pub fn code(&self, name: &str) -> Option<u32> {
        let name = name.to_ascii_uppercase();
        // Some names begin with a prefix of their own: SKB_DROP_REASON_SKB_CSUM is called SKB_CSUM.
        [&name, without_prefix(&name)]
            .into_iter()
            .find_map(|name| self.iter().find_map(|(code, known)| (known == name).then_some(code)))
    }

    /// Who defines a reason: `core`, `mac80211`, `openvswitch`, `qdisc`, or `unknown`.
    pub fn subsystem(&self, code: u32) -> &str {
        let wanted = code >> self.shift;
        let found = self.subsystems.iter().find(|&&(number, _)| number == wanted);
        match found {
            Some((_, name)) => name,
            None if wanted == 0 => "core",
            None => "unknown",
        }
    }

    /// All codes with their names, in order of the codes.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.names.iter().map(|(code, name)| (*code, &**name))
    }

    /// Whether the kernel has no drop reasons at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn read_core(&mut self, kernel: &Btf<'_>) -> Result<(), BtfError> {
        let Some(core) = kernel.optional_enumerators(CORE)? else { return Ok(()) };
        let mask = core.iter().find(|(name, _)| *name == "SKB_DROP_REASON_SUBSYS_MASK");
        self.shift = mask.map_or(SUBSYSTEM_SHIFT, |(_, mask)| mask.trailing_zeros()).clamp(8, 31);
        self.add(&core, |number| number == 0);
        for (name, number) in kernel.optional_enumerators("skb_drop_reason_subsys")?.unwrap_or_default() {
            let name = name.strip_prefix("SKB_DROP_REASON_SUBSYS_").unwrap_or(name);
            // mac80211 has two, for frames that it cannot use and for frames of monitors.
            let name = if name.starts_with("MAC80211") { "MAC80211" } else { name };
            if let (Ok(number), true) = (u32::try_from(number), name != "NUM") {
                self.subsystems.push((number, name.to_ascii_lowercase().into()));
            }
        }
        Ok(())
    }

    /// Whether there is such an enum.
    fn read_subsystem(&mut self, btf: &Btf<'_>, name: &str) -> Result<bool, BtfError> {
        let Some(enumerators) = btf.optional_enumerators(name)? else { return Ok(false) };
        self.add(&enumerators, |number| number != 0);
        Ok(true)
    }

    fn read_module(&mut self, kernel: &Btf<'_>, name: &str, file: &Path) -> Result<bool, BtfError> {
        self.read_subsystem(&Btf::from_module(kernel, file)?, name)
    }

    /// Takes the reasons of the right subsystem, without the enumerators that only mark where an enum begins and ends.
    fn add(&mut self, enumerators: &[(&str, i64)], is_wanted: impl Fn(u32) -> bool) {
        for &(name, value) in enumerators {
            let is_mark = name.starts_with("__") || name.ends_with("_MAX");
            if let (Ok(code), false) = (u32::try_from(value), is_mark)
                && is_wanted(code >> self.shift)
            {
                self.names.push((code, without_prefix(name).into()));
            }
        }
    }
}

/// The core's names without what they all begin with.
fn without_prefix(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}
