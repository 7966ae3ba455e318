//! HTTP/1.1 messages as bytes: read whole, kept as they came.

use std::io::{self, ErrorKind, Read, Write};

/// A stream with what was read ahead.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    ahead: Vec<u8>,
}

/// Header fields in the order and spelling in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    /// Parses the lines of a head after the first one.
    #[must_use]
    pub fn parse(lines: &str) -> Self {
        let field = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        };
        Self(lines.split("\r\n").filter_map(field).collect())
    }

    /// The value of the first field of this name, without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// How many fields have this name, without case.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.0
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name))
            .count()
    }

    /// All names in lower case.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect()
    }
}

impl<S: Read + Write> Wire<S> {
    /// Over a fresh stream.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// The stream below.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// What the stream says.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// A head with its blank line; `None` when the peer closed before its first byte.
    ///
    /// # Errors
    /// What the stream says, or [`ErrorKind::UnexpectedEof`] in the middle of a head.
    pub fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self
                .ahead
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                return Ok(Some(self.ahead.drain(..at + 4).collect()));
            }
            if self.fill()? == 0 {
                return if self.ahead.is_empty() {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// What the stream says, or [`ErrorKind::UnexpectedEof`].
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Whatever comes next, at least one byte; nothing when the peer closed.
    ///
    /// # Errors
    /// What the stream says.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    /// A chunked body, decoded.
    ///
    /// # Errors
    /// What the stream says, or [`ErrorKind::InvalidData`].
    pub fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let digits = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits.trim(), 16)
                .map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }

    /// Everything until the peer closes.
    ///
    /// # Errors
    /// What the stream says.
    pub fn to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? != 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..at + 2).take(at).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let read = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ahead
            .extend_from_slice(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
