//! `hangu status`: what a running gateway serves.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::control::Target;
use super::{complain, say};

#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    gateway: Target,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(options: &Options) -> ExitCode {
    let status = match options.gateway.get("/v1/status") {
        Ok(status) => status,
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    };
    if options.json {
        say(status);
        return ExitCode::SUCCESS;
    }
    let fields = status.as_object().into_iter().flatten();
    for (name, value) in fields {
        match value {
            Value::String(text) => say(format_args!("{name:<14} {text}")),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => say(format_args!("{name:<14} {value}")),
        }
    }
    ExitCode::SUCCESS
}
