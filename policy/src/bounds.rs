//! Every bound on what is loaded, by name. Beyond it a file is refused, never cut.

/// Bytes of a model file.
pub const MODEL_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a policy file: room for ten million rows of a hundred bytes.
pub const RULES_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Bytes of one line of a policy file.
pub const LINE_BYTES_MAX: usize = 16 * 1024 - 1;
/// Fields of one row, its type included.
pub const FIELDS_MAX: usize = 33;
/// Rows of one section, of `p` or of `g`.
pub const ROWS_MAX: usize = 16_000_000;
/// Links between a subject and a role that it inherits: what Casbin follows.
pub const ROLE_DEPTH_MAX: usize = 10;
/// Roles that subjects hold, inherited ones included, summed over all subjects and domains of one relation.
pub const ROLES_HELD_MAX: usize = 64_000_000;
/// Bytes of one pattern in a row or a matcher.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Bytes that one compiled regular expression may take.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Distinct patterns of one policy that are more than whole segments and have to be compiled.
pub const COMPILED_MAX: usize = 20_000;
/// Distinct conditions for `eval()` that the rows of one section hold.
pub const CONDITIONS_MAX: usize = 1_000_000;
/// Nodes of one expression.
pub const EXPRESSION_NODES_MAX: usize = 1_000;
/// How deep one expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 50;
/// Arguments of one request.
pub const ARGUMENTS_MAX: usize = 32;
/// Links followed to find the roles of all names of one relation, summed.
pub const ROLE_STEPS_MAX: usize = 64_000_000;
/// Roles that one name holds for a time, in one domain.
pub const WINDOWS_MAX: usize = 1_000;
/// Bytes that all compiled patterns of one policy may take.
pub const COMPILED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Parts of all conditions that the rows of one section hold.
pub const CONDITION_NODES_MAX: usize = 10_000_000;
/// Steps of one decision: a part of an expression evaluated, or four bytes matched, is one. What would take more is
/// denied. A step is some nanoseconds, so a decision is bounded to about ten milliseconds.
pub const STEPS_MAX: u64 = 1_000_000;
/// Patterns among the names that have roles, in one domain of one relation.
pub const ROLE_PATTERNS_MAX: usize = 1_000;
/// Matches tried at load between the names and the patterns of one relation, all domains summed.
pub const ROLE_MATCHES_MAX: usize = 4_000_000;
/// Roles reached by all names and through all patterns of one relation with patterns, summed.
pub const ROLES_REACHED_MAX: usize = 4_000_000;
