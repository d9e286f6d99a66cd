//! Named formats of texts, in the words of the server's own checks.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation` of Kubernetes v1.36.

use super::url::Url;
use super::{Given, matching, time};
use crate::domain::krm::base64;
use crate::domain::krm::cel::eval::Budget;
use crate::domain::krm::cel::value::Val;

/// A format.
#[derive(Debug)]
pub(in super::super) struct Format {
    name: &'static str,
    /// Length by which its cost is counted.
    weight: usize,
    check: fn(&str) -> Vec<String>,
}

static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", weight: 30, check: label },
    Format { name: "dns1123Subdomain", weight: 60, check: subdomain },
    Format { name: "dns1035Label", weight: 30, check: old_label },
    Format { name: "qualifiedName", weight: 60, check: qualified_name },
    Format { name: "dns1123LabelPrefix", weight: 30, check: |text| label(&unmasked(text)) },
    Format { name: "dns1123SubdomainPrefix", weight: 60, check: |text| subdomain(&unmasked(text)) },
    Format { name: "dns1035LabelPrefix", weight: 30, check: |text| old_label(&unmasked(text)) },
    Format { name: "labelValue", weight: 40, check: label_value },
    Format { name: "uri", weight: 1103, check: |text| Url::parse(text).err().into_iter().collect() },
    Format { name: "uuid", weight: 78, check: |text| told(is_uuid(text), "does not match the UUID format") },
    Format { name: "byte", weight: 84, check: |text| told(is_base64(text), "invalid base64") },
    Format { name: "date", weight: 113, check: |text| told(is_date(text), "invalid date") },
    Format { name: "datetime", weight: 113, check: |text| told(is_time(text), "invalid datetime") },
];

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let find = |name: &str| FORMATS.iter().find(|format| format.name == name);
    Ok(match (name, args) {
        ("format.named", [Val::Text(name)]) => {
            Some(find(name).map_or(Val::Optional(None), |format| Val::some(Val::Format(format))))
        }
        ("validate", [Val::Format(format), Val::Text(text)]) => {
            budget.charge(matching(text, &" ".repeat(format.weight)))?;
            let faults = (format.check)(text);
            let faults: Vec<_> = faults.into_iter().map(Val::text).collect();
            Some(if faults.is_empty() { Val::Optional(None) } else { Val::some(Val::list(faults)) })
        }
        (name, []) => name.strip_prefix("format.").and_then(find).map(Val::Format),
        _ => None,
    })
}

fn told(fits: bool, fault: &str) -> Vec<String> {
    if fits { Vec::new() } else { vec![fault.to_owned()] }
}

fn too_long(text: &str, most: usize) -> Vec<String> {
    told(text.len() <= most, &format!("must be no more than {most} bytes"))
}

/// Lower-case letters and digits, and dashes within.
fn is_label(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(fits)
}

fn label(text: &str) -> Vec<String> {
    let fault = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                 with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let mut found = too_long(text, 63);
    if !is_label(text) {
        let is_subdomain = text.contains('.') && text.split('.').all(is_label);
        found.push(if is_subdomain { "must not contain dots".to_owned() } else { fault.to_owned() });
    }
    found
}

fn subdomain(text: &str) -> Vec<String> {
    let fault = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start \
                 and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    [too_long(text, 253), told(text.split('.').all(is_label), fault)].concat()
}

fn old_label(text: &str) -> Vec<String> {
    let fault = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                 character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation \
                 is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    let fits = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    [too_long(text, 63), told(fits, fault)].concat()
}

/// A prefix may end in a dash: it is checked as if a letter followed.
fn unmasked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(before) if !before.is_empty() => format!("{before}a"),
        _ => text.to_owned(),
    }
}

/// Letters and digits, and `-`, `_`, `.` within.
fn is_name(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    edge(text.bytes().next()) && edge(text.bytes().last()) && text.bytes().all(fits)
}

fn label_value(text: &str) -> Vec<String> {
    let fault = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start \
                 and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
                 validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    [too_long(text, 63), told(text.is_empty() || is_name(text), fault)].concat()
}

fn qualified_name(text: &str) -> Vec<String> {
    const RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                        character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                        '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let parts: Vec<&str> = text.split('/').collect();
    let (mut found, name) = match parts.as_slice() {
        [name] => (Vec::new(), *name),
        ["", name] => (vec!["prefix part must be non-empty".to_owned()], *name),
        [prefix, name] => (subdomain(prefix).iter().map(|fault| format!("prefix part {fault}")).collect(), *name),
        _ => {
            let shown =
                RULE.strip_suffix(')').unwrap_or(RULE).replacen("must consist", "a qualified name must consist", 1);
            return vec![format!("{shown}) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else {
        found.extend(too_long(name, 63).iter().map(|fault| format!("name part {fault}")));
    }
    found.extend(told(is_name(name), &format!("name part {RULE}")));
    found
}

fn is_uuid(text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    let placed = dashes.iter().all(|at| [8, 13, 18, 23, 12, 16, 20].contains(at));
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) && dashes.len() <= 4 && placed
}

fn is_base64(text: &str) -> bool {
    !text.is_empty() && base64::decode(text).is_some()
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn is_time(text: &str) -> bool {
    time::parse(&text.to_uppercase()).is_some()
}
