//! Repositories behind ssh, by the user's own `ssh` program: his keys, his agent, his `~/.ssh/config`, as with git.
//!
//! Source: git(1) for `GIT_SSH_COMMAND` and `GIT_SSH`, git-config(1) for `core.sshCommand`, git-clone(1) for URLs.

use std::process::Command;

use crate::adapters::keeper;
use crate::domain::host::{is_link_local, port_fault, without_credentials, without_port};
use crate::ports::git::GitError;

/// How ssh is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssh {
    /// The setting of gix that says it, and its value; without it, `ssh` on the `PATH`.
    setting: Option<(&'static str, String)>,
}

impl Ssh {
    /// As the user has set it for git: in the environment, else in git's configuration.
    #[must_use]
    pub fn of_user() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let configured = || {
            let mut git = Command::new("git");
            git.args(["config", "--get", "core.sshCommand"]);
            let (status, answer) = keeper::ask(&mut git, "", keeper::PATIENCE).ok()??;
            let command = String::from_utf8(answer).ok().filter(|_| status.success())?.trim().to_owned();
            (!command.is_empty()).then_some(command)
        };
        let setting = variable("GIT_SSH_COMMAND")
            .or_else(|| if variable("GIT_SSH").is_none() { configured() } else { None })
            .map(|command| ("core.sshCommand", command))
            .or_else(|| Some(("gitoxide.ssh.commandWithoutShellFallback", variable("GIT_SSH")?)));
        Self { setting }
    }

    /// A repository in which it is set.
    pub(super) fn set(&self, mut repo: gix::Repository) -> gix::Result<gix::Repository> {
        if let Some((name, value)) = &self.setting {
            let mut config = repo.config_snapshot_mut();
            config.set_raw_value(*name, value.as_str())?;
            config.commit()?;
        }
        Ok(repo)
    }
}

/// Why ssh brought nothing, and what to do; its own words are on the standard error already when there are none here.
pub(super) fn told(reason: &str) -> String {
    if reason.contains("failed to fill whole buffer") {
        return "ssh ended without an answer; is there such a repository, and may it be read? [git.missing]".to_owned();
    }
    let why = reason.rsplit_once("talking to the server: ").map_or(reason, |(_, why)| why);
    if why.contains("Failed to invoke program") {
        return format!("{why}; install ssh, or name the program in GIT_SSH_COMMAND [git.no_ssh]");
    }
    match why.strip_suffix(UNREACHABLE) {
        Some(_) => why.to_owned(),
        None => format!("{why}; see whether `ssh` alone gets there{UNREACHABLE}"),
    }
}

const UNREACHABLE: &str = " [git.unreachable]";

/// What to do when ssh is not let in.
pub(super) const DENIED: &str = "is your key known there, and does ssh offer it? `ssh -v` tells";

/// Refuses what ssh would take for an option, what names no repository, and a password.
pub(super) fn check(url: &str) -> Result<(), GitError> {
    let refuse = |reason: &str| Err(GitError::Url { url: without_credentials(url), reason: reason.to_owned() });
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        None => url.split_once(':').unwrap_or((url, "")),
    };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return refuse("ssh is given no password; it asks for it, or uses a key [git.url_credentials]");
    }
    if let Some(fault) = url.contains("://").then(|| port_fault(host)).flatten() {
        return refuse(&format!("{fault} [git.url_invalid]"));
    }
    let host = without_port(host);
    if host.is_empty() || path.is_empty() {
        return refuse("it names no host or no path; write ssh://USER@HOST/PATH or USER@HOST:PATH [git.url_invalid]");
    }
    if [user, host, path].iter().any(|part| part.starts_with('-')) || url.chars().any(char::is_control) {
        return refuse("a part of it begins with a dash, or it holds a control character [git.url_invalid]");
    }
    if is_link_local(host) {
        return refuse("link-local addresses are those of a machine's own services [net.denied]");
    }
    Ok(())
}
