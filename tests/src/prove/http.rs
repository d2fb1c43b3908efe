//! Just enough HTTP/1.1 for a proxy and a scripted registry: heads, and bodies whose length is said or that come in chunks.

use std::{
    io::{BufRead, Read},
    net::TcpStream,
};

/// No head of a request or answer is longer than this.
const LONGEST: usize = 64 << 10;

/// The first line of a request or answer, and its fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) first: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a request's head but for its last byte, which [`finish`] reads: whoever closes a connection with something
    /// unread in it resets it. `None` at the end, and for what is not HTTP, such as a greeting of TLS.
    pub(super) fn ask(mut stream: &TcpStream) -> Option<Self> {
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r") {
            stream.read_exact(&mut byte).ok()?;
            text.push(byte[0]);
            if !text[0].is_ascii_uppercase() || text.len() > LONGEST {
                return None;
            }
        }
        Self::parse(&String::from_utf8(text).ok()?)
    }

    /// Reads an answer's head.
    pub(super) fn answer(stream: &mut impl BufRead) -> Option<Self> {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            if stream.read_line(&mut text).ok()? == 0 {
                return None;
            }
        }
        Self::parse(&text)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?.to_owned();
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(Self { first, fields: lines.filter_map(field).collect() })
    }

    /// The method of a request.
    pub(super) fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or_default()
    }

    /// Path and query of a request.
    pub(super) fn target(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    /// A field's value; empty if it is not there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// With a field in the place of any of its name.
    pub(super) fn set(&mut self, name: &str, value: impl ToString) {
        self.drop(name);
        self.fields.push((name.to_owned(), value.to_string()));
    }

    /// Without a field.
    pub(super) fn drop(&mut self, name: &str) {
        self.fields.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// As it is sent.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{fields}\r\n", self.first).into_bytes()
    }

    /// How long the body is said to be.
    pub(super) fn length(&self) -> usize {
        self.field("content-length").parse().unwrap_or_default()
    }

    /// Reads the body, whole.
    pub(super) fn body(&self, stream: &mut impl BufRead) -> Option<Vec<u8>> {
        if self.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
            return chunks(stream);
        }
        let mut body = vec![0; self.length()];
        stream.read_exact(&mut body).ok()?;
        Some(body)
    }
}

/// Reads the byte that [`Head::ask`] left.
pub(super) fn finish(mut stream: &TcpStream) -> Option<()> {
    stream.read_exact(&mut [0]).ok()
}

fn chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        stream.read_exact(&mut body[start..]).ok()?;
        body.truncate(start + size);
        if size == 0 {
            return Some(body);
        }
    }
}
