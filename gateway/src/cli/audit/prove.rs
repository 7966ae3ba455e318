//! `hangu audit prove`, `check-proof` and `prove-consistency`: what the tree says to somebody who does not have the log.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use hangu_audit::proof::{prove_consistency as consistency, verify_consistency};
use hangu_audit::tiles::Tiles;
use hangu_audit::tree::{TreeHead, root};
use hangu_audit::{Position, Reader, RecordProof, Stored, prove as proven};
use serde_json::json;

use super::super::say;
use super::verify::read_keys;
use super::{Failure, unable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Folder of the log
    dir: PathBuf,
    /// Number of the record
    sequence: u64,
    /// Write the record itself to this file, to be given away with the proof
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckOptions {
    /// The proof
    proof: PathBuf,
    /// The record: its line as it is in the log
    record: PathBuf,
    /// Key that must have signed the log: `NAME+ID+KEY`, or a file that holds it
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ConsistencyOptions {
    /// Folder of the log
    dir: PathBuf,
    /// The earlier size
    old: u64,
    /// The later size
    new: u64,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn prove(options: &Options) -> Result<(), Failure> {
    let proof = proven(&options.dir, options.sequence).map_err(unable)?;
    let position = Position::Sequence(options.sequence);
    let line = Reader::open(&options.dir, position)
        .and_then(|mut reader| reader.next_line())
        .map_err(unable)?
        .ok_or_else(|| unable("the log has no such record"))?;
    // What leads nowhere is not given away.
    let keyless = Stored::signed(&options.dir, &[]).map_err(unable)?;
    let head = keyless.map(|stored| stored.checkpoint.head());
    proof
        .leads_to(line.json.as_bytes(), head)
        .map_err(|error| Failure::No(error.to_string()))?;
    if let Some(path) = &options.record {
        fs::write(path, line.json.as_bytes())
            .map_err(|error| unable(format_args!("{}: {error}", path.display())))?;
    }
    say(proof.to_string().trim_end());
    Ok(())
}

pub(super) fn check(options: &CheckOptions) -> Result<(), Failure> {
    let read = |path: &PathBuf| {
        fs::read_to_string(path)
            .map_err(|error| unable(format_args!("{}: {error}", path.display())))
    };
    let keys = read_keys(&options.keys)?;
    let (proof, record) = (read(&options.proof)?, read(&options.record)?);
    let no = |error: &dyn std::fmt::Display| Failure::No(error.to_string());
    let proof = RecordProof::parse(&proof).map_err(|error| no(&error))?;
    let checkpoint = proof
        .verify(record.trim_end_matches('\n').as_bytes(), &keys)
        .map_err(|error| no(&error))?;
    say(format_args!(
        "good; record {} is in the log `{}`, signed at size {}",
        proof.index.saturating_add(1),
        checkpoint.origin(),
        checkpoint.head().size
    ));
    Ok(())
}

pub(super) fn prove_consistency(options: &ConsistencyOptions) -> Result<(), Failure> {
    let tiles = Tiles::of(&options.dir);
    let hashes = consistency(&tiles, options.old, options.new)
        .map_err(unable)?
        .ok_or_else(|| unable("the earlier size is the larger one; swap the two"))?;
    let head = |size| root(&tiles, size).map(|root| TreeHead { size, root });
    let (old, new) = (
        head(options.old).map_err(unable)?,
        head(options.new).map_err(unable)?,
    );
    verify_consistency(&old, &new, &hashes).map_err(|error| Failure::No(error.to_string()))?;
    let proof: Vec<String> = hashes.iter().map(ToString::to_string).collect();
    if options.json {
        say(json!({
            "old": { "size": old.size, "root": old.root.to_string() },
            "new": { "size": new.size, "root": new.root.to_string() },
            "proof": proof,
        }));
        return Ok(());
    }
    say(format_args!("old {} {}", old.size, old.root));
    say(format_args!("new {} {}", new.size, new.root));
    for hash in proof {
        say(hash);
    }
    Ok(())
}
