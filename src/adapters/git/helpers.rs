//! A user's credentials for a git server, by git's own configuration: `git credential` asks the programs that
//! `credential.helper` names.
//!
//! Source: git-credential(1). Nobody is asked on the terminal.

use std::process::Command;

use crate::adapters::keeper;
use crate::domain::credentials::{Door, SignIn};
use crate::domain::host::without_credentials;
use crate::ports::sign_in::{SignInError, SignIns};

/// What git knows for one URL. Without git, or without a helper that knows the server, that is nothing.
#[derive(Debug, Clone)]
pub struct Helpers {
    url: String,
}

impl Helpers {
    /// For a repository behind http(s); nothing is asked yet.
    #[must_use]
    pub fn of(url: &str) -> Self {
        Self { url: without_credentials(url) }
    }

    /// Runs `git credential`, and gives what it prints when it succeeds.
    fn ask(&self, verb: &str, more: &str) -> Option<String> {
        let mut git = Command::new("git");
        git.args(["credential", verb]).env("GIT_TERMINAL_PROMPT", "0");
        let question = format!("url={}\n{more}\n", self.url);
        let (status, answer) = keeper::ask(&mut git, &question, keeper::PATIENCE).ok()??;
        String::from_utf8(answer).ok().filter(|_| status.success())
    }
}

impl SignIns for Helpers {
    fn sign_in(&self, _: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        Ok(self.ask("fill", "").and_then(|answer| in_answer(&answer)))
    }

    /// Tells git that they were refused, so that its helpers forget them; there are no others.
    fn instead_of(&self, refused: &SignIn, _: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        if let SignIn::Password { user, password } = refused {
            self.ask("reject", &format!("username={user}\npassword={password}\n"));
        }
        Ok(None)
    }
}

/// User and password in lines of `key=value`.
fn in_answer(answer: &str) -> Option<SignIn> {
    let value = |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    Some(SignIn::Password { user: value("username")?.to_owned(), password: value("password")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_user_and_a_password() {
        let answer = "protocol=https\nhost=h\nusername=u\npassword=p=w\n";
        assert_eq!(in_answer(answer).unwrap().authorization().unwrap(), "Basic dTpwPXc=");
        assert!(in_answer("username=u\n").is_none() && in_answer("").is_none());
    }
}
