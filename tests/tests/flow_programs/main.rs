//! The tc programs and the `retransmit` program by themselves: packets pass, and the maps are read.

mod lab;
mod tcp;
