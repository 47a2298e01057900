//! A client that asks once and waits for the answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::traffic::source_for;
use tracer_tests::{NetNs, patience};

pub(crate) const A: u8 = 1;

/// A query in wire format (RFC 1035, section 4.1), recursion desired.
pub(crate) fn query(id: u16, name: &str, kind: u8) -> Vec<u8> {
    let mut wire = id.to_be_bytes().to_vec();
    wire.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap_or(63));
        wire.extend(label.as_bytes());
    }
    wire.extend([0, 0, kind, 0, 1]);
    wire
}

/// Asks over UDP; the response code, or `None` if nothing came within `wait`.
pub(crate) fn ask(from: &NetNs, server: SocketAddr, name: &str, wait: Duration) -> Result<Option<u8>> {
    from.run(|| {
        let socket = UdpSocket::bind((source_for(server.ip())?, 0))?;
        socket.set_read_timeout(Some(wait))?;
        let id = socket.local_addr()?.port();
        socket.send_to(&query(id, name, A), server)?;
        let mut answer = [0; 512];
        match socket.recv(&mut answer) {
            Ok(length) => {
                ensure!(length >= 12 && answer[..2] == id.to_be_bytes(), "another answer came");
                Ok(Some(answer[3] & 0xf))
            }
            Err(_) => Ok(None),
        }
    })
}

/// The same, and there must be an answer.
pub(crate) fn answer(from: &NetNs, server: SocketAddr, name: &str) -> Result<u8> {
    ask(from, server, name, patience())?.with_context(|| format!("{server} did not answer"))
}

/// Asks over TCP.
pub(crate) fn answer_over_tcp(from: &NetNs, server: SocketAddr, name: &str) -> Result<u8> {
    from.run(|| {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(patience()))?;
        let query = query(7, name, A);
        let length = u16::try_from(query.len())?.to_be_bytes();
        stream.write_all(&[&length, query.as_slice()].concat())?;
        let mut answer = [0; 14];
        stream.read_exact(&mut answer)?;
        Ok(answer[5] & 0xf)
    })
}
