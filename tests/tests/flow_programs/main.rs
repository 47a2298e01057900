//! The tc programs and the `retransmit` program by themselves: packets pass, and the maps are read.

mod dns;
mod hostile;
mod icmp;
mod lab;
mod others;
mod tcp;
mod tunnel;
mod udp;
