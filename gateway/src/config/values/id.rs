//! Numbers that stand for names, so that a request compares words and not texts.

/// Number of a zone in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(u16);

impl ZoneId {
    pub(in crate::config) fn new(index: u16) -> Self {
        Self(index)
    }

    /// Its place in [`Config::zones`](crate::config::Config::zones).
    #[must_use]
    pub fn index(self) -> u16 {
        self.0
    }
}

/// Number of a label in one configuration; a higher label compares greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(u8);

/// Labels in one configuration, as many as a [`LabelSet`] has bits.
pub(in crate::config) const LABELS_MAX: usize = 64;

impl LabelId {
    // INVARIANT: index < LABELS_MAX, held by the one caller in `check`.
    pub(in crate::config) fn new(index: u8) -> Self {
        Self(index)
    }

    /// Its place in [`Config::labels`](crate::config::Config::labels), 0 to 63.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }
}

/// A set of labels; one word, so that the matrix costs one load and one mask for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(u64);

impl LabelSet {
    /// Whether the label is in it.
    #[must_use]
    pub fn contains(self, label: LabelId) -> bool {
        self.0 & bit(label) != 0
    }

    #[must_use]
    pub(in crate::config) fn with(self, label: LabelId) -> Self {
        Self(self.0 | bit(label))
    }
}

fn bit(label: LabelId) -> u64 {
    1_u64.checked_shl(u32::from(label.0)).unwrap_or(0)
}
