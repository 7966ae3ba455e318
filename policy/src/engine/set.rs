//! A few symbols on the stack.

use crate::rules::symbols::Symbol;

/// Symbols that a field may have; when there are too many it says so, and the rows are tried one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SymbolSet {
    symbols: [Symbol; SYMBOLS_MAX],
    length: usize,
    overflowed: bool,
}

impl Default for SymbolSet {
    fn default() -> Self {
        Self {
            symbols: [Symbol(0); SYMBOLS_MAX],
            length: 0,
            overflowed: false,
        }
    }
}

impl SymbolSet {
    pub(crate) fn push(&mut self, symbol: Symbol) {
        match self.symbols.get_mut(self.length) {
            Some(free) => {
                *free = symbol;
                self.length += 1;
            }
            None => self.overflowed = true,
        }
    }

    /// There were more than fit.
    pub(crate) fn overflow(&mut self) {
        self.overflowed = true;
    }

    pub(crate) fn as_slice(&self) -> &[Symbol] {
        self.symbols.get(..self.length).unwrap_or_default()
    }

    /// Whether some did not fit.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }
}

/// Symbols of one request, patterns that match its path among them, that are looked up; with more the rows are walked.
const SYMBOLS_MAX: usize = 48;
