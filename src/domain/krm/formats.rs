//! The formats that texts of custom resources may be held to.
//!
//! Source: kube-openapi `validation/strfmt`, which says for each what it is; dashes in a format's name do not count.
//! Addresses of mail are held to the plain forms of RFC 5322: no comments, no groups, no folding.

use core::net::Ipv6Addr;
use std::str::FromStr;

use crate::domain::krm::cel::{is_duration, pattern_matches};

/// A format and what fits it.
type Row = (&'static str, fn(&str) -> bool);

const FORMATS: &[Row] = &[
    ("bsonobjectid", |text| text.len() == 24 && is_hex(text)),
    ("byte", |text| {
        pattern_matches("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$", text)
    }),
    ("cidr", is_cidr),
    ("creditcard", is_credit_card),
    ("date", is_date),
    ("datetime", is_date_time),
    ("duration", is_duration),
    ("email", is_email),
    ("hexcolor", |text| pattern_matches("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$", text)),
    ("hostname", is_hostname),
    ("ipv4", |text| text.contains('.') && is_address(text)),
    ("ipv6", |text| Ipv6Addr::from_str(text).is_ok()),
    ("isbn", |text| is_isbn10(text) || is_isbn13(text)),
    ("isbn10", is_isbn10),
    ("isbn13", is_isbn13),
    ("k8slongname", |text| text.len() <= 253 && text.split('.').all(is_label)),
    ("k8sshortname", |text| text.len() <= 63 && is_label(text)),
    ("mac", is_mac),
    ("password", |_| true),
    ("rgbcolor", is_rgb),
    ("ssn", |text| text.len() == 11 && pattern_matches(r"^\d{3}[- ]?\d{2}[- ]?\d{4}$", text)),
    ("uri", is_uri),
    ("uuid", |text| is_uuid(text, "[0-9a-f]{4}", "[0-9a-f]{4}")),
    ("uuid3", |text| is_uuid(text, "3[0-9a-f]{3}", "[0-9a-f]{4}")),
    ("uuid4", |text| is_uuid(text, "4[0-9a-f]{3}", "[89ab][0-9a-f]{3}")),
    ("uuid5", |text| is_uuid(text, "5[0-9a-f]{3}", "[89ab][0-9a-f]{3}")),
];

fn find(format: &str) -> Option<&'static Row> {
    let plain = format.replace('-', "");
    FORMATS.iter().find(|(name, _)| *name == plain)
}

/// Whether the server heeds a format of texts.
#[must_use]
pub fn is_known(format: &str) -> bool {
    find(format).is_some()
}

/// Whether a text fits a format; `None` for a format that nobody heeds.
#[must_use]
pub fn fits(format: &str, text: &str) -> Option<bool> {
    find(format).map(|(_, fits)| fits(text))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_label(text: &str) -> bool {
    pattern_matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", text)
}

fn is_uuid(text: &str, version: &str, variant: &str) -> bool {
    let pattern = format!("(?i)^[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{version}-?{variant}-?[0-9a-f]{{12}}$");
    pattern_matches(&pattern, text)
}

/// Numbers of an IPv4 address may begin with zeros.
fn is_ipv4(text: &str) -> bool {
    let is_byte = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() <= 10 && part.parse::<u64>().is_ok_and(|number| number < 256))
    };
    text.split('.').count() == 4 && text.split('.').all(is_byte)
}

fn is_address(text: &str) -> bool {
    is_ipv4(text) || Ipv6Addr::from_str(text).is_ok()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = if is_ipv4(address) { 32 } else { 128 };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    is_address(address) && is_number && length.parse::<u32>().is_ok_and(|length| length <= most)
}

/// 6, 8 or 20 bytes: by `:` or `-`, or two by two by dots.
fn is_mac(text: &str) -> bool {
    let parted = |by: char, width: usize, counts: [usize; 3]| {
        let parts: Vec<&str> = text.split(by).collect();
        counts.contains(&parts.len()) && parts.iter().all(|part| part.len() == width && is_hex(part))
    };
    parted(':', 2, [6, 8, 20]) || parted('-', 2, [6, 8, 20]) || parted('.', 4, [3, 4, 10])
}

fn is_date(text: &str) -> bool {
    text.is_ascii() && pattern_matches(r"^\d{4}-\d{2}-\d{2}$", text) && jiff::civil::Date::from_str(text).is_ok()
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let form = "^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    let within = |range, most| time.get(range).is_some_and(|part: &str| part <= most);
    is_date(date) && pattern_matches(form, time) && within(0..2, "23") && within(3..5, "59") && within(6..8, "59")
}

/// One label, or several of which the last has letters only. What is a letter or a symbol to Unicode is one here.
fn is_hostname(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let fits = match labels.split_last() {
        Some((last, before)) if !before.is_empty() => {
            pattern_matches(r"^[a-zA-Z\p{L}]{2,}$", last) && before.iter().all(|label| is_host_label(label))
        }
        _ => pattern_matches(r"^[a-zA-Z0-9\p{S}\p{L}]-?[a-zA-Z0-9\p{S}\p{L}]*$", text) && text.chars().count() <= 64,
    };
    fits && text.len() <= 255 && labels.iter().all(|label| label.len() <= 63)
}

fn is_host_label(label: &str) -> bool {
    pattern_matches(r"^[a-zA-Z0-9\p{S}\p{L}]([a-zA-Z0-9\p{S}\p{L}-]*[a-zA-Z0-9\p{S}\p{L}])?$", label)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

fn is_credit_card(text: &str) -> bool {
    let form = r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11})$";
    let plain: String = text.chars().filter(char::is_ascii_digit).collect();
    // Every second digit from the right counts double, and its own digits are summed (Luhn).
    let worth = |(at, digit): (usize, u32)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 };
    let sum: u32 = digits(&plain).into_iter().rev().enumerate().map(worth).sum();
    pattern_matches(form, &plain) && sum.is_multiple_of(10)
}

