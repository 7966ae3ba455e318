//! `hangu policy eval`: answers requests from a file. This is the door for other people's test suites, so its format
//! is exact: one line in, one line out, whatever the line holds.

use std::fmt;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use clap::Args;
use hangu_policy::{Decision, Policy, Refusal, RuleId, Value};
use serde::{Deserialize, Serialize};

use super::files::{Naming, PolicyFiles};
use super::request::now_unix_ms;
use super::{Done, Outcome};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  echo '{\"args\": [\"alice\", \"tax\", \"/returns/7\", \"GET\"]}' |
    hangu policy eval --model model.conf --policy policy.csv --requests -

  {\"decision\":\"allow\",\"rule\":\"policy.csv:1\",\"error\":null}

`args` come in the order of the model's `r`; a JSON object among them is read by its attributes (`r.sub.age`).
`\"context\": \"2\"` asks r2, p2, e2, m2; `\"time_unix_ms\"` is when, for roles held for a time. A line that is no request is answered with `deny` and an error.
Exit code: 0 when every line was answered, 2 when the policy was refused or a file could not be read.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    files: PolicyFiles,
    /// The requests, one JSON object a line; `-` is the standard input
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,
    /// Count the roles and clearances of this configuration's directory too, as its gateway does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// One line in.
#[derive(Debug, Deserialize)]
struct Asked {
    args: Vec<serde_json::Value>,
    #[serde(default)]
    context: Option<ContextName>,
    /// When it is asked; now, if left out.
    #[serde(default)]
    time_unix_ms: Option<i64>,
    // Suites keep what they expect beside what they ask: other fields are passed over.
}

/// `"2"`, or `2`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ContextName {
    Text(String),
    Number(u32),
}

impl fmt::Display for ContextName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Number(number) => number.fmt(formatter),
        }
    }
}

/// One line out.
#[derive(Debug, Serialize)]
struct Answer {
    decision: &'static str,
    rule: Option<String>,
    error: Option<String>,
}

impl Answer {
    fn fault(error: String) -> Self {
        Self {
            decision: "deny",
            rule: None,
            error: Some(error),
        }
    }
}

pub(super) fn eval(options: &Options) -> Done {
    let texts = options.files.read(Naming::LastName)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile()?;
    let at = |error: io::Error| vec![format!("{}: {error}", options.requests.display())];
    let input: Box<dyn Read> = if options.requests.as_os_str() == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(&options.requests).map_err(at)?)
    };
    let output = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    match answer_all(&policy, input, output) {
        Ok(()) => Ok(Outcome::Clean),
        // Who reads the answers has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Outcome::Clean),
        Err(error) => Err(at(error)),
    }
}

fn answer_all(policy: &Policy, input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let room = LINE_BYTES_MAX as u64 + 1;
        if input.by_ref().take(room).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let answer = if line.len() > LINE_BYTES_MAX && line.last() != Some(&b'\n') {
            skip_line(&mut input)?;
            Answer::fault(format!("line {number}: longer than {LINE_BYTES_MAX} bytes"))
        } else {
            answer(policy, &line, number)
        };
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        // A partner that waits for this answer before it asks on gets it now.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn answer(policy: &Policy, line: &[u8], number: u64) -> Answer {
    // A list would be read as the fields in their order, which nobody means.
    if line
        .trim_ascii_start()
        .first()
        .is_some_and(|first| *first != b'{')
    {
        return Answer::fault(format!(
            "line {number}: this is no JSON object; write for example `{{\"args\": [\"alice\", \"/x\", \"GET\"]}}`"
        ));
    }
    let asked: Asked = match serde_json::from_slice(line) {
        Ok(asked) => asked,
        Err(error) => {
            return Answer::fault(format!(
                "line {number}: {}; write for example `{{\"args\": [\"alice\", \"/x\", \"GET\"]}}`",
                error
                    .to_string()
                    .replace(" at line 1 column ", " at column ")
            ));
        }
    };
    let context = asked.context.map_or(String::new(), |name| name.to_string());
    let Some(context) = context_number(&context) else {
        return Answer::fault(format!(
            "line {number}: context `{context}` is no number; write `\"2\"` for r2, p2, e2, m2"
        ));
    };
    let arguments: Vec<Value> = asked.args.into_iter().map(value).collect();
    let place = |rule: RuleId| {
        let rule = policy.rule(rule);
        (rule.line > 0).then(|| rule.to_string())
    };
    let time = asked.time_unix_ms.or_else(now_unix_ms);
    match policy.decide_arguments_at(context, &arguments, time) {
        Decision::Permit(permit) => Answer {
            decision: "allow",
            rule: place(permit.rule()),
            error: None,
        },
        Decision::Deny(Refusal::NoRule) => Answer {
            decision: "deny",
            rule: None,
            error: None,
        },
        Decision::Deny(Refusal::ExplicitDeny(rule)) => Answer {
            decision: "deny",
            rule: place(rule),
            error: None,
        },
        Decision::Deny(Refusal::EvaluationError(rule, fault)) => Answer {
            decision: "deny",
            rule: place(rule),
            error: Some(fault.to_string()),
        },
    }
}

