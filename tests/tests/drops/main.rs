//! One drop, one name: a scenario causes a drop by one means and asserts what the binary says of it. One file a
//! family of causes; most scenarios happen in IPv4 and IPv6 within one story.

mod bpf_program;
mod bridge;
mod conntrack;
mod fragment;
mod frames;
mod healthy;
mod hop_limit;
mod ipsec;
mod listen_overflow;
mod malformed_ipv4;
mod malformed_ipv6;
mod martian;
mod mtu;
mod nat;
mod neighbour;
mod neighbour_discovery;
mod netfilter_bridge;
mod netfilter_iptables;
mod netfilter_nft;
mod no_socket;
mod owner;
mod qdisc;
mod reverse_path;
mod route;
mod socket_buffer;
mod tcp_state;
mod tun;
mod vxlan;
mod way_out;
