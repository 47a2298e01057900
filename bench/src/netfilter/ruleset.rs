//! Rulesets of the size and shape that kube-proxy makes, and the programs that load and list them.
//!
//! Rule: the packets of the bench match none of these rules but the last of the base chain, which drops them, so that each
//! of them passes all that stand in its way.

use std::fmt::{self, Write as _};
use std::fs;
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tracer_tests::NetNs;

/// Ports whose packets the last rule drops: what comes to another one finds no socket.
pub(crate) const DROPPED: RangeInclusive<u16> = 20_000..=29_999;
/// Rules of a service's own chain.
const OF_A_SERVICE: usize = 9;

/// Who made the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Maker {
    Nft,
    IptablesNft,
    IptablesLegacy,
}

impl Maker {
    pub(super) const ALL: [Self; 3] = [Self::Nft, Self::IptablesNft, Self::IptablesLegacy];
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nft => "nft",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        })
    }
}

/// How the rules are spread over chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Shape {
    /// A chain for each service, with nine rules, and a chain that jumps to all of them.
    Many,
    /// All rules in one chain, as those of services without endpoints are.
    One,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Many => "many-chains",
            Self::One => "one-chain",
        })
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Ruleset {
    pub(super) maker: Maker,
    pub(super) shape: Shape,
    pub(super) rules: usize,
}

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.maker, self.shape, self.rules)
    }
}

impl Ruleset {
    /// Rules that a packet of the bench passes, without the jump to them and the one that drops it.
    pub(super) const fn passed(&self) -> usize {
        match self.shape {
            Shape::Many => self.services(),
            Shape::One => self.rules,
        }
    }

    const fn services(&self) -> usize {
        self.rules / (OF_A_SERVICE + 1)
    }

    /// Loads it, in place of what is there.
    pub(super) fn load(&self, into: &NetNs) -> Result<()> {
        let file = std::env::temp_dir().join(format!("{}.rules", into.name()));
        let (text, program) = match self.maker {
            Maker::Nft => (self.nft(), "nft -f".to_owned()),
            maker => (self.iptables(), format!("{maker}-restore")),
        };
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let loaded = into.exec(&format!("{program} {}", file.display()));
        fs::remove_file(&file)?;
        loaded.map(drop)
    }

    /// Changes it, but for the rules that packets pass.
    pub(super) fn change(&self, namespace: &NetNs, number: usize) -> Result<()> {
        namespace
            .exec(&match self.maker {
                Maker::IptablesLegacy => {
                    format!("iptables-legacy -w 20 -A OUTPUT -s 127.1.{}.{}", number >> 8, number & 255)
                }
                Maker::Nft | Maker::IptablesNft => format!("nft add table ip change-{number}"),
            })
            .map(drop)
    }

    /// How long the maker's own program takes to list it.
    pub(super) fn list(&self, namespace: &NetNs) -> Result<Duration> {
        let (program, arguments): (_, &[&str]) = match self.maker {
            Maker::Nft => ("nft", &["-j", "list", "ruleset"]),
            Maker::IptablesNft => ("iptables-nft-save", &[]),
            Maker::IptablesLegacy => ("iptables-legacy-save", &[]),
        };
        namespace.run(|| {
            let begun = Instant::now();
            let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
            ensure!(status.success(), "{program} ended with {status}");
            Ok(begun.elapsed())
        })
    }

    fn nft(&self) -> String {
        let mut text = "table ip kube\ndelete table ip kube\ntable ip kube {\n".to_owned();
        let mut services = " chain services {\n".to_owned();
        match self.shape {
            Shape::Many => {
                for service in 0..self.services() {
                    let address = address(service);
                    _ = writeln!(text, " chain service-{service:08} {{");
                    for port in 0..OF_A_SERVICE {
                        _ = writeln!(
                            text,
                            "  ip daddr {address} tcp dport {} counter return comment \"default/service-{service}:{port}\"",
                            8000 + port
                        );
                    }
                    _ = writeln!(text, " }}");
                    _ = writeln!(services, "  ip daddr {address} counter jump service-{service:08}");
                }
            }
            Shape::One => {
                for service in 0..self.rules {
                    _ = writeln!(
                        services,
                        "  ip daddr {} tcp dport 80 counter drop comment \"default/service-{service} has no endpoints\"",
                        address(service)
                    );
                }
            }
        }
        _ = write!(
            text,
            "{services} }}\n chain input {{\n  type filter hook input priority 0; policy accept;\n  jump services\n  \
             udp dport {}-{} counter drop\n }}\n}}\n",
            DROPPED.start(),
            DROPPED.end()
        );
        text
    }

    fn iptables(&self) -> String {
        let mut text = "*filter\n:KUBE-SERVICES - [0:0]\n".to_owned();
        let mut rules = format!(
            "-A INPUT -j KUBE-SERVICES\n-A INPUT -p udp -m udp --dport {}:{} -j DROP\n",
            DROPPED.start(),
            DROPPED.end()
        );
        match self.shape {
            Shape::Many => {
                for service in 0..self.services() {
                    let (chain, address) = (format!("KUBE-SVC-{service:08}"), address(service));
                    let comment = format!("-m comment --comment \"default/service-{service}");
                    _ = writeln!(text, ":{chain} - [0:0]");
                    _ = writeln!(rules, "-A KUBE-SERVICES -d {address}/32 -p tcp {comment} cluster IP\" -j {chain}");
                    for port in 0..OF_A_SERVICE {
                        _ = writeln!(
                            rules,
                            "-A {chain} -d {address}/32 -p tcp {comment}:{port}\" -m tcp --dport {} -j RETURN",
                            8000 + port
                        );
                    }
                }
            }
            Shape::One => {
                for service in 0..self.rules {
                    _ = writeln!(
                        rules,
                        "-A KUBE-SERVICES -d {}/32 -p tcp -m comment --comment \"default/service-{service} has no \
                         endpoints\" -m tcp --dport 80 -j DROP",
                        address(service)
                    );
                }
            }
        }
        text + &rules + "COMMIT\n"
    }
}

/// Of a service: in no network of the lab.
fn address(service: usize) -> String {
    let [_, a, b, c] = (service as u32).to_be_bytes();
    format!("10.{}.{b}.{c}", 120 + a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_rules_as_asked_for() {
        for shape in [Shape::Many, Shape::One] {
            let ruleset = Ruleset { maker: Maker::Nft, shape, rules: 1000 };
            let rules = |text: &str, of: &str| text.lines().filter(|line| line.contains(of)).count();
            // The jump has no address.
            assert_eq!(rules(&ruleset.nft(), "daddr"), 1000, "{shape}");
            assert_eq!(rules(&ruleset.iptables(), "-d 10."), 1000, "{shape}");
        }
    }
}
