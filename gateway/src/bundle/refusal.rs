//! Why a policy is not taken: a closed list, for metrics.

/// What was wrong with a policy or its bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyRefusal {
    /// A file cannot be read.
    Unreadable,
    /// The bundle is no bundle, or lacks a file.
    Damaged,
    /// Too few of the keys have signed, or a signature is wrong.
    Signature,
    /// A file of the bundle is not what was signed.
    Changed,
    /// The epoch is lower than one that was taken, or was taken with other content.
    Epoch,
    /// Before the time from which the bundle may serve.
    Early,
    /// After the time until which the bundle may serve.
    Late,
    /// Another number of rules than the manifest says.
    RuleCount,
    /// Model or rules do not load.
    Policy,
    /// A test in the bundle fails.
    Test,
    /// A label that the gateway does not have, or one that nobody is cleared for.
    Label,
    /// The model asks for what the gateway does not know of a request.
    Fact,
    /// What the directory says of roles and clearance does not fit the policy.
    Directory,
    /// A rule demands what nobody carries out.
    Obligation,
    /// No rule is left, at a reload.
    Empty,
    /// What was taken cannot be remembered.
    State,
}

impl PolicyRefusal {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::Unreadable,
        Self::Damaged,
        Self::Signature,
        Self::Changed,
        Self::Epoch,
        Self::Early,
        Self::Late,
        Self::RuleCount,
        Self::Policy,
        Self::Test,
        Self::Label,
        Self::Fact,
        Self::Directory,
        Self::Obligation,
        Self::Empty,
        Self::State,
    ];

    /// The word in metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
            Self::Signature => "signature",
            Self::Changed => "changed",
            Self::Epoch => "epoch",
            Self::Early => "early",
            Self::Late => "late",
            Self::RuleCount => "rule_count",
            Self::Policy => "policy",
            Self::Test => "test",
            Self::Label => "label",
            Self::Fact => "fact",
            Self::Directory => "directory",
            Self::Obligation => "obligation",
            Self::Empty => "empty",
            Self::State => "state",
        }
    }
}
