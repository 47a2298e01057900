//! TCP: one SYN, or a whole connection.

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};

use super::{Flow, source_for};
use crate::netns::NetNs;
use crate::patience;

/// Sends one SYN. The socket is closed at once, so no retry follows and no answer finds it.
pub fn attempt(to: SocketAddr) -> Result<Flow> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(source_for(to.ip())?, 0).into())?;
    let source = socket.local_addr()?.as_socket().context("a TCP socket without an address")?;
    // Refused, unreachable, in progress: an attempt was made, and the event under test says how it ended.
    let _outcome = socket.connect(&to.into());
    Ok(Flow { protocol: "tcp", source, destination: to })
}

/// Both ends of a connection and its flow from client to server.
#[derive(Debug)]
pub struct Connection {
    pub flow: Flow,
    pub client: TcpStream,
    pub server: TcpStream,
}

/// Connects `client` to a listener at `to` inside `server`.
pub fn connect(client: &NetNs, server: &NetNs, to: SocketAddr) -> Result<Connection> {
    let listener = server.run(|| TcpListener::bind(to).with_context(|| format!("cannot listen on {to}")))?;
    let stream = client.run(|| Ok(TcpStream::connect_timeout(&to, patience())?)).with_context(|| format!("to {to}"))?;
    let (accepted, source) = listener.accept()?;
    Ok(Connection { flow: Flow { protocol: "tcp", source, destination: to }, client: stream, server: accepted })
}
