//! Signatures of commits and tags, by the programs that made them: `git` reads the object and has `ssh-keygen` or `gpg`
//! judge it. Nothing of this machine's settings counts, nor of the repository's: who may sign is told by one file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::local::OBJECT_BYTES;
use crate::adapters::program::{self, Bounds};
use crate::adapters::scratch::Scratch;
use crate::domain::id::CommitId;
use crate::domain::intent::repository::KeyForm;
use crate::ports::git::{GitError, Signatures};

/// Largest file of signers.
const FILE_BYTES: u64 = 1 << 20;
/// What each program may take: git asks ssh-keygen or gpg, and nobody at a terminal. Room for a tag, and for a line more
/// than one shows of what is said against it.
const BOUNDS: Bounds = Bounds { patience: Duration::from_mins(1), bytes: 2 * OBJECT_BYTES };

/// Who may have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signers {
    /// A file of allowed signers, as `ssh-keygen(1)` describes it.
    Ssh(PathBuf),
    /// A file of PGP public keys, armoured.
    OpenPgp(PathBuf),
}

/// Why a version is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signers cannot be read.
    #[error("reading who may sign from {file}: {reason} [git.signature]")]
    Signers {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A program is missing, or fails.
    #[error("checking the signature of {commit}: {program}: {reason}; is it installed? [git.signature]")]
    Program {
        /// Which commit.
        commit: CommitId,
        /// Which program.
        program: &'static str,
        /// Why.
        reason: String,
    },
    /// It is not signed, or by somebody else.
    #[error("{commit} is not signed by anybody in {file}: {reasons} [git.signature]")]
    Untrusted {
        /// Which commit.
        commit: CommitId,
        /// Who may have signed.
        file: String,
        /// What is wrong with the signatures of the commit and of its tag.
        reasons: String,
    },
}

