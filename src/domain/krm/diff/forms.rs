//! The forms in which a secret shows inside of other texts.

use std::collections::BTreeSet;

use crate::domain::hex::hex;
use crate::domain::krm::base64;

/// Shortest secret that is looked for inside other texts; shorter ones are masked only where they are stored.
const FINDABLE: usize = 4;
/// Shortest line of a secret of several lines that is looked for by itself; shorter ones are words of any file.
const FINDABLE_LINE: usize = 6;
/// Shortest part of a longer text in base64 that is taken for the secret.
const FINDABLE_PART: usize = 6;

/// The forms of a secret that is stored as `value` and means `plain`.
pub(super) fn of(value: &str, plain: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(plain).unwrap_or_default();
    let encoded = base64::encode(plain);
    let lines = text.lines().map(str::trim).filter(|line| line.len() >= FINDABLE_LINE).map(str::to_owned);
    let whole = [value, text, text.trim(), &encoded].map(str::to_owned);
    let whole = whole.into_iter().filter(|form| form.len() >= FINDABLE);
    let elsewhere = [encoded.trim_end_matches('=').to_owned(), for_url(plain), hex(plain)];
    let elsewhere = elsewhere.into_iter().filter(|_| plain.len() >= FINDABLE);
    let parts = (0..3).map(|before| within(plain, before)).filter(|form| form.len() >= FINDABLE_PART);
    lines.chain(whole).chain(elsewhere).chain(parts).collect()
}

/// The base64 of a longer text in which `before` bytes (of three) stand in front of the secret: as much of it as
/// depends on the secret alone.
fn within(plain: &[u8], before: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(plain.iter().copied()).collect();
    let encoded = base64::encode(&bytes);
    let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(start..end).unwrap_or_default().to_owned()
}

/// As it is written inside of a URL (RFC 3986 section 2.1).
fn for_url(plain: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    plain.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::diff::Mask;
    use serde_json::json;

    #[test]
    fn no_form_of_a_secret_shows_elsewhere() {
        let secret = "p@ss Word/55";
        let applied = json!({"apiVersion": "v1", "kind": "Secret", "stringData": {"old": "Older?one"}}).to_string();
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": {"a": secret},
            "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}
        });
        let mut mask = Mask::opaque();
        mask.learn(&object);
        let within = |user: &str| base64::encode(format!("{user}:{secret}").as_bytes());
        let shown = [
            secret.to_owned(),
            base64::encode(secret.as_bytes()),
            base64::encode(secret.as_bytes()).trim_end_matches('=').to_owned(),
            within("u"),
            within("us"),
            within("use"),
            "https://u:p%40ss%20Word%2F55@h/".to_owned(),
            hex(secret.as_bytes()),
            "Older?one".to_owned(),
            base64::encode(b"Older?one"),
        ];
        for text in shown {
            let masked = mask.text(&format!("x {text} y"));
            let longest = |part: &str| masked.contains(part);
            assert!(masked.contains("(hidden)"), "{text}: {masked}");
            assert!(!longest(&text[text.len() / 2 - 3..text.len() / 2 + 3]), "{text}: {masked}");
        }
        let harmless = "x a word and another y";
        assert_eq!(mask.text(harmless), harmless);
    }
}
