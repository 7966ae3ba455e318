//! Huffman coded strings of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: within one length the codes are consecutive in the order of the symbols, and a longer code is
//! always the greater one. So the lengths alone give the code, and a symbol is found by comparing with one bound a length.

use std::sync::LazyLock;

/// A string that is not in the code: an end-of-string symbol, or padding that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotHuffman;

/// Appends what `coded` stands for to `out`: at most 8/5 of its length.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), NotHuffman> {
    let code = &*CODE;
    let (mut window, mut bits): (u64, u32) = (0, 0);
    for byte in coded {
        window = window << 8 | u64::from(*byte);
        bits += 8;
        while let Some((symbol, used)) = code.first_symbol(window, bits) {
            out.push(symbol);
            bits -= used;
            window &= (1 << bits) - 1;
        }
        if bits >= END_OF_STRING_BITS {
            return Err(NotHuffman);
        }
    }
    // Padding is the beginning of the end-of-string symbol, ones alone, and shorter than a byte.
    if bits < 8 && window == (1 << bits) - 1 {
        Ok(())
    } else {
        Err(NotHuffman)
    }
}

/// The code, by length.
#[derive(Debug)]
struct Code {
    /// Shortest first.
    groups: Vec<Group>,
    /// By length, then by value.
    symbols: Vec<u8>,
}

/// All symbols whose codes have one length.
#[derive(Debug)]
struct Group {
    bits: u32,
    first_code: u64,
    symbols: usize,
    /// Where they begin in the list of all symbols.
    at: usize,
}

impl Code {
    fn new() -> Self {
        let (mut groups, mut symbols, mut code, mut last_bits) = (Vec::new(), Vec::new(), 0, 0);
        for bits in 1..END_OF_STRING_BITS + 1 {
            let of_this_length = (0..=u8::MAX)
                .zip(LENGTHS)
                .filter(|(_, length)| u32::from(*length) == bits)
                .map(|(symbol, _)| symbol);
            let at = symbols.len();
            symbols.extend(of_this_length);
            let count = symbols.len() - at;
            if count == 0 {
                continue;
            }
            code <<= bits - last_bits;
            last_bits = bits;
            groups.push(Group {
                bits,
                first_code: code,
                symbols: count,
                at,
            });
            code += u64::try_from(count).unwrap_or_default();
        }
        Self { groups, symbols }
    }

    /// The symbol at the front of the lowest `bits` of `window`, and its length; `None` when more bits are needed.
    fn first_symbol(&self, window: u64, bits: u32) -> Option<(u8, u32)> {
        for group in &self.groups {
            let code = window >> bits.checked_sub(group.bits)?;
            let place = usize::try_from(code.checked_sub(group.first_code)?).ok()?;
            if place < group.symbols {
                let symbol = self.symbols.get(group.at + place)?;
                return Some((*symbol, group.bits));
            }
        }
        None
    }
}

static CODE: LazyLock<Code> = LazyLock::new(Code::new);

/// The longest code, that of the end of a string, which never stands in one.
const END_OF_STRING_BITS: u32 = 30;

/// Length of the code of each byte in bits.
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, NotHuffman> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        for (coded, text) in [
            (
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ][..],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x64, 0x02], "302"),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
            (&[], ""),
        ] {
            assert_eq!(decoded(coded).unwrap(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn every_byte_has_its_code() {
        let code = &*CODE;
        assert_eq!(code.symbols.len(), 256);
        for group in &code.groups {
            for place in 0..group.symbols {
                let value = group.first_code + u64::try_from(place).unwrap();
                let symbol = code.symbols[group.at + place];
                assert_eq!(
                    code.first_symbol(value, group.bits),
                    Some((symbol, group.bits))
                );
            }
        }
        let last = code.groups.last().unwrap();
        assert_eq!(
            last.first_code + u64::try_from(last.symbols).unwrap(),
            (1 << 30) - 1,
            "one code is left: the end of a string"
        );
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for (coded, why) in [
            (&[0xff, 0xff, 0xff, 0xff][..], "the end of a string inside"),
            (&[0xff], "a byte of padding"),
            (&[0x64, 0x02, 0xff], "a byte of padding behind a string"),
            (&[0x00], "padding with a zero"),
            (&[0xfe], "half a symbol"),
        ] {
            assert_eq!(decoded(coded), Err(NotHuffman), "{why}");
        }
    }
}
