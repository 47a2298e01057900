//! What the node itself decides: the setting, route, socket, neighbour, program or queue is named with its value, and
//! what is to be tried helps when it is done.

mod checksum;
mod conntrack;
mod device;
mod fragment;
mod ipsec;
mod modules;
mod mtu;
mod neighbour;
mod program;
mod qdisc;
mod reverse_path;
mod route;
mod setting;
mod socket;
