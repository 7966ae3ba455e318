//! A record → the bytes of its line, up to the chain.
//!
//! Written by hand and not by a serialiser: every value is bounded on its way out, and more is escaped than JSON asks
//! for. Whoever controls a path or a certificate's name must be able to forge neither a line (CR, LF, NEL, U+2028), nor a
//! terminal command (ESC, C1), nor an order of characters that reads differently (bidirectional controls, zero width).

use crate::chain::{ALGORITHM, Algorithm, START};
use crate::record::{
    Admin, Basis, Connection, Exchange, Judgement, LAYERS, Record, Shadow, Target,
};

/// Longest subject, issuer and route in bytes; names of people and organisations fit many times over.
pub const NAME_BYTES_MAX: usize = 512;
/// Longest identifier in bytes: node, boot, request, trace, zone, method, rule, digest and the like.
pub const WORD_BYTES_MAX: usize = 128;
/// Longest path in bytes; what is longer than this the edge layer refuses anyway.
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest detail in bytes.
pub const DETAIL_BYTES_MAX: usize = 2048;
/// Most query keys that are named.
pub const QUERY_KEYS_MAX: usize = 32;
/// Most overridden rules that are named.
pub const OVERRIDDEN_MAX: usize = 4;
/// Most decision inputs, and most obligations, that are named.
pub const INPUTS_MAX: usize = 16;
/// Longest name of a decision input in bytes.
const INPUT_NAME_BYTES_MAX: usize = 64;
/// Longest decision input in bytes.
const INPUT_BYTES_MAX: usize = 256;
/// Longest query key in bytes.
pub const QUERY_KEY_BYTES_MAX: usize = 64;
/// Longest line in bytes with its newline, whatever a record holds: six bytes for each byte of every bound.
pub const LINE_BYTES_MAX: usize = 160 * 1024;

/// Appends `{"v":2,"seq":…,…` without the closing brace. `algorithm` stands in the first record of a segment: its header.
pub(crate) fn body(
    record: &Record,
    sequence: u64,
    algorithm: Option<Algorithm>,
    out: &mut Vec<u8>,
) {
    begin(sequence, algorithm, out);
    out.extend_from_slice(b",\"time\":\"");
    record.time.write(out);
    out.push(b'"');
    let mut fields = Fields {
        out,
        cut: Vec::new(),
    };
    fields.some("monotonic_us", record.monotonic_us);
    fields.token("kind", record.kind.word());
    fields.text("node", &record.origin.node, WORD_BYTES_MAX);
    fields.text("boot", &record.origin.boot, WORD_BYTES_MAX);
    if let Some(exchange) = &record.exchange {
        fields.text("request_id", &exchange.request_id, WORD_BYTES_MAX);
        fields.text("trace_id", &exchange.trace_id, WORD_BYTES_MAX);
    }
    if let Some(judgement) = &record.judgement {
        fields.judgement(judgement);
    }
    if let Some(connection) = &record.connection {
        fields.connection(connection);
    }
    if let Some(target) = &record.target {
        fields.target(target);
    }
    if let Some(exchange) = &record.exchange {
        fields.exchange(exchange);
    }
    if let Some(basis) = &record.basis {
        fields.basis(basis);
    }
    if let Some(admin) = &record.admin {
        fields.admin(admin);
    }
    if let Some(removed) = &record.removed {
        fields.number("removed_through", removed.sequence);
        fields.text("removed_hash", &removed.hash.to_string(), WORD_BYTES_MAX);
    }
    fields.text("detail", &record.detail, DETAIL_BYTES_MAX);
    fields.cut();
}

/// Appends what stands before the fields of a record.
pub(crate) fn begin(sequence: u64, algorithm: Option<Algorithm>, out: &mut Vec<u8>) {
    out.extend_from_slice(START);
    decimal(out, sequence);
    if let Some(algorithm) = algorithm {
        out.extend_from_slice(ALGORITHM);
        out.extend_from_slice(algorithm.name().as_bytes());
        out.push(b'"');
    }
}

