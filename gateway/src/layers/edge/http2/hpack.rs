//! Header compression of HTTP/2 (RFC 7541), read only, and bounded: the table never holds more than the 4,096 bytes that
//! every client may assume, and a field is handed on as soon as it is read, so that a small block that names large entries
//! again and again costs no memory.

use std::collections::VecDeque;

use super::huffman;

/// The compression is broken: what follows on the connection cannot be read (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadCompression;

/// What one client's header blocks refer to.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Newest first.
    table: VecDeque<Entry>,
    /// As RFC 7541 section 4.1 counts it.
    table_bytes: usize,
    /// What the client chose below [`TABLE_BYTES_MAX`]; `None`: that.
    table_bytes_max: Option<usize>,
}

/// Name and value.
type Entry = (Box<[u8]>, Box<[u8]>);

/// Where the name of a literal comes from, and whether the field goes into the table.
#[derive(Clone, Copy)]
struct Literal {
    prefix_bits: u32,
    is_kept: bool,
}

impl Decoder {
    /// Reads one whole header block and hands each field on.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), BadCompression> {
        let mut rest = Rest(block);
        let (mut name, mut value) = (Vec::new(), Vec::new());
        let mut updates = 0;
        let mut is_begun = false;
        while let Some(first) = rest.0.first().copied() {
            if first & 0xe0 == 0x20 {
                updates += 1;
                if is_begun || updates > TABLE_UPDATES_MAX {
                    return Err(BadCompression);
                }
                self.resize(rest.integer(5)?)?;
                continue;
            }
            is_begun = true;
            if first & 0x80 != 0 {
                let (name, value) = self.entry(rest.integer(7)?).ok_or(BadCompression)?;
                field(name, value);
                continue;
            }
            let literal = match first & 0x40 {
                0 => Literal {
                    prefix_bits: 4,
                    is_kept: false,
                },
                _ => Literal {
                    prefix_bits: 6,
                    is_kept: true,
                },
            };
            self.read_literal(&mut rest, literal, &mut name, &mut value)?;
            field(&name, &value);
            if literal.is_kept {
                self.keep(&name, &value);
            }
        }
        Ok(())
    }

    fn read_literal(
        &self,
        rest: &mut Rest<'_>,
        literal: Literal,
        name: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<(), BadCompression> {
        name.clear();
        value.clear();
        match rest.integer(literal.prefix_bits)? {
            0 => rest.string(name)?,
            index => {
                let (known, _) = self.entry(index).ok_or(BadCompression)?;
                name.extend_from_slice(known);
            }
        }
        rest.string(value)
    }

    /// RFC 7541 section 2.3.3: the static table first, then the newest entry.
    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let at = index.checked_sub(1)?;
        match STATIC.get(at) {
            Some((name, value)) => Some((name.as_bytes(), value.as_bytes())),
            None => self
                .table
                .get(at - STATIC.len())
                .map(|(name, value)| (&**name, &**value)),
        }
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) {
        let bytes = name.len() + value.len() + ENTRY_OVERHEAD;
        let most = self.table_bytes_max.unwrap_or(TABLE_BYTES_MAX);
        // One that is larger than the table empties it (section 4.4).
        self.shrink_to(most.saturating_sub(bytes));
        if bytes <= most {
            self.table.push_front((name.into(), value.into()));
            self.table_bytes += bytes;
        }
    }

    fn resize(&mut self, bytes: usize) -> Result<(), BadCompression> {
        if bytes > TABLE_BYTES_MAX {
            return Err(BadCompression);
        }
        self.table_bytes_max = Some(bytes);
        self.shrink_to(bytes);
        Ok(())
    }

    fn shrink_to(&mut self, bytes: usize) {
        while self.table_bytes > bytes {
            let Some((name, value)) = self.table.pop_back() else {
                return;
            };
            self.table_bytes = self
                .table_bytes
                .saturating_sub(name.len() + value.len() + ENTRY_OVERHEAD);
        }
    }
}

/// What is left of a block.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn byte(&mut self) -> Result<u8, BadCompression> {
        let (first, rest) = self.0.split_first().ok_or(BadCompression)?;
        self.0 = rest;
        Ok(*first)
    }

    /// RFC 7541 section 5.1; no number here may need more than four bytes behind its prefix.
    fn integer(&mut self, prefix_bits: u32) -> Result<usize, BadCompression> {
        let mask = (1_u32 << prefix_bits) - 1;
        let mut value = u32::from(self.byte()?) & mask;
        if value < mask {
            return usize::try_from(value).map_err(|_| BadCompression);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += (u32::from(byte) & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).map_err(|_| BadCompression);
            }
        }
        Err(BadCompression)
    }

    fn string(&mut self, out: &mut Vec<u8>) -> Result<(), BadCompression> {
        let is_coded = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(BadCompression)?;
        self.0 = rest;
        if is_coded {
            huffman::decode(text, out).map_err(|_| BadCompression)
        } else {
            out.extend_from_slice(text);
            Ok(())
        }
    }
}

