//! The pushing half of git's smart HTTP protocol: one request that lists the refs, one that moves them.
//!
//! Sources: git's `gitprotocol-http`, `gitprotocol-pack` (reference update request, report status) and
//! `gitprotocol-capabilities`. Neither gix (no push) nor libgit2 (no `atomic`, no TLS without OpenSSL, no deadline)
//! does this.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::time::Duration;

use gix::ObjectId;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};

use crate::adapters::reach::unanswered;
use crate::domain::credentials::SignIn;

/// How long an answer is awaited, and each read of it; a server runs its hooks in that time.
const PATIENCE: Duration = Duration::from_mins(2);

/// Largest answer that is read; a ref takes some hundred bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// One ref to move. The null id stands for "does not exist".
pub(super) struct Command {
    pub(super) name: String,
    pub(super) old: ObjectId,
    pub(super) new: ObjectId,
}

/// What the remote has and can do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Refs with their own ids: that of the tag for an annotated tag.
    pub(super) refs: BTreeMap<String, ObjectId>,
    /// Such as `atomic`.
    pub(super) capabilities: BTreeSet<String>,
}

/// The remote's `git-receive-pack` service.
pub(super) struct Receiver {
    client: reqwest::blocking::Client,
    base: String,
}

impl Receiver {
    /// The service of the repository at `url`, whose user and password are sent as HTTP basic authentication; or the
    /// credentials that are given.
    pub(super) fn new(url: &str, sign_in: Option<&SignIn>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Some(authorization) = sign_in.and_then(SignIn::authorization) {
            let value = HeaderValue::from_str(&authorization);
            let mut value = value.map_err(|_| "the credentials fit into no header".to_owned())?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = reqwest::blocking::Client::builder()
            .user_agent("git/loggia")
            .default_headers(headers)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| said(&error))?;
        Ok(Self { client, base: url.trim_end_matches('/').to_owned() })
    }

    /// Lists refs and capabilities.
    pub(super) fn offer(&self) -> Result<Offer, String> {
        let url = format!("{}/info/refs?service=git-receive-pack", self.base);
        let answer = self.client.get(url).send().map_err(|error| unsent(&error.without_url()))?;
        parse_offer(&read(answer, "application/x-git-receive-pack-advertisement")?)
    }

    /// Where who asks for refs is sent instead, if anywhere.
    pub(super) fn redirection(&self) -> Option<String> {
        let url = format!("{}/info/refs?service=git-upload-pack", self.base);
        redirection(&self.client.get(url).send().ok()?)
    }

    /// Sends the commands, all to be done or none; gives what was refused as `ref: reason`.
    pub(super) fn send(&self, commands: &[Command], offer: &Offer, pack: &[u8]) -> Result<Vec<String>, String> {
        let mut body = request(commands, offer)?;
        body.extend_from_slice(pack);
        let answer = self
            .client
            .post(format!("{}/git-receive-pack", self.base))
            .header("content-type", "application/x-git-receive-pack-request")
            .header("accept", "application/x-git-receive-pack-result")
            .body(body)
            .send()
            .map_err(|error| unsent(&error.without_url()))?;
        parse_report(&read(answer, "application/x-git-receive-pack-result")?)
    }
}

fn request(commands: &[Command], offer: &Offer) -> Result<Vec<u8>, String> {
    let atomic = commands.len() > 1;
    if atomic && !offer.capabilities.contains("atomic") {
        return Err("the server cannot move several refs as one; push them to a server that offers `atomic`".to_owned());
    }
    let mut text = String::new();
    for (index, Command { name, old, new }) in commands.iter().enumerate() {
        let mut line = format!("{old} {new} {name}");
        if index == 0 {
            line.push_str("\0 report-status agent=git/loggia");
            line.push_str(if atomic { " atomic" } else { "" });
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{:04x}{line}", line.len() + 4);
    }
    text.push_str("0000");
    Ok(text.into_bytes())
}

/// Where an answer leads instead of being one.
fn redirection(answer: &reqwest::blocking::Response) -> Option<String> {
    let to = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection())?;
    let to = answer.url().join(to.to_str().ok()?).ok()?;
    let host = |url: &reqwest::Url| url.host_str().unwrap_or("no host").to_owned();
    Some(format!(
        "it is redirected from {} to {}; this is followed by http(s) only, and neither by credentials nor by what is \
         pushed: name the address where it is now [net.redirect_denied]",
        host(answer.url()),
        host(&to)
    ))
}

fn read(answer: reqwest::blocking::Response, expected: &str) -> Result<Vec<u8>, String> {
    if let Some(away) = redirection(&answer) {
        return Err(away);
    }
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("the server answered {status}; check that the user may push there"));
    }
    let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    if kind != expected {
        return Err(format!("the server answered {kind:?} instead of {expected}: it is no smart git server"));
    }
    let mut bytes = Vec::new();
    answer.take(MAX_ANSWER + 1).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    if bytes.len() as u64 > MAX_ANSWER {
        return Err(format!("the answer is larger than {MAX_ANSWER} bytes"));
    }
    Ok(bytes)
}

