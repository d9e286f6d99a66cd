//! Programs that keep credentials: `docker-credential-NAME get`, with the registry on its standard input and JSON on
//! its standard output.
//!
//! Source: the protocol of docker-credential-helpers.

use std::path::Path;
use std::process::Command;

use crate::adapters::keeper;
use crate::domain::credentials::{SignIn, docker_key, in_helper_answer};

/// How such programs say that they have nothing.
const NOTHING: &str = "credentials not found";

/// Asks a program for the credentials of a registry; none when it has none. Errors hold nothing of what it said.
pub(super) fn ask(name: &str, folder: Option<&Path>, registry: &str) -> Result<Option<SignIn>, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(format!("credHelpers or credsStore names {name:?}, which is no name of a program"));
    }
    let program = format!("docker-credential-{name}");
    let path = folder.map_or_else(|| program.clone().into(), |folder| folder.join(&program));
    let key = docker_key(registry);
    let (status, answer) = keeper::ask(Command::new(path).arg("get"), key, keeper::PATIENCE)
        .map_err(|error| format!("{program} keeps them and cannot be run: {error}; is it on the PATH?"))?
        .ok_or_else(|| format!("{program} keeps them and did not answer within {:?}", keeper::PATIENCE))?;
    match status.success() {
        true => in_helper_answer(&answer).map(Some).map_err(|error| format!("{program}: {error}")),
        false if String::from_utf8_lossy(&answer).contains(NOTHING) => Ok(None),
        false => Err(format!("{program} get failed, {status}; try `echo {key} | {program} get`")),
    }
}
