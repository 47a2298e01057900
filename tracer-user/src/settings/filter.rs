//! The filter: names and text on the command line, numbers for the kernel programs.

use std::fs::File;
use std::os::fd::AsRawFd;

use tracer_common::{
    BY_IFACE, BY_NETNS, BY_POD, BY_PORT, BY_PROTOCOL, BY_REASON, BY_SUBNET, FilterKey, MAX_FILTER_VALUES, MAX_SUBNETS,
    Plain,
};

use super::error::shortened;
use super::{SettingsError, Subnet};
use crate::btf::ReasonNames;
use crate::counter::Scope;

/// What the user asks for; values of one flag are alternatives, different flags must all hold.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters (applied in the kernel)")]
pub struct FilterArgs {
    /// Network namespace: name, path, inode, `host` or `pid:PID`
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    pub netns: Vec<String>,
    /// Interface that the packet was on
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub iface: Vec<String>,
    /// Protocol: tcp, udp, icmp, icmpv6, sctp or a number
    #[arg(long, value_name = "PROTO", value_delimiter = ',')]
    pub proto: Vec<String>,
    /// Source or destination address or prefix
    #[arg(long, value_name = "ADDR[/BITS]", value_delimiter = ',')]
    pub host: Vec<String>,
    /// Source or destination port
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub port: Vec<String>,
    /// Drop reason, as the REASON column shows it: NETFILTER_DROP
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub reason: Vec<String>,
    /// Pods are asked for too: only what the filter is told of them passes, which is nothing at first.
    #[arg(skip)]
    pub pods: bool,
}

impl FilterArgs {
    /// Which counters may be told of: they have no addresses, ports or reasons.
    pub fn counters(&self) -> Scope {
        let of_packets = [&self.proto, &self.host, &self.port, &self.reason];
        if of_packets.iter().any(|values| !values.is_empty()) {
            Scope::Nothing
        } else if self.iface.is_empty() {
            Scope::All
        } else {
            Scope::Interfaces(self.iface.clone())
        }
    }
}

/// The same, as the kernel programs compare it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFilter {
    keys: Vec<FilterKey>,
    subnets: Vec<Subnet>,
    pods: bool,
}

impl KernelFilter {
    /// # Errors
    /// [`SettingsError`] for the first value that means nothing here.
    pub fn new(args: &FilterArgs, reasons: &ReasonNames) -> Result<Self, SettingsError> {
        let mut filter = Self { pods: args.pods, ..Self::default() };
        for netns in &args.netns {
            let inode = netns_inode(netns).ok_or_else(|| SettingsError::Netns(shortened(netns)))?;
            filter.add(BY_NETNS, inode);
        }
        for name in &args.iface {
            filter.keys.push(interface(name).ok_or_else(|| SettingsError::Interface(shortened(name)))?);
        }
        for name in &args.proto {
            let number = protocol(name).ok_or_else(|| SettingsError::Protocol(shortened(name)))?;
            filter.add(BY_PROTOCOL, u32::from(number));
        }
        for port in &args.port {
            let number: u16 = port.parse().map_err(|_| SettingsError::Port(shortened(port)))?;
            filter.add(BY_PORT, u32::from(number));
        }
        for name in &args.reason {
            filter.add(BY_REASON, reason(name, reasons)?);
        }
        for host in &args.host {
            filter.subnets.push(Subnet::parse(host).ok_or_else(|| SettingsError::Host(shortened(host)))?);
        }
        too_many("--host", filter.subnets.len(), MAX_SUBNETS)?;
        too_many("filters", filter.keys.len(), MAX_FILTER_VALUES)?;
        Ok(filter)
    }

    fn add(&mut self, dimension: u32, number: u32) {
        self.keys.push(FilterKey::number(dimension, number));
    }

    /// One bit for each dimension in use.
    pub fn dimensions(&self) -> u32 {
        let others = u32::from(!self.subnets.is_empty()) << BY_SUBNET | u32::from(self.pods) << BY_POD;
        self.keys.iter().fold(others, |bits, key| bits | 1 << key.dimension)
    }

    /// Keys of the filter map.
    pub fn keys(&self) -> impl Iterator<Item = [u8; size_of::<FilterKey>()]> {
        self.keys.iter().filter_map(|key| key.as_bytes().try_into().ok())
    }

    /// The namespaces that are asked for, by inode; empty for all.
    pub fn namespaces(&self) -> Vec<u32> {
        let number = |key: &FilterKey| key.value.first().and_then(|number| u32::try_from(*number).ok());
        self.keys.iter().filter(|key| key.dimension == BY_NETNS).filter_map(number).collect()
    }

    /// Whether keys of pods come and go.
    pub fn follows_pods(&self) -> bool {
        self.pods
    }

    pub fn subnets(&self) -> &[Subnet] {
        &self.subnets
    }
}

fn too_many(what: &'static str, count: usize, most: u32) -> Result<(), SettingsError> {
    if count > most as usize { Err(SettingsError::TooMany { what, count, most }) } else { Ok(()) }
}

