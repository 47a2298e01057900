//! Ethernet frames with any addresses, sent as they are.

use std::ffi::CString;
use std::net::IpAddr;

/// A UDP packet to port 4789, from port 7 if it is to be marked.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) mark: u32,
    /// Index of the device that it comes in by.
    pub(crate) input: u32,
}

impl Frame {
    pub(crate) fn bytes(&self, mac: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.extend([2, 0, 0, 0, 0, 9]);
        let port = if self.mark == 0 { 1000u16 } else { 7 };
        let mut udp = [port.to_be_bytes(), 4789u16.to_be_bytes(), 16u16.to_be_bytes(), [0, 0]].concat();
        udp.resize(16, 0);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 9, 17, 0, 0];
                header.extend(source.octets());
                header.extend(destination.octets());
                let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
                let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                bytes.extend([8, 0]);
                bytes.extend(header);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 17, 9]);
                bytes.extend(source.octets());
                bytes.extend(destination.octets());
            }
            _ => panic!("two families"),
        }
        bytes.extend(udp);
        bytes
    }
}

/// A packet socket on a device of the calling thread's network namespace.
pub(crate) struct Wire {
    socket: i32,
    index: i32,
}

impl Wire {
    pub(crate) fn open(device: &str) -> Self {
        let name = CString::new(device).unwrap();
        // SAFETY: no memory is involved.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
        // SAFETY: the name ends with a NUL.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        assert!(socket >= 0 && index != 0, "{}", std::io::Error::last_os_error());
        Self { socket, index: index.cast_signed() }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: all-zero is a value of this plain structure.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = self.index;
        address.sll_halen = 6;
        let length = size_of_val(&address) as u32;
        // SAFETY: frame and address are readable for the lengths given.
        let sent = unsafe {
            libc::sendto(self.socket, frame.as_ptr().cast(), frame.len(), 0, (&raw const address).cast(), length)
        };
        assert_eq!(usize::try_from(sent), Ok(frame.len()), "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this value's own.
        unsafe { libc::close(self.socket) };
    }
}