impl Signers {
    /// Reads a file of signers; what it holds tells which kind it is.
    ///
    /// # Errors
    /// [`SignatureError::Signers`].
    pub fn read(file: &Path) -> Result<Self, SignatureError> {
        let wrong = |reason: String| SignatureError::Signers { file: file.display().to_string(), reason };
        let path = file.canonicalize().map_err(|error| wrong(error.to_string()))?;
        let size = std::fs::metadata(&path).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES {
            return Err(wrong(format!("it has {size} bytes; the limit is {FILE_BYTES}")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        match KeyForm::of(&text) {
            Some(KeyForm::OpenPgp) => Ok(Self::OpenPgp(path)),
            Some(KeyForm::Ssh) => Ok(Self::Ssh(path)),
            _ => Err(wrong("it holds neither an armoured OpenPGP key nor lines of allowed signers of ssh".to_owned())),
        }
    }

    fn file(&self) -> &Path {
        match self {
            Self::Ssh(file) | Self::OpenPgp(file) => file,
        }
    }

    /// Checks that a commit is signed, or the annotated tag that led to it.
    ///
    /// *Flow*: the commit's own signature decides; where it has none that counts, that of the tag `name`, whose object
    /// has to bear this name and to lead to this commit.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, directory: &Path, commit: &CommitId, name: &str) -> Result<(), SignatureError> {
        let failed = |reason| SignatureError::Program { commit: commit.clone(), program: "git", reason };
        let check =
            Check { signers: self, directory, commit, home: home().map_err(|error| failed(error.to_string()))? };
        check.import()?;
        let about_commit = match check.fits(commit.as_str())? {
            Ok(()) => check.git(&["verify-commit", commit.as_str()])?.map(drop),
            Err(reason) => Err(format!("it {reason}")),
        };
        let Err(about_commit) = about_commit else { return Ok(()) };
        let reasons = match check.tag(name)? {
            Ok(()) => return Ok(()),
            Err(about_tag) => format!("the commit: {about_commit}; {about_tag}"),
        };
        let file = self.file().display().to_string();
        Err(SignatureError::Untrusted { commit: commit.clone(), file, reasons })
    }
}

/// Most commits that are remembered as signed.
const REMEMBERED: usize = 10_000;

/// The keys that count for one repository, and what is known to be signed with them.
pub struct TrustedKeys {
    url: String,
    directory: PathBuf,
    /// Files of one form each.
    signers: Vec<Signers>,
    /// Where the files are.
    _home: Scratch,
    signed: Mutex<BTreeSet<(CommitId, String)>>,
}

impl TrustedKeys {
    /// Takes the keys of a Repository for what is read from `directory`, a bare repository or a checkout; `url` is its
    /// name for people.
    ///
    /// # Errors
    /// [`GitError::Io`] when the keys cannot be written for the programs that use them.
    pub fn new(url: &str, directory: &Path, keys: &[String]) -> Result<Self, GitError> {
        let failed =
            |reason: String| GitError::Io { url: url.to_owned(), act: "preparing to check signatures", reason };
        let home = home().map_err(|error| failed(error.to_string()))?;
        let inner = directory.join(".git");
        let directory = if inner.is_dir() { inner } else { directory.to_owned() };
        let mut signers = Vec::new();
        for (form, file) in [(KeyForm::Ssh, "allowed_signers"), (KeyForm::OpenPgp, "keys.asc")] {
            let texts: Vec<String> =
                keys.iter().filter(|key| KeyForm::of(key) == Some(form)).flat_map(|key| lines(key, form)).collect();
            if !texts.is_empty() {
                let path = home.path().join(file);
                std::fs::write(&path, texts.join("\n") + "\n").map_err(|error| failed(error.to_string()))?;
                signers.push(Signers::read(&path).map_err(|error| failed(error.to_string()))?);
            }
        }
        Ok(Self { url: url.to_owned(), directory, signers, _home: home, signed: Mutex::default() })
    }
}

/// A key as its file holds it. A plain public key of ssh may sign as anybody, in git only.
fn lines(key: &str, form: KeyForm) -> Vec<String> {
    let begins = |line: &str| ["ssh-", "sk-", "ecdsa-"].iter().any(|kind| line.starts_with(kind));
    let line = |line: &str| match form {
        KeyForm::Ssh if begins(line) => format!("* namespaces=\"git\" {line}"),
        _ => line.to_owned(),
    };
    key.lines().map(line).collect()
}

impl Signatures for TrustedKeys {
    fn check(&self, commit: &CommitId, name: &str) -> Result<(), GitError> {
        let key = (commit.clone(), name.to_owned());
        if self.signed.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return Ok(());
        }
        let mut reasons = Vec::new();
        for signers in &self.signers {
            match signers.verify(&self.directory, commit, name) {
                Ok(()) => {
                    let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
                    if signed.len() >= REMEMBERED {
                        signed.clear();
                    }
                    signed.insert(key);
                    return Ok(());
                }
                Err(SignatureError::Untrusted { reasons: said, .. }) => reasons.push(said),
                Err(error) => {
                    let (url, reason) = (self.url.clone(), error.to_string());
                    return Err(GitError::Io { url, act: "checking a signature", reason });
                }
            }
        }
        let id = format!("{name} at {}", commit.short());
        Err(GitError::Unsigned { url: self.url.clone(), id, reason: reasons.join("; ") })
    }
}

/// One commit that is checked.
struct Check<'a> {
    signers: &'a Signers,
    directory: &'a Path,
    commit: &'a CommitId,
    home: Scratch,
}

