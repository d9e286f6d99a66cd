//! A proposal as files: `proposal.json` for the facts, `body.md` for people, `plan.json` for machines.

use serde_json::Value;

use crate::domain::source::{File, FileTree};
use crate::ports::forge::{ForgeError, Proposal};
use crate::ports::git::{GitError, TreeBudget};

const FACTS: &str = "proposal.json";
const BODY: &str = "body.md";
const PLAN: &str = "plan.json";

/// Fields of the JSON form of [`Proposal`] that have a file of their own.
const OWN_FILES: [&str; 2] = ["body", "planJson"];

/// What one proposal may hold; the same limits on the way in and on the way out. People may add files beside ours.
pub(super) const BUDGET: TreeBudget = TreeBudget { files: 64, file_bytes: 8 << 20, total_bytes: 32 << 20 };

/// The files of a proposal, all three.
pub(super) fn files(proposal: &Proposal) -> Result<FileTree, ForgeError> {
    let mut files = FileTree::new();
    put(&mut files, proposal.number, BODY, proposal.content.body.clone().into_bytes())?;
    put(&mut files, proposal.number, PLAN, json(proposal.number, &proposal.content.plan_json)?)?;
    with_facts(files, proposal)
}

/// `files` with the facts of `proposal`; text and plan keep their very bytes.
pub(super) fn with_facts(mut files: FileTree, proposal: &Proposal) -> Result<FileTree, ForgeError> {
    let mut facts = serde_json::to_value(proposal).map_err(|error| damaged(proposal.number, &error))?;
    if let Value::Object(facts) = &mut facts {
        facts.retain(|field, _| !OWN_FILES.contains(&field.as_str()));
    }
    put(&mut files, proposal.number, FACTS, json(proposal.number, &facts)?)?;
    Ok(files)
}

/// `held` with all three files of `proposal`, and whatever else people put there.
pub(super) fn over(held: &FileTree, proposal: &Proposal) -> Result<FileTree, ForgeError> {
    let mut merged = held.clone();
    for (path, file) in files(proposal)?.iter() {
        put(&mut merged, proposal.number, path, file.bytes.to_vec())?;
    }
    Ok(merged)
}

/// Reads a proposal back.
pub(super) fn proposal(number: u64, files: &FileTree) -> Result<Proposal, ForgeError> {
    let mut facts: Value = serde_json::from_slice(bytes(number, files, FACTS)?)
        .map_err(|error| damaged(number, &format!("{FACTS}: {error}")))?;
    let body = std::str::from_utf8(bytes(number, files, BODY)?)
        .map_err(|error| damaged(number, &format!("{BODY}: {error}")))?;
    let plan: Value = serde_json::from_slice(bytes(number, files, PLAN)?)
        .map_err(|error| damaged(number, &format!("{PLAN}: {error}")))?;
    let Value::Object(fields) = &mut facts else {
        return Err(damaged(number, &format!("{FACTS} is not an object")));
    };
    fields.insert("body".to_owned(), Value::from(body));
    fields.insert("planJson".to_owned(), plan);
    let read: Proposal =
        serde_json::from_value(facts).map_err(|error| damaged(number, &format!("{FACTS}: {error}")))?;
    if read.number == number {
        Ok(read)
    } else {
        Err(damaged(number, &format!("{FACTS} is that of proposal {}", read.number)))
    }
}

/// Refuses what could not be read back.
pub(super) fn check_size(number: u64, url: &str, files: &FileTree) -> Result<(), ForgeError> {
    let refuse = |path: &str, reason: String| {
        let (url, id) = (url.to_owned(), format!("proposal {number}"));
        Err(GitError::Refused { url, id, path: path.to_owned(), reason }.into())
    };
    let mut total = 0;
    for (path, file) in files.iter() {
        let size = file.bytes.len() as u64;
        total += size;
        if size > BUDGET.file_bytes || total > BUDGET.total_bytes {
            return refuse(path, format!("it has {size} bytes; the limit is {} a file", BUDGET.file_bytes));
        }
    }
    Ok(())
}

fn bytes<'a>(number: u64, files: &'a FileTree, path: &str) -> Result<&'a [u8], ForgeError> {
    files.get(path).map(|file| &*file.bytes).ok_or_else(|| damaged(number, &format!("{path} is missing")))
}

fn put(files: &mut FileTree, number: u64, path: &str, bytes: Vec<u8>) -> Result<(), ForgeError> {
    files.insert(path, File::regular(bytes)).map_err(|error| damaged(number, &error))
}

fn json(number: u64, value: &Value) -> Result<Vec<u8>, ForgeError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|error| damaged(number, &error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn damaged(number: u64, reason: &dyn std::fmt::Display) -> ForgeError {
    ForgeError::Damaged { number, reason: reason.to_string() }
}