/// Appends `number` in decimal.
pub(crate) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Whether a character may stand in a line, or on a terminal, only as an escape: controls, line and paragraph
/// separators, and what is invisible or turns the reading direction.
pub(crate) fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends `text` as the inside of a JSON string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    // No early exit: looking at every byte is a loop that the compiler turns into vectors, four times as fast.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        return out.extend_from_slice(text.as_bytes());
    }
    for character in text.chars() {
        let mut buffer = [0; 4];
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            _ if is_hidden(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        let nibble = u32::from(*unit >> shift & 0xf);
                        out.push(char::from_digit(nibble, 16).map_or(b'0', |digit| digit as u8));
                    }
                }
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes()),
        }
    }
}

/// Writes fields one after another and remembers which were cut.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    cut: Vec<&'static str>,
}

impl Fields<'_> {
    /// A comma, the name and a colon.
    fn name(&mut self, name: &'static str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A word of our own, which needs no escaping.
    fn token(&mut self, name: &'static str, word: &'static str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.name(name);
        decimal(self.out, number);
    }

    /// Left out when zero.
    fn some(&mut self, name: &'static str, number: u64) {
        if number > 0 {
            self.number(name, number);
        }
    }

    /// Somebody else's text, cut at `bytes_max`; left out when empty.
    fn text(&mut self, name: &'static str, text: &str, bytes_max: usize) {
        if !text.is_empty() {
            self.name(name);
            self.quoted(name, text, bytes_max);
        }
    }

    fn quoted(&mut self, name: &'static str, text: &str, bytes_max: usize) {
        let kept = text
            .get(..text.floor_char_boundary(bytes_max))
            .unwrap_or_default();
        if kept.len() < text.len() {
            self.cut_off(name);
        }
        self.out.push(b'"');
        escape(self.out, kept);
        self.out.push(b'"');
    }

    fn judgement(&mut self, judgement: &Judgement) {
        self.token("decision", judgement.decision.word());
        self.text(
            "reason",
            judgement.reason.as_deref().unwrap_or_default(),
            WORD_BYTES_MAX,
        );
        self.text(
            "rule",
            judgement.rule.as_deref().unwrap_or_default(),
            NAME_BYTES_MAX,
        );
        self.name("layers");
        for (position, (layer, step)) in LAYERS.iter().zip(judgement.layers).enumerate() {
            self.out
                .extend_from_slice(if position == 0 { b"{\"" } else { b",\"" });
            self.out.extend_from_slice(layer.as_bytes());
            self.out.extend_from_slice(b"\":\"");
            self.out.extend_from_slice(step.word().as_bytes());
            self.out.push(b'"');
        }
        self.out.push(b'}');
        self.circumstances(judgement);
    }

    /// What is rarely there.
    fn circumstances(&mut self, judgement: &Judgement) {
        self.token("mode", judgement.mode.word());
        self.some("decided_at", judgement.decided_at);
        self.inputs(judgement.inputs.as_deref().unwrap_or_default());
        let overridden = judgement.overridden.iter().map(|name| &**name);
        self.list("overridden", overridden, OVERRIDDEN_MAX, WORD_BYTES_MAX);
        let obligations = judgement.obligations.iter().map(|name| &**name);
        self.list("obligations", obligations, INPUTS_MAX, WORD_BYTES_MAX);
        self.some("mask_hits", judgement.mask_hits);
        if let Some(shadow) = &judgement.shadow {
            self.shadow(shadow);
        }
    }

    fn inputs(&mut self, inputs: &[(Box<str>, Box<str>)]) {
        for (position, (name, value)) in inputs.iter().take(INPUTS_MAX).enumerate() {
            if position == 0 {
                self.name("inputs");
            }
            self.out.push(if position == 0 { b'{' } else { b',' });
            self.quoted("inputs", name, INPUT_NAME_BYTES_MAX);
            self.out.push(b':');
            self.quoted("inputs", value, INPUT_BYTES_MAX);
        }
        if !inputs.is_empty() {
            self.out.push(b'}');
        }
        if inputs.len() > INPUTS_MAX {
            self.cut_off("inputs");
        }
    }

    fn shadow(&mut self, shadow: &Shadow) {
        let rule = shadow.rule.as_deref().unwrap_or_default();
        self.token("shadow_decision", shadow.decision.word());
        self.text("shadow_rule", rule, NAME_BYTES_MAX);
        self.text("shadow_policy", &shadow.policy, WORD_BYTES_MAX);
    }

    fn admin(&mut self, admin: &Admin) {
        self.text("actor", &admin.actor, NAME_BYTES_MAX);
        self.text("action", &admin.action, WORD_BYTES_MAX);
        self.text("object", &admin.object, NAME_BYTES_MAX);
        self.text("outcome", &admin.outcome, NAME_BYTES_MAX);
    }

    /// A list of somebody else's texts; left out when empty.
    fn list<'t>(
        &mut self,
        name: &'static str,
        texts: impl ExactSizeIterator<Item = &'t str>,
        count_max: usize,
        bytes_max: usize,
    ) {
        let count = texts.len();
        if count == 0 {
            return;
        }
        self.name(name);
        for (position, text) in texts.take(count_max).enumerate() {
            self.out.push(if position == 0 { b'[' } else { b',' });
            self.quoted(name, text, bytes_max);
        }
        self.out.push(b']');
        if count > count_max {
            self.cut_off(name);
        }
    }

    fn cut_off(&mut self, name: &'static str) {
        if !self.cut.contains(&name) {
            self.cut.push(name);
        }
    }

    fn connection(&mut self, connection: &Connection) {
        self.text("listener", &connection.listener, WORD_BYTES_MAX);
        self.text("client", &connection.client, WORD_BYTES_MAX);
        self.text("zone", &connection.zone, WORD_BYTES_MAX);
        self.text("channel", &connection.channel, WORD_BYTES_MAX);
        self.text("subject", &connection.subject, NAME_BYTES_MAX);
        self.text("organisation", &connection.organisation, NAME_BYTES_MAX);
        self.text("device", &connection.device, NAME_BYTES_MAX);
        self.text("certificate", &connection.certificate, WORD_BYTES_MAX);
        self.text("serial", &connection.serial, WORD_BYTES_MAX);
        self.text("issuer", &connection.issuer, NAME_BYTES_MAX);
        self.some("proved_at", connection.proved_at);
    }

    fn target(&mut self, target: &Target) {
        self.text("application", &target.application, WORD_BYTES_MAX);
        self.text("tenant", &target.tenant, WORD_BYTES_MAX);
        self.text("route", &target.route, NAME_BYTES_MAX);
        self.text("label", &target.label, WORD_BYTES_MAX);
        self.some("policy_context", target.policy_context);
    }

    fn exchange(&mut self, exchange: &Exchange) {
        self.text("method", &exchange.method, WORD_BYTES_MAX);
        self.text("path", &exchange.path, PATH_BYTES_MAX);
        self.text("path_hash", &exchange.path_hash, WORD_BYTES_MAX);
        let keys = exchange.query_keys.iter().map(String::as_str);
        self.list("query_keys", keys, QUERY_KEYS_MAX, QUERY_KEY_BYTES_MAX);
        self.text("purpose", &exchange.purpose, WORD_BYTES_MAX);
        self.text("approval", &exchange.approval, WORD_BYTES_MAX);
        if let Some(status) = exchange.status {
            self.number("status", u64::from(status));
        }
        self.number("bytes_in", exchange.bytes_in);
        self.number("bytes_out", exchange.bytes_out);
        self.number("duration_us", exchange.duration_us);
        self.text(
            "upstream",
            exchange.upstream.as_deref().unwrap_or_default(),
            NAME_BYTES_MAX,
        );
    }

    fn basis(&mut self, basis: &Basis) {
        self.number("config_generation", basis.config_generation);
        self.some("policy_epoch", basis.policy_epoch);
        self.number("policy_generation", basis.policy_generation);
        self.text("policy_digest", &basis.policy_digest, WORD_BYTES_MAX);
    }

    /// Names the fields that were cut. A mark inside the value could be forged; this list cannot.
    fn cut(&mut self) {
        for (position, name) in self.cut.iter().enumerate() {
            self.out.extend_from_slice(if position == 0 {
                b",\"cut\":[\""
            } else {
                b",\""
            });
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'"');
        }
        if !self.cut.is_empty() {
            self.out.push(b']');
        }
    }
}
