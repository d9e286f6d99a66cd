//! Scripts whose interpreter is missing: the system says "no such file" of it, as if the script were missing.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::PathBuf;
use std::process::Command;

/// Longest first line of a script that is looked at; systems read about as much.
const LINE: u64 = 256;

/// Why a command did not start, in the system's words or in clearer ones.
pub(super) fn unstarted(command: &Command, error: &Error) -> String {
    if error.kind() == ErrorKind::PermissionDenied {
        return format!("{error}; is it a program, and may it be run (chmod +x)?");
    }
    let missing = (error.kind() == ErrorKind::NotFound).then(|| interpreter(command)).flatten();
    match missing {
        None => format!("{error}; is it there, as seen from where loggia runs?"),
        Some(name) if name.ends_with('\r') => format!(
            "its first line ends with a carriage return, so that its interpreter would be {name:?}; write the lines of \
             the script as Unix does"
        ),
        Some(name) => {
            format!("its first line names the interpreter {name:?}, which is not there; install it, or name another")
        }
    }
}

/// The interpreter that the first line of a script names.
fn interpreter(command: &Command) -> Option<String> {
    let mut line = Vec::new();
    File::open(script(command)?).ok()?.take(LINE).read_to_end(&mut line).ok()?;
    let line = String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned();
    let words = line.split('\n').next()?.trim_start_matches([' ', '\t']);
    words.split([' ', '\t']).next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The file that a program's name leads to.
fn script(command: &Command) -> Option<PathBuf> {
    let here = command.get_current_dir().map(PathBuf::from).unwrap_or_default();
    let name = command.get_program();
    if name.as_encoded_bytes().contains(&b'/') {
        return Some(here.join(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| here.join(folder).join(name)).find(|file| file.is_file())
}
