//! A file that is one list, between programs: below a key of its own, as kpt has it, so that it can say where it
//! belongs.

use serde_json::{Value, json};

use crate::domain::krm::document::{Limits, YamlFile, to_yaml};

/// The key.
const KEY: &str = "bareSeqNodeWrappingKey";

fn value_of(text: &str) -> Option<Value> {
    YamlFile::parse(text.as_bytes(), &Limits::of(text.as_bytes())).ok()?.value(0).ok()
}

/// A list's text below the key.
pub(super) fn wrapped(text: &str, list: &Value) -> String {
    let value = json!({ KEY: list });
    let own = format!("{KEY}:\n{text}");
    if value_of(&own).as_ref() == Some(&value) { own } else { to_yaml(&value) }
}

/// The list's text again; any other text is left as it is.
pub(super) fn unwrapped(text: String) -> String {
    let Some(Value::Object(map)) = value_of(&text).filter(|_| text.contains(KEY)) else { return text };
    let (Some(list @ Value::Array(_)), 1) = (map.get(KEY), map.len()) else { return text };
    let own = text.split_once(&format!("{KEY}:\n")).map(|(above, list)| format!("{above}{list}"));
    own.filter(|own| value_of(own).as_ref() == Some(list)).unwrap_or_else(|| to_yaml(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_back_as_it_was() {
        for text in ["# above\n- a: 1 # one\n- b\n", "- - a\n"] {
            assert_eq!(unwrapped(wrapped(text, &value_of(text).unwrap())), text);
        }
        let flow = "[a, b]\n";
        assert_eq!(unwrapped(wrapped(flow, &value_of(flow).unwrap())), "- a\n- b\n");
        for other in ["a: 1\n", "bareSeqNodeWrappingKey: 1\n", "bareSeqNodeWrappingKey:\n- a\nb: 1\n"] {
            assert_eq!(unwrapped(other.to_owned()), other);
        }
    }
}