/// `2`, or as Casbin's own contexts are called, nothing for the first.
fn context_number(context: &str) -> Option<usize> {
    if context.is_empty() {
        return Some(1);
    }
    let digits = context.bytes().all(|byte| byte.is_ascii_digit());
    context.parse().ok().filter(|_| digits)
}

/// A JSON value as an argument.
pub(super) fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => number.as_f64().map_or(Value::Null, Value::Number),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(value).collect()),
        serde_json::Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, inner)| (name, value(inner)))
                .collect(),
        ),
    }
}

/// Bytes of one request.
const LINE_BYTES_MAX: usize = 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use hangu_policy::Source;

    fn answers(model: &str, rules: &str, requests: &[u8]) -> Vec<String> {
        let model = Source {
            name: "model.conf",
            text: model,
        };
        let rules = Source {
            name: "policy.csv",
            text: rules,
        };
        let policy = Policy::compile_positional(model, rules).unwrap();
        let mut out = Vec::new();
        answer_all(&policy, requests, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    const BASIC: &str = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
        [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n";

    #[test]
    fn each_line_gets_one_answer_in_the_documented_form() {
        let requests =
            b"{\"args\": [\"alice\",\"/x\",\"GET\"]}\n{\"args\": [\"bob\",\"/x\",\"GET\"]}\n\
            {\"args\": [\"alice\",\"/x\",\"GET\"], \"context\": \"1\"}";
        let allowed = "{\"decision\":\"allow\",\"rule\":\"policy.csv:1\",\"error\":null}";
        assert_eq!(
            answers(BASIC, "p, alice, /x, GET\n", requests),
            [
                allowed,
                "{\"decision\":\"deny\",\"rule\":null,\"error\":null}",
                allowed
            ]
        );
    }

    #[test]
    fn a_line_that_is_no_request_is_denied_and_the_next_is_answered() {
        let long = format!("{{\"args\": [\"{}\"]}}\n", "a".repeat(LINE_BYTES_MAX));
        let requests = [
            b"nonsense\n\n[1]\n{\"args\": 3}\n{\"arg\": []}\n\xff\xfe\n".as_slice(),
            long.as_bytes(),
            b"{\"args\": [\"alice\",\"/x\"]}\n{\"args\": [\"alice\",\"/x\",\"GET\"], \"context\": \"9\"}\n",
            b"{\"args\": [\"alice\",\"/x\",\"GET\"], \"context\": \"-1\"}\n",
            b"{\"args\": [\"alice\",\"/x\",\"GET\"], \"expect\": \"allow\"}\n",
        ]
        .concat();
        let found = answers(BASIC, "p, alice, /x, GET\n", &requests);
        assert_eq!(found.len(), 11);
        for answer in &found[..10] {
            assert!(
                answer.starts_with("{\"decision\":\"deny\",\"rule\":null,\"error\":\""),
                "{answer}"
            );
            assert!(!answer.contains("struct"), "{answer}");
        }
        assert!(
            found[2].contains("line 3: this is no JSON object"),
            "{}",
            found[2]
        );
        assert!(found[10].contains("allow"));
    }

    #[test]
    fn an_object_is_read_by_its_attributes() {
        let model = "[request_definition]\nr = sub, obj\n[policy_definition]\np = rule, obj\n\
            [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = eval(p.rule) && r.obj == p.obj\n";
        let rules = "p, r.sub.age >= 18, /x\n";
        let requests = b"{\"args\": [{\"age\": 18}, \"/x\"]}\n{\"args\": [{\"age\": 17}, \"/x\"]}\n{\"args\": [{}, \"/x\"]}\n";
        let found = answers(model, rules, requests);
        assert!(found[0].contains("\"allow\""), "{found:?}");
        assert!(found[1].contains("\"deny\"") && found[1].contains("\"error\":null"));
        assert!(found[2].contains("\"deny\"") && found[2].contains("lacks an attribute"));
    }
}