impl Check<'_> {
    fn failed(&self, program: &'static str, reason: &(impl ToString + ?Sized)) -> SignatureError {
        SignatureError::Program { commit: self.commit.clone(), program, reason: reason.to_string() }
    }

    fn run(&self, name: &'static str, arguments: &[&str]) -> Result<Output, SignatureError> {
        let mut command = Command::new(name);
        let home = self.home.path();
        command.args(arguments).env_clear().current_dir(home).stderr(Stdio::piped());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).env("GNUPGHOME", home).env("LC_ALL", "C");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        let said = program::ask_apart(&mut command, "", BOUNDS).map_err(|error| self.failed(name, &error))?;
        said.ok_or_else(|| self.failed(name, &format!("it did not end within {:?}", BOUNDS.patience)))
    }

    /// Keys go to a ring that holds no others.
    fn import(&self) -> Result<(), SignatureError> {
        let Signers::OpenPgp(file) = self.signers else { return Ok(()) };
        let done = self.run("gpg", &["--batch", "--no-autostart", "--import", "--", &file.to_string_lossy()])?;
        if done.status.success() { Ok(()) } else { Err(self.failed("gpg", &line(&done.stderr))) }
    }

    /// Runs git on the repository; the inner error is what it says against the signature.
    fn git(&self, arguments: &[&str]) -> Result<Result<Vec<u8>, String>, SignatureError> {
        let allowed = match self.signers {
            Signers::Ssh(file) => file.display().to_string(),
            Signers::OpenPgp(_) => "/dev/null".to_owned(),
        };
        // A repository's own settings could name programs and signers of its own.
        let settings = [
            "safe.directory=*",
            "gpg.program=gpg",
            "gpg.openpgp.program=gpg",
            "gpg.ssh.program=ssh-keygen",
            "gpg.x509.program=false",
            "gpg.minTrustLevel=undefined",
            &format!("gpg.ssh.allowedSignersFile={allowed}"),
        ];
        let directory = self.directory.to_string_lossy();
        let mut all = vec!["--no-replace-objects", "--git-dir", &directory];
        all.extend(settings.iter().flat_map(|setting| ["-c", setting]));
        all.extend(arguments);
        let done = self.run("git", &all)?;
        Ok(if done.status.success() { Ok(done.stdout) } else { Err(line(&done.stderr)) })
    }

    /// Looks at the tag's object: the reference may move to another one at any time, so it is resolved once.
    fn tag(&self, name: &str) -> Result<Result<(), String>, SignatureError> {
        let Ok(object) = self.git(&["rev-parse", "--verify", &format!("refs/tags/{name}^{{tag}}")])? else {
            return Ok(Err(format!("{name} is no annotated tag")));
        };
        let object = text(&object);
        if let Err(reason) = self.fits(&object)? {
            return Ok(Err(format!("the tag {name} {reason}")));
        }
        let Ok(content) = self.git(&["cat-file", "tag", &object])? else {
            return Ok(Err(format!("{name} is no annotated tag")));
        };
        let content = String::from_utf8_lossy(&content);
        if !content.lines().take_while(|line| !line.is_empty()).any(|line| line.strip_prefix("tag ") == Some(name)) {
            return Ok(Err(format!("the tag {name} was signed under another name")));
        }
        let leads = self.git(&["rev-parse", "--verify", &format!("{object}^{{commit}}")])?;
        if !leads.is_ok_and(|id| text(&id) == self.commit.as_str()) {
            return Ok(Err(format!("the tag {name} leads elsewhere by now")));
        }
        let verdict = self.git(&["verify-tag", &object])?;
        Ok(verdict.map(drop).map_err(|reason| format!("the tag {name}: {reason}")))
    }

    /// Whether an object is small enough to be read; else why not.
    fn fits(&self, object: &str) -> Result<Result<(), String>, SignatureError> {
        Ok(match self.git(&["cat-file", "-s", object])? {
            Ok(size) => match text(&size).parse::<u64>() {
                Ok(size) if size <= OBJECT_BYTES => Ok(()),
                _ => Err(format!("has {} bytes; the limit is {OBJECT_BYTES}", text(&size))),
            },
            Err(reason) => Err(format!("cannot be read: {reason}")),
        })
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// An empty home for programs.
fn home() -> std::io::Result<Scratch> {
    Scratch::new(&std::env::temp_dir(), "loggia-signature-")
}

/// What a program said, in one line.
fn line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
    if lines.is_empty() { "it has no signature".to_owned() } else { lines.join(", ") }
}