fn without_gaps(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, '-' | ' ' | '\t' | '\n' | '\r' | '\x0c')).collect()
}

fn is_isbn10(text: &str) -> bool {
    let plain = without_gaps(text);
    let last = if plain.ends_with('X') { 100 } else { 0 };
    let sum: u32 = digits(&plain).into_iter().zip(1..).map(|(digit, weight): (u32, u32)| digit * weight).sum();
    pattern_matches("^(?:[0-9]{9}X|[0-9]{10})$", &plain) && (sum + last).is_multiple_of(11)
}

fn is_isbn13(text: &str) -> bool {
    let plain = without_gaps(text);
    let weighted = digits(&plain).into_iter().zip([1, 3].into_iter().cycle());
    let sum: u32 = weighted.map(|(digit, weight)| digit * weight).sum();
    pattern_matches("^[0-9]{13}$", &plain) && sum.is_multiple_of(10)
}

fn is_rgb(text: &str) -> bool {
    let part = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*";
    pattern_matches(&format!(r"^rgb\({part},{part},{part}\)$"), text)
}

fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, address)) => (name, address),
        None => ("", text),
    };
    let word = r#"([^\x00-\x20\x7f()<>\[\]:;@\\,."]+|"([^"\\]|\\.)*")"#;
    let is_name = name.is_empty() || pattern_matches(&format!(r"^{word}([ \t.]+{word})*[ \t]*$"), name);
    let atom = r#"[^\x00-\x20\x7f()<>\[\]:;@\\,."]+"#;
    let local = format!(r#"({atom}(\.{atom})*|"([^"\\]|\\.)*")"#);
    is_name && pattern_matches(&format!(r"^{local}@({atom}(\.{atom})*|\[[^\[\]\\]+\])$"), address)
}

/// An absolute URI, or an absolute path (Go's `url.ParseRequestURI`).
fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    let (scheme, rest) = match text.split_once(':') {
        Some((scheme, rest)) if pattern_matches("^[A-Za-z][A-Za-z0-9+.-]*$", scheme) => (scheme, rest),
        Some(("", _)) => return false,
        _ => ("", text),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    if text == "*" {
        return true;
    }
    let Some(path) = rest.strip_prefix('/') else { return !scheme.is_empty() };
    match path.strip_prefix('/').filter(|path| !scheme.is_empty() || !path.starts_with('/')) {
        Some(after) => {
            let (authority, path) = after.find('/').map_or((after, ""), |end| after.split_at(end));
            is_authority(authority) && is_escaped(path)
        }
        None => is_escaped(path),
    }
}

fn is_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| rest.len() >= 2 && rest.get(..2).is_some_and(is_hex))
}

fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let (name, port) = match host.rfind(']') {
        Some(end) if host.starts_with('[') => host.split_at(end + 1),
        _ => host.rfind(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let is_port = port.is_empty() || pattern_matches("^:[0-9]*$", port);
    let is_user = is_escaped(user) && pattern_matches("^[A-Za-z0-9._:~!$&'()*+,;=%@-]*$", user);
    let is_host =
        pattern_matches(r#"^[A-Za-z0-9._~!$&'()*+,;=:\[\]<>"%\x{80}-\x{10ffff}-]*$"#, name) && is_escaped(name);
    is_port && is_user && is_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_know_theirs() {
        let table = [
            ("uri", "https://a.b:80/c d?e", "a/b"),
            ("uri", "/a/b", "http://a b/"),
            ("uri", "mailto:x", ":x"),
            ("uri", "http://[::1]:8/%20", "http://a/%zz"),
            ("email", "Ann B <ann@b.c>", "ann"),
            ("email", "a.b@c", "a..b@c"),
            ("hostname", "a.example.org", "-a"),
            ("hostname", "localhost", "a_b"),
            ("ipv4", "10.0.000.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("cidr", "::/0", "::"),
            ("mac", "01-23-45-67-89-ab", "01-23-45:67-89-ab"),
            ("mac", "0123.4567.89ab", "0123.4567"),
            ("uuid", "0E31A4B0-11B2-4a1c-9e0d-000000000000", "0e31"),
            ("uuid4", "0e31a4b0-11b2-4a1c-9e0d-000000000000", "0e31a4b0-11b2-3a1c-9e0d-000000000000"),
            ("byte", "aGk=", "aGk"),
            ("date", "2024-02-29", "2023-02-29"),
            ("date-time", "2024-02-29T10:00:00Z", "2024-02-29T24:00:00Z"),
            ("datetime", "2024-02-29t10:00:00.5+01:00", "2024-02-29 10:00:00Z"),
            ("isbn10", "0321751043", "0321751044"),
            ("isbn13", "978-0321751041", "978-0321751042"),
            ("isbn", "978-0321751041", "1"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("ssn", "111-11-1111", "111111111"),
            ("hexcolor", "#fFf", "#ffff"),
            ("rgbcolor", "rgb( 1, 2,255)", "rgb(1,2,256)"),
            ("bsonobjectid", "507f1f77bcf86cd799439011", "507f"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a-b.c", "A"),
            ("duration", "1h30m", "x"),
        ];
        for (format, good, bad) in table {
            assert_eq!((fits(format, good), fits(format, bad)), (Some(true), Some(false)), "{format} {good} {bad}");
        }
        assert_eq!((fits("password", ""), fits("nonsense", "x")), (Some(true), None));
    }
}
