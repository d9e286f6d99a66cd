//! Values as text: `str`, `repr`, `%` and `format`.

use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::value::{MAX_NESTING, Value, too_deep, whole};

impl Machine<'_> {
    /// A value as it is printed: a text is itself.
    pub(super) fn string(&self, value: &Value) -> Outcome<String> {
        match value {
            Value::Text(text) => {
                self.heap.charge(text.len())?;
                Ok(text.to_string())
            }
            other => self.repr(other),
        }
    }

    /// A value as it is written in a program.
    pub(super) fn repr(&self, value: &Value) -> Outcome<String> {
        let mut text = String::new();
        self.write(value, &mut text, 0)?;
        Ok(text)
    }

    fn add(&self, text: &mut String, more: &str) -> Outcome<()> {
        self.heap.charge(more.len())?;
        text.push_str(more);
        Ok(())
    }

    fn write(&self, value: &Value, text: &mut String, depth: usize) -> Outcome<()> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        self.heap.step(1)?;
        match value {
            Value::None => self.add(text, "None"),
            Value::Bool(true) => self.add(text, "True"),
            Value::Bool(false) => self.add(text, "False"),
            Value::Int(number) => self.add(text, &number.to_string()),
            Value::Float(number) => self.add(text, &general(*number)),
            Value::Text(inner) => {
                self.heap.step(inner.len() / 64)?;
                self.heap.charge(inner.len())?;
                self.add(text, &quoted(inner))
            }
            Value::List(_) => self.write_all(value, text, ("[", "]"), depth),
            Value::Tuple(number) => {
                let end = if self.heap.tuples[*number].len() == 1 { ",)" } else { ")" };
                self.write_all(value, text, ("(", end), depth)
            }
            Value::Dict(number) => self.write_dict(*number, text, depth),
            Value::Set(number) => {
                self.add(text, "set([")?;
                for (at, (name, _)) in self.heap.dict_at(*number).entries().enumerate() {
                    self.add(text, if at > 0 { ", " } else { "" })?;
                    self.write(name, text, depth + 1)?;
                }
                self.add(text, "])")
            }
            Value::Range(range) => {
                let (start, stop) = (range.start, range.stop);
                self.add(
                    text,
                    &match (start, range.step) {
                        (0, 1) => format!("range({stop})"),
                        (_, 1) => format!("range({start}, {stop})"),
                        (_, step) => format!("range({start}, {stop}, {step})"),
                    },
                )
            }
            Value::Function(number) => {
                self.add(text, &format!("<function {}>", self.heap.closures[*number].function.name))
            }
            Value::Builtin(name) | Value::Member(_, name) => self.add(text, &format!("<built-in function {name}>")),
            Value::Method(method) => {
                let (value, name) = &**method;
                self.add(text, &format!("<built-in method {name} of {} value>", value.kind()))
            }
            Value::Module(module) => self.add(text, &format!("<module \"{}\">", module.name)),
        }
    }

    fn write_all(&self, value: &Value, text: &mut String, (open, close): (&str, &str), depth: usize) -> Outcome<()> {
        self.add(text, open)?;
        for (at, item) in self.heap.elements(value).unwrap_or_default().iter().enumerate() {
            self.add(text, if at > 0 { ", " } else { "" })?;
            self.write(item, text, depth + 1)?;
        }
        self.add(text, close)
    }

    fn write_dict(&self, number: usize, text: &mut String, depth: usize) -> Outcome<()> {
        self.add(text, "{")?;
        for (at, (name, value)) in self.heap.dict_at(number).entries().enumerate() {
            self.add(text, if at > 0 { ", " } else { "" })?;
            self.write(name, text, depth + 1)?;
            self.add(text, ": ")?;
            self.write(value, text, depth + 1)?;
        }
        self.add(text, "}")
    }

    /// `"..." % values`.
    pub(super) fn percent(&self, format: &Value, values: &Value) -> Outcome<Value> {
        let Value::Text(format) = format else { return Ok(Value::None) };
        let mut given = match values {
            Value::Tuple(_) => self.heap.elements(values).unwrap_or_default().iter(),
            other => std::slice::from_ref(other).iter(),
        };
        let by_name = matches!(values, Value::Dict(_));
        let mut text = String::new();
        let mut rest: &str = format;
        let mut used = false;
        while let Some((before, after)) = rest.split_once('%') {
            self.add(&mut text, before)?;
            self.heap.step(1 + before.len() / 64)?;
            if let Some(more) = after.strip_prefix('%') {
                text.push('%');
                rest = more;
                continue;
            }
            let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
            let (value, after) = if let Some((name, after)) = named {
                used = true;
                (self.index(values, &Value::Text(name.into()))?, after)
            } else {
                let value = given.next().ok_or_else(|| Fault::new("there are fewer values than % in the format"))?;
                (value.clone(), after)
            };
            let mut letters = after.chars();
            let letter = letters.next().ok_or_else(|| Fault::new("the format ends behind %"))?;
            self.directive(&mut text, letter, &value)?;
            rest = letters.as_str();
        }
        self.add(&mut text, rest)?;
        if given.next().is_some() && !(by_name && (used || !format.contains('%'))) {
            return Err(Fault::new("there are more values than % in the format"));
        }
        self.heap.text(text)
    }

    fn directive(&self, text: &mut String, letter: char, value: &Value) -> Outcome<()> {
        let wrong = || Fault::new(format!("%{letter} takes no {}", value.kind()));
        let number = match value {
            Value::Int(number) => Some(*number),
            Value::Float(number) => whole(number.trunc()),
            _ => None,
        };
        let point = match value {
            Value::Int(number) => Some(super::ops::float(*number)),
            Value::Float(number) => Some(*number),
            _ => None,
        };
        let sign = |number: i128| if number < 0 { "-" } else { "" };
        let more = match letter {
            's' => self.string(value)?,
            'r' => self.repr(value)?,
            'd' | 'i' => number.ok_or_else(wrong)?.to_string(),
            'x' => number.map(|n| format!("{}{:x}", sign(n), n.unsigned_abs())).ok_or_else(wrong)?,
            'X' => number.map(|n| format!("{}{:X}", sign(n), n.unsigned_abs())).ok_or_else(wrong)?,
            'o' => number.map(|n| format!("{}{:o}", sign(n), n.unsigned_abs())).ok_or_else(wrong)?,
            'e' | 'E' => point.map(|point| exponent(&format!("{point:.6e}"))).ok_or_else(wrong)?,
            'f' | 'F' => point.map(|point| format!("{point:.6}")).ok_or_else(wrong)?,
            'g' | 'G' => point.map(general).ok_or_else(wrong)?,
            'c' => match value {
                Value::Text(one) if one.chars().count() == 1 => one.to_string(),
                Value::Int(code) => {
                    let found = u32::try_from(*code).ok().and_then(char::from_u32);
                    found.ok_or_else(|| Fault::new(format!("{code} is no character")))?.to_string()
                }
                _ => return Err(wrong()),
            },
            other => return Err(Fault::new(format!("%{other} is no format"))),
        };
        let more = if letter.is_ascii_uppercase() { more.to_uppercase() } else { more };
        self.add(text, &more)
    }

    /// `"...".format(...)`.
    pub(super) fn format(&self, format: &str, given: &super::call::Given) -> Outcome<Value> {
        let mut text = String::new();
        let mut next = 0;
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            self.add(&mut text, &rest[..at])?;
            self.heap.step(1 + at / 64)?;
            let (brace, after) = rest[at..].split_at(1);
            if let Some(more) = after.strip_prefix(brace) {
                text.push_str(brace);
                rest = more;
                continue;
            }
            let Some((field, more)) = after.split_once('}').filter(|_| brace == "{") else {
                return Err(Fault::new(format!(
                    "a {brace} in the format has no partner; write {brace}{brace} for itself"
                )));
            };
            self.field(&mut text, field, given, &mut next)?;
            rest = more;
        }
        self.add(&mut text, rest)?;
        self.heap.text(text)
    }

    fn field(&self, text: &mut String, field: &str, given: &super::call::Given, next: &mut usize) -> Outcome<()> {
        if field.contains([':', '.', '[', ',']) {
            return Err(Fault::new(format!(
                "{{{field}}} is no field of a format; there are names, numbers, !r and !s"
            )));
        }
        let (name, conversion) = field.split_once('!').unwrap_or((field, "s"));
        let value = if name.is_empty() {
            *next += 1;
            given.plain.get(*next - 1)
        } else if let Ok(at) = name.parse::<usize>() {
            given.plain.get(at)
        } else {
            given.named.iter().find(|(other, _)| **other == *name).map(|(_, value)| value)
        };
        let value = value.ok_or_else(|| Fault::new(format!("there is no value for {{{field}}}")))?;
        let more = match conversion {
            "s" => self.string(value)?,
            "r" => self.repr(value)?,
            other => return Err(Fault::new(format!("!{other} is no conversion; there are !s and !r"))),
        };
        self.add(text, &more)
    }
}

/// A number with a point, as short as tells it from all others, with an exponent from a million on.
pub(super) fn general(number: f64) -> String {
    if !number.is_finite() {
        let text = if number > 0.0 { "+inf" } else { "-inf" };
        return if number.is_nan() { "nan" } else { text }.to_owned();
    }
    let short = format!("{number:e}");
    let power: i32 = short.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or_default();
    if !(-4..6).contains(&power) {
        return exponent(&short);
    }
    let text = number.to_string();
    if text.contains('.') { text } else { format!("{text}.0") }
}

/// An exponent with a sign and at least two digits.
fn exponent(text: &str) -> String {
    let Some((digits, power)) = text.split_once('e') else { return text.to_owned() };
    let (sign, power) = power.strip_prefix('-').map_or(('+', power), |power| ('-', power));
    format!("{digits}e{sign}{power:0>2}")
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() && c.is_ascii() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
