//! HTTP/1.1 (RFC 9112), as far as a client of the Kubernetes API speaks it: GET without a body.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Shared, answer};

pub(super) struct Request {
    pub(super) path: String,
    pub(super) query: HashMap<String, String>,
}

/// The answer's writer.
pub(super) struct Answer<'a>(pub(super) &'a TcpStream);

/// Answers until the client goes.
pub(super) fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader, shared)? {
        answer::answer(&request, &mut Answer(stream), shared)?;
    }
    Ok(())
}

fn read(reader: &mut impl BufRead, shared: &Shared) -> io::Result<Option<Request>> {
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut header = String::new();
    while reader.read_line(&mut header)? > 0 && header.trim_end() != "" {
        header.clear();
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    shared.state().requests.push(target.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(key, value)| (decoded(key), decoded(value))).collect();
    Ok(Some(Request { path: path.trim_end_matches('/').to_owned(), query }))
}

/// `%3D` becomes `=`.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        decoded.push(u8::from_str_radix(code, 16).map_or('?', char::from));
        decoded.push_str(rest);
    }
    decoded
}

impl Answer<'_> {
    /// A whole answer.
    pub(super) fn json(&mut self, status: u16, body: &Value) -> io::Result<()> {
        self.text(status, &format!("{body}\n"))
    }

    pub(super) fn text(&mut self, status: u16, body: &str) -> io::Result<()> {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
        self.0.write_all(head.as_bytes())?;
        self.0.write_all(body.as_bytes())
    }

    /// Begins an answer whose length is not known.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.0.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    pub(super) fn chunk(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.0.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.0.write_all(b"0\r\n\r\n")
    }
}