/// Appends a field that no table takes part in: a literal without indexing with a new name (RFC 7541 section 6.2.2).
pub(super) fn push_field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    push_string(block, name);
    push_string(block, value);
}

fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    const LONG: u8 = 0x7f;
    match u8::try_from(text.len()) {
        Ok(length) if length < LONG => block.push(length),
        _ => {
            block.push(LONG);
            let mut rest = text.len() - usize::from(LONG);
            while let Ok(low) = u8::try_from(rest & 0x7f) {
                rest >>= 7;
                if rest == 0 {
                    block.push(low);
                    break;
                }
                block.push(low | 0x80);
            }
        }
    }
    block.extend_from_slice(text);
}

/// SETTINGS_HEADER_TABLE_SIZE where nothing else is said, and we say nothing else (RFC 9113 section 6.5.2).
const TABLE_BYTES_MAX: usize = 4_096;
/// RFC 7541 section 4.2: to the smallest and to the last size.
const TABLE_UPDATES_MAX: usize = 2;
const ENTRY_OVERHEAD: usize = 32;

/// RFC 7541 appendix A.
#[rustfmt::skip]
const STATIC: [(&str, &str); 61] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(
        decoder: &mut Decoder,
        block: &[u8],
    ) -> Result<Vec<(String, String)>, BadCompression> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut fields = Vec::new();
        decoder
            .decode(block, |name, value| fields.push((text(name), text(value))))
            .map(|()| fields)
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_requests_of_the_standard_are_read_one_after_another() {
        // RFC 7541 appendix C.4.
        let mut decoder = Decoder::default();
        let first = fields(&mut decoder, &hex("828684418cf1e3c2e5f23a6ba0ab90f4ff")).unwrap();
        let expected = |extra: &[(&str, &str)], scheme: &str, path: &str| {
            let mut all = vec![
                (":method", "GET"),
                (":scheme", scheme),
                (":path", path),
                (":authority", "www.example.com"),
            ];
            all.extend_from_slice(extra);
            all.into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(first, expected(&[], "http", "/"));
        let second = fields(&mut decoder, &hex("828684be5886a8eb10649cbf")).unwrap();
        assert_eq!(
            second,
            expected(&[("cache-control", "no-cache")], "http", "/")
        );
        let third = fields(
            &mut decoder,
            &hex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"),
        )
        .unwrap();
        assert_eq!(
            third,
            expected(&[("custom-key", "custom-value")], "https", "/index.html")
        );
        assert_eq!(decoder.table_bytes, 164);
    }

    #[test]
    fn the_table_never_grows_beyond_its_bound() {
        let mut decoder = Decoder::default();
        for number in 0..10_000_u32 {
            let mut block = vec![0x40];
            push_string(&mut block, format!("x-{number}").as_bytes());
            push_string(&mut block, &[b'v'; 100]);
            fields(&mut decoder, &block).unwrap();
            assert!(decoder.table_bytes <= TABLE_BYTES_MAX);
        }
        assert!(decoder.table.len() < 40);
        let mut block = vec![0x40];
        push_string(&mut block, b"x");
        push_string(&mut block, &[b'v'; 5_000]);
        assert_eq!(fields(&mut decoder, &block).unwrap().len(), 1);
        assert_eq!(
            (decoder.table.len(), decoder.table_bytes),
            (0, 0),
            "an entry larger than the table empties it"
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 126, 127, 128, 254, 255, 16_383, 20_000] {
            let value = vec![b'v'; length];
            let mut block = Vec::new();
            push_field(&mut block, b"x-name", &value);
            let read = fields(&mut Decoder::default(), &block).unwrap();
            assert_eq!(
                read,
                [("x-name".to_owned(), String::from_utf8(value).unwrap())],
                "{length}"
            );
        }
    }

    #[test]
    fn broken_compression_is_refused() {
        for (block, why) in [
            ("80", "index zero"),
            ("be", "an entry that the empty table has not"),
            ("ffffffffff0f", "a number without an end"),
            ("3fe21f", "a table larger than we allow"),
            ("8220", "a table size behind a field"),
            ("202020", "three table sizes"),
            ("40", "no name"),
            ("400a63", "a name that is cut off"),
            ("4081ff01", "a name that is no Huffman code"),
            ("7f", "a cut number"),
        ] {
            assert_eq!(
                fields(&mut Decoder::default(), &hex(block)),
                Err(BadCompression),
                "{why}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(block in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut decoder = Decoder::default();
            drop(fields(&mut decoder, &block));
            proptest::prop_assert!(decoder.table_bytes <= TABLE_BYTES_MAX);
        }
    }
}
