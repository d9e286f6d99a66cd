//! Programs that keep credentials: `docker-credential-NAME get`, with the registry on its standard input and JSON on
//! its standard output.
//!
//! Source: the protocol of docker-credential-helpers.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use crate::domain::credentials::{SignIn, docker_key, in_helper_answer};

/// How long a program may take: it may ask a person.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most bytes of an answer.
const ANSWER: u64 = 64 << 10;
/// How such programs say that they have nothing.
const NOTHING: &str = "credentials not found";

/// Asks a program for the credentials of a registry; none when it has none. Errors hold nothing of what it said.
pub(super) fn ask(name: &str, folder: Option<&Path>, registry: &str) -> Result<Option<SignIn>, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(format!("credHelpers or credsStore names {name:?}, which is no name of a program"));
    }
    let program = format!("docker-credential-{name}");
    let path = folder.map_or_else(|| program.clone().into(), |folder| folder.join(&program));
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{program} keeps them and cannot be started: {error}; is it on the PATH?"))?;
    let answer = converse(&mut child, docker_key(registry));
    if answer.is_none() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("how {program} ended is not known: {error}"))?;
    let answer = answer.ok_or_else(|| format!("{program} keeps them and did not answer within {PATIENCE:?}"))?;
    match status.success() {
        true => in_helper_answer(&answer).map(Some).map_err(|error| format!("{program}: {error}")),
        false if String::from_utf8_lossy(&answer).contains(NOTHING) => Ok(None),
        false => Err(format!("{program} get failed, {status}; try `echo {} | {program} get`", docker_key(registry))),
    }
}

/// What the program prints; none when it takes too long.
fn converse(child: &mut Child, registry: &str) -> Option<Vec<u8>> {
    let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    // Whoever ended without reading says so by its exit code.
    let _ = stdin.write_all(registry.as_bytes());
    drop(stdin);
    let (say, heard) = sync_channel(1);
    std::thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.take(ANSWER).read_to_end(&mut answer);
        say.send(read.map(|_| answer))
    });
    heard.recv_timeout(PATIENCE).ok()?.ok()
}