/// Splits pkt-lines, without their final line feed; `None` is a flush.
fn pkt_lines(mut bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, String> {
    let cut = || "the answer is cut off or is not made of pkt-lines".to_owned();
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let digits = bytes.get(..4).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(cut)?;
        match usize::from_str_radix(digits, 16).map_err(|_| cut())? {
            0 => {
                lines.push(None);
                bytes = &bytes[4..];
            }
            length => {
                let line = bytes.get(4..length).ok_or_else(cut)?;
                lines.push(Some(line.strip_suffix(b"\n").unwrap_or(line)));
                bytes = &bytes[length..];
            }
        }
    }
    Ok(lines)
}

fn parse_offer(bytes: &[u8]) -> Result<Offer, String> {
    let mut offer = Offer { refs: BTreeMap::new(), capabilities: BTreeSet::new() };
    for line in pkt_lines(bytes)?.into_iter().flatten().filter(|line| !line.starts_with(b"# service=")) {
        let text = String::from_utf8_lossy(line);
        if let Some(reason) = text.strip_prefix("ERR ") {
            return Err(format!("the server says: {reason}"));
        }
        let (entry, capabilities) = text.split_once('\0').unwrap_or((&text, ""));
        offer.capabilities.extend(capabilities.split_whitespace().map(str::to_owned));
        let (id, name) = entry.split_once(' ').ok_or_else(|| format!("{entry:?} is no line of an advertisement"))?;
        // Where the history of a shallow repository ends; no reference.
        if id == "shallow" {
            continue;
        }
        let id = ObjectId::from_hex(id.as_bytes()).map_err(|error| format!("{entry:?}: {error}"))?;
        // An empty repository offers its capabilities on a line of its own.
        if !id.is_null() {
            offer.refs.insert(name.to_owned(), id);
        }
    }
    Ok(offer)
}

fn parse_report(bytes: &[u8]) -> Result<Vec<String>, String> {
    let lines = pkt_lines(bytes)?;
    let mut texts = lines.into_iter().flatten().map(String::from_utf8_lossy);
    match texts.next().as_deref() {
        Some("unpack ok") => {}
        Some(other) => return Err(format!("the server could not take the objects: {other}")),
        None => return Err("the server did not say whether it moved the refs; look at them".to_owned()),
    }
    Ok(texts.filter_map(|text| Some(text.strip_prefix("ng ")?.replacen(' ', ": ", 1))).collect())
}

/// Why a request has no answer, with a code when it is known what to do.
pub(super) fn unsent(error: &(dyn std::error::Error + 'static)) -> String {
    unanswered(error).map_or_else(|| said(error), |why| format!("{why} [git.unreachable]"))
}

/// An error with its causes, which alone say what went wrong on the wire.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pkt(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    #[test]
    fn an_advertisement_is_read() {
        let id = "a".repeat(40);
        let text = [
            pkt("# service=git-receive-pack\n"),
            "0000".into(),
            pkt(&format!("{id} refs/heads/main\0report-status atomic agent=git/2\n")),
            pkt(&format!("{id} refs/tags/v1\n")),
            pkt(&format!("shallow {id}\n")),
            "0000".into(),
        ]
        .concat();
        let offer = parse_offer(text.as_bytes()).unwrap();
        assert_eq!(offer.refs.keys().collect::<Vec<_>>(), ["refs/heads/main", "refs/tags/v1"]);
        assert!(offer.capabilities.contains("atomic"));
        let empty = pkt(&format!("{} capabilities^{{}}\0atomic", "0".repeat(40)));
        assert_eq!(parse_offer(empty.as_bytes()).unwrap().refs.len(), 0);
        let error = parse_offer(pkt("ERR not today\n").as_bytes()).unwrap_err();
        assert_eq!(error, "the server says: not today");
    }

    #[test]
    fn a_report_is_read() {
        let text =
            [pkt("unpack ok\n"), pkt("ok refs/heads/a\n"), pkt("ng refs/heads/b hook declined\n"), "0000".into()];
        assert_eq!(parse_report(text.concat().as_bytes()).unwrap(), ["refs/heads/b: hook declined"]);
        assert!(parse_report(pkt("unpack index-pack failed\n").as_bytes()).unwrap_err().contains("index-pack failed"));
        assert!(parse_report(b"").is_err(), "silence is no success");
    }

    #[test]
    fn several_refs_need_a_server_that_moves_them_as_one() {
        let null = ObjectId::null(gix::hash::Kind::Sha1);
        let command = |name: &str| Command { name: name.into(), old: null, new: null };
        let plain = Offer { refs: BTreeMap::new(), capabilities: BTreeSet::new() };
        assert!(request(&[command("refs/heads/a")], &plain).is_ok());
        assert!(request(&[command("refs/heads/a"), command("refs/heads/b")], &plain).unwrap_err().contains("atomic"));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_parsers(bytes in any::<Vec<u8>>(), lines in proptest::collection::vec(".{0,60}", 0..5)) {
            let _ = (parse_offer(&bytes), parse_report(&bytes));
            let text: String = lines.iter().map(|line| pkt(line)).collect();
            let _ = (parse_offer(text.as_bytes()), parse_report(text.as_bytes()));
        }
    }
}