/// Inode of a namespace given by name, path, inode, `host` or `pid:PID`.
pub(super) fn netns_inode(text: &str) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    if let Ok(inode) = text.parse::<u32>() {
        return (inode != 0).then_some(inode);
    }
    let path = match text.strip_prefix("pid:") {
        Some(pid) => format!("/proc/{}/ns/net", pid.parse::<u32>().ok()?),
        None if text == "host" => "/proc/1/ns/net".to_owned(),
        None if text.contains('/') => text.to_owned(),
        None => format!("/run/netns/{text}"),
    };
    let file = File::open(path).ok()?;
    if !is_namespace(&file) {
        return None;
    }
    u32::try_from(file.metadata().ok()?.ino()).ok()
}

/// Whether a file lies in the kernel's file system of namespaces (`NSFS_MAGIC`, include/uapi/linux/magic.h).
fn is_namespace(file: &File) -> bool {
    const NSFS_MAGIC: libc::__fsword_t = 0x6e73_6673;
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the descriptor is open and `stat` is writable for the length of the call.
    let done = unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) } == 0;
    // SAFETY: zeroed bytes are a valid `statfs`, whether or not the call filled it.
    done && unsafe { stat.assume_init() }.f_type == NSFS_MAGIC
}

fn interface(name: &str) -> Option<FilterKey> {
    let mut bytes = [0; 16];
    if name.is_empty() || name.len() >= bytes.len() {
        return None;
    }
    bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
    let (low, high) = bytes.split_at(8);
    let word = |half: &[u8]| half.try_into().map(u64::from_ne_bytes).ok();
    Some(FilterKey::name(BY_IFACE, [word(low)?, word(high)?]))
}

/// IANA protocol numbers by the names that people type.
fn protocol(name: &str) -> Option<u8> {
    Some(match name.to_ascii_lowercase().as_str() {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "dccp" => 33,
        "gre" => 47,
        "esp" => 50,
        "icmpv6" | "ipv6-icmp" => 58,
        "sctp" => 132,
        "udplite" => 136,
        other => other.parse().ok()?,
    })
}

fn reason(name: &str, reasons: &ReasonNames) -> Result<u32, SettingsError> {
    reasons.code(name).ok_or_else(|| {
        let hint = if reasons.is_empty() { "; it gives none at all (Linux 5.17 and newer do)" } else { "" };
        let wanted = name.to_ascii_uppercase();
        let near = reasons.iter().map(|(_, known)| known).find(|known| !wanted.is_empty() && known.contains(&wanted));
        let near = near.map(|known| format!("; did you mean {known}?"));
        SettingsError::Reason(shortened(name), near.unwrap_or_else(|| hint.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Btf;

    /// Those of a kernel that has none.
    fn no_reasons() -> ReasonNames {
        let fixture = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/btf/5.10.btf")).unwrap();
        ReasonNames::from_kernel(&Btf::parse(fixture).unwrap(), std::path::Path::new("/nonexistent")).unwrap().0
    }

    fn args(change: impl FnOnce(&mut FilterArgs)) -> FilterArgs {
        let mut args = FilterArgs::default();
        change(&mut args);
        args
    }

    fn refused(change: impl FnOnce(&mut FilterArgs)) -> String {
        KernelFilter::new(&args(change), &no_reasons()).unwrap_err().to_string()
    }

    #[test]
    fn each_flag_uses_its_own_dimension() {
        let args = args(|args| {
            args.proto = vec!["tcp".into(), "17".into()];
            args.port = vec!["10250".into()];
            args.host = vec!["10.0.0.0/8".into()];
            args.pods = true;
        });
        let filter = KernelFilter::new(&args, &no_reasons()).unwrap();
        assert_eq!(filter.dimensions(), 1 << BY_PROTOCOL | 1 << BY_PORT | 1 << BY_SUBNET | 1 << BY_POD);
        assert_eq!((filter.keys().count(), filter.subnets().len()), (3, 1));
    }

    #[test]
    fn counters_are_told_as_far_as_they_can_be_filtered() {
        assert_eq!(args(|args| args.netns = vec!["host".into()]).counters(), Scope::All);
        let with = |proto: &[&str]| {
            args(|args| {
                args.iface = vec!["eth0".into()];
                args.proto = proto.iter().map(|name| (*name).to_owned()).collect();
            })
        };
        assert_eq!(with(&[]).counters(), Scope::Interfaces(vec!["eth0".into()]));
        assert_eq!(with(&["tcp"]).counters(), Scope::Nothing);
    }

    #[test]
    fn each_refusal_names_the_value_and_the_fix() {
        assert!(refused(|args| args.host = vec!["nohost".into()]).contains("--host nohost: give an IPv4"));
        assert!(refused(|args| args.iface = vec!["longer-than-fifteen".into()]).contains("1 to 15 bytes"));
        assert!(refused(|args| args.proto = vec!["tcpp".into()]).contains("give tcp, udp"));
        assert!(refused(|args| args.netns = vec!["no-such-netns".into()]).contains("no-such-netns"));
        assert!(refused(|args| args.port = vec!["70000".into()]).contains("--port 70000: give"));
        assert!(refused(|args| args.netns = vec!["/etc/passwd".into()]).contains("no network namespace"));
        assert!(refused(|args| args.reason = vec!["NOPE".into()]).contains("no such drop reason"));
    }

    #[test]
    fn a_command_line_of_megabytes_gives_a_short_sentence() {
        assert!(refused(|args| args.host = vec!["x".repeat(4 << 20)]).len() < 300);
        assert!(refused(|args| args.host = vec!["10.0.0.1".into(); 5000]).contains("use fewer"));
    }
}
