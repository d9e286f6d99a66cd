//! Requests to a git server with credentials that are looked up when they are needed.

use std::cell::Cell;
use std::sync::Arc;

use super::super::send_pack::{Offer, Receiver, unsent};
use super::super::ssh;
use super::RemoteRepository;
use super::meter::Excess;
use crate::domain::credentials::{Door, SignIn};
use crate::domain::host::is_loopback;
use crate::ports::git::GitError;
use crate::ports::sign_in::SignIns;

/// Why a request failed, and whether for want of credentials.
pub(super) struct Failure {
    is_denied: bool,
    /// Whether the same request fails again.
    is_final: bool,
    reason: String,
}

/// What to do about an answer that is none of a git server's.
fn answered(reason: String) -> String {
    let is = |words: &str| reason.contains(words);
    if is("HTTP status 404") {
        reason + "; is there a repository at this URL, and may everybody read it? [git.missing]"
    } else if is("HTTP status 5") || is("HTTP status 429") {
        reason + "; try again later, or ask who runs the server [git.answer]"
    } else if is("git-upload-pack-advertisement") {
        reason + "; is this the URL that `git clone` takes? [git.answer]"
    } else {
        reason
    }
}

impl RemoteRepository {
    /// The same repository with credentials that are looked up when they are needed.
    ///
    /// # Errors
    /// [`GitError::Url`] where they would be sent in clear text, and when the URL holds a user itself.
    pub fn with_sign_ins(self, sign_ins: Arc<dyn SignIns>) -> Result<Self, GitError> {
        let refuse = |reason: &str| GitError::Url { url: self.url.clone(), reason: reason.to_owned() };
        let parsed = reqwest::Url::parse(&self.full).map_err(|_| refuse("it is no URL [git.url_invalid]"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refuse("it holds a user, and a Secret is named too; remove one of them [git.url_credentials]"));
        }
        if parsed.scheme() != "https" && !parsed.host_str().is_some_and(is_loopback) {
            return Err(refuse("credentials are not sent in clear text; use https [git.url_credentials]"));
        }
        Ok(Self { sign_ins: Some(sign_ins), ..self })
    }

    /// Does what needs credentials, when there are some; once more with what is there instead of them by now when that
    /// fails, for who tells why a request is refused and who does not.
    pub(super) fn signed<T>(
        &self,
        act: &'static str,
        run: impl Fn(Option<&SignIn>) -> Result<T, Failure>,
    ) -> Result<T, GitError> {
        let told = |failure: Failure, sign_in: Option<&SignIn>| self.told(act, &failure, sign_in);
        let Some(sign_ins) = &self.sign_ins else { return run(None).map_err(|failure| told(failure, None)) };
        let unknown = |source| GitError::SignIn { url: self.url.clone(), source };
        let sign_in = sign_ins.sign_in(Door::Git).map_err(unknown)?;
        let failure = match run(sign_in.as_ref()) {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let Some(refused) = sign_in else { return Err(told(failure, None)) };
        match sign_ins.instead_of(&refused, Door::Git).map_err(unknown)? {
            Some(other) => run(Some(&other)).map_err(|failure| told(failure, Some(&other))),
            None => Err(told(failure, Some(&refused))),
        }
    }

    fn told(&self, act: &'static str, failure: &Failure, sign_in: Option<&SignIn>) -> GitError {
        if self.ssh.is_some() && !failure.is_final {
            let url = self.url.clone();
            if failure.is_denied {
                return GitError::Denied { url, act, reason: ssh::DENIED.to_owned() };
            }
            return self.failed(act)(ssh::told(&failure.reason));
        }
        let mut reason = self.scrubbed(&failure.reason);
        if let Some(sign_in) = sign_in {
            reason = reason.replace(sign_in.secret(), "***");
        }
        // What has a code is told; an answer with another status is no redirect.
        if !(failure.is_denied || reason.ends_with(']') || reason.contains("HTTP status")) {
            let away = Receiver::new(&self.full, sign_in).ok().and_then(|receiver| receiver.redirection());
            reason.extend(away.map(|away| format!(": {away}")));
        }
        if !failure.is_denied && !reason.ends_with(']') {
            reason = answered(reason);
        }
        if failure.is_final {
            return GitError::Limit { url: self.url.clone(), act, reason };
        }
        if !failure.is_denied {
            return self.failed(act)(reason);
        }
        reason.push_str(match sign_in {
            Some(_) => "; put credentials that are valid there into the Secret, or give them to git's credential helper",
            None => {
                "; name a Secret with credentials in spec.git.secretRef of the Repository, or for `loggia pkg` give them \
                 to git's credential helper"
            }
        });
        GitError::Denied { url: self.url.clone(), act, reason }
    }

    /// The mirror, of which every request carries these credentials.
    pub(super) fn local(&self, sign_in: Option<&SignIn>) -> gix::Result<gix::Repository> {
        let mut repo = self.shared.to_thread_local();
        if let Some(ssh) = &self.ssh {
            return ssh.set(repo);
        }
        if let Some(authorization) = sign_in.and_then(SignIn::authorization) {
            let header = format!("Authorization: {authorization}");
            let mut config = repo.config_snapshot_mut();
            config.set_raw_value("http.extraHeader", header.as_str())?;
            config.commit()?;
        }
        Ok(repo)
    }

    /// Runs a request; whoever is asked for credentials then was let in with none, or with wrong ones.
    pub(super) fn request<T>(run: impl FnOnce(&Cell<bool>) -> gix::Result<T>) -> Result<T, Failure> {
        let asked = Cell::new(false);
        run(&asked).map_err(|error| {
            let reason = unsent(&error);
            let is_final = error.iter_errors().any(<dyn std::error::Error>::is::<Excess>);
            Failure { is_denied: asked.get() || reason.contains("HTTP status 403"), is_final, reason }
        })
    }

    /// Asks what can be pushed.
    pub(super) fn offered(&self, sign_in: Option<&SignIn>) -> Result<(Receiver, Offer), Failure> {
        let failure = |reason: String| {
            let is_denied = ["server answered 401", "server answered 403"].iter().any(|words| reason.contains(words));
            Failure { is_denied, is_final: false, reason }
        };
        let receiver = Receiver::new(&self.full, sign_in).map_err(failure)?;
        let offer = receiver.offer().map_err(failure)?;
        Ok((receiver, offer))
    }
}
