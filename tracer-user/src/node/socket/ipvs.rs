//! Virtual servers of IPVS (kube-proxy's mode `ipvs`) that lead to an address and port.
//!
//! Rule: `/proc/net/ip_vs` is read line by line; a line that is not understood is passed over.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::diag::{SCTP, TCP, UDP};
use super::nat::Lead;
use crate::host::{Netns, enter};

/// The first of these namespaces with a virtual server that leads there.
pub(super) fn find(
    namespaces: &[&Netns],
    deadline: Instant,
    protocol: u8,
    destination: SocketAddr,
) -> Option<(u32, Lead)> {
    let read = |_: &Netns| {
        let text = fs::read_to_string("/proc/thread-self/net/ip_vs").ok();
        Ok(text.and_then(|text| server(&text, protocol, destination)))
    };
    let asked = enter::each(namespaces, deadline, read);
    asked.into_iter().find_map(|(inode, lead)| Some((inode, lead.ok()??)))
}

/// A virtual server with this real one (`ip_vs_info_seq_show`, net/netfilter/ipvs/ip_vs_ctl.c, 5.10 to 7.2).
fn server(text: &str, protocol: u8, to: SocketAddr) -> Option<Lead> {
    let name = match protocol {
        TCP => "TCP",
        UDP => "UDP",
        SCTP => "SCTP",
        _ => return None,
    };
    let mut current = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("->"), Some(real)) => {
                if let Some((asked, scheduler)) = &current
                    && address(real) == Some(to)
                {
                    let text = format!("ipvs {} {asked} {scheduler} -> {to}", name.to_lowercase());
                    let show = "ipvsadm -Ln".to_owned();
                    return Some(Lead { asked: Some(*asked), port: None, text, show, comment: None });
                }
            }
            (Some(word), Some(local)) => {
                let asked = address(local).filter(|_| word == name);
                current = asked.map(|asked| (asked, words.next().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
    }
    None
}

/// `0A600001:01BB` or `[fd96:0000:0000:0000:0000:0000:0000:0001]:01BB`.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok()?,
        None => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_servers_are_found_by_their_real_ones() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  \
                    -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nUDP  0A60000A:0035 rr\n  -> \
                    0AF40105:192B      Masq    1      0          0\nTCP  0A600001:01BB rr\n  -> 0AF40105:192B      \
                    Masq    1      0          0\nTCP  [fd96:0000:0000:0000:0000:0000:0000:0001]:01BB rr\n  -> \
                    [fd00:0000:0000:0000:0000:0000:0000:0005]:192B      Masq    1      0          0\n";
        let asked = |protocol: u8, to: &str| server(text, protocol, to.parse().unwrap())?.asked;
        assert_eq!(asked(TCP, "10.244.1.5:6443"), "10.96.0.1:443".parse().ok());
        assert_eq!(asked(UDP, "10.244.1.5:6443"), "10.96.0.10:53".parse().ok());
        assert_eq!(asked(TCP, "[fd00::5]:6443"), "[fd96::1]:443".parse().ok());
        assert_eq!(asked(TCP, "10.244.1.5:80"), None);
        assert_eq!(server("FWM  00000001 rr\n  -> 0AF40105:192B Masq", TCP, "10.244.1.5:6443".parse().unwrap()), None);
        for hostile in ["", "->", "-> x:y", "TCP", "TCP x:y", "TCP [:1", "\u{fffd}"] {
            assert_eq!(server(hostile, TCP, "10.244.1.5:6443".parse().unwrap()), None, "{hostile}");
        }
    }
}
