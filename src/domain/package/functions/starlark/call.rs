//! Calls: arguments, parameters and the names of one call.

use std::rc::Rc;

use super::ast::{Function, ParamKind};
use super::eval::{Flow, Machine};
use super::fault::{Fault, Outcome};
use super::value::{Closure, Dict, Value};

/// Arguments of a call.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// By place.
    pub(super) plain: Vec<Value>,
    /// By name.
    pub(super) named: Vec<(Rc<str>, Value)>,
}

impl Machine<'_> {
    /// A function with its defaults.
    pub(super) fn closure(&mut self, function: &Rc<Function>, frame: Option<usize>) -> Outcome<Value> {
        let mut defaults = Vec::new();
        for param in &function.params {
            defaults.push(param.default.as_ref().map(|default| self.eval(default, frame)).transpose()?);
        }
        self.heap.closure(Closure { function: function.clone(), defaults: defaults.into(), around: frame })
    }

    /// Calls a value.
    pub(super) fn call(&mut self, function: &Value, given: Given) -> Outcome<Value> {
        match function {
            Value::Function(number) => self.call_closure(*number, given),
            Value::Builtin(name) => self.builtin(name, given),
            Value::Method(method) => self.method(&method.0, &method.1, given),
            Value::Member(module, name) => self.member(module, name, given),
            other => Err(Fault::new(format!("a {} cannot be called", other.kind()))),
        }
    }

    fn call_closure(&mut self, number: usize, given: Given) -> Outcome<Value> {
        let closure = self.heap.closures[number].clone();
        let function = &closure.function;
        let frame = self.enter(&closure, given).map_err(|fault| fault.within(&function.name))?;
        let flow = self.block(&function.body, Some(frame)).map_err(|fault| fault.within(&function.name))?;
        self.heap.drop_frame(frame, function.is_kept)?;
        Ok(if let Flow::Return(value) = flow { value } else { Value::None })
    }

    fn enter(&mut self, closure: &Closure, given: Given) -> Outcome<usize> {
        let values = self.arguments(closure, given)?;
        let frame = self.heap.frame(closure.function.locals.clone(), closure.around);
        for (place, value) in self.heap.frames[frame].values.iter_mut().zip(values) {
            *place = Some(value);
        }
        Ok(frame)
    }

    /// A value for each parameter.
    fn arguments(&mut self, closure: &Closure, given: Given) -> Outcome<Vec<Value>> {
        let function = &closure.function;
        let Given { plain, mut named } = given;
        let takes = function.params.iter().filter(|param| param.kind == ParamKind::Plain).count();
        let rest = function.params.iter().any(|param| param.kind == ParamKind::Rest);
        if plain.len() > takes && !rest {
            let message = format!("{} takes {takes} arguments by place, and {} are given", function.name, plain.len());
            return Err(Fault::new(message));
        }
        let mut plain = plain.into_iter();
        let mut values = Vec::with_capacity(function.params.len());
        for (param, default) in function.params.iter().zip(closure.defaults.iter()) {
            let name = self.names[param.name].clone();
            let by_name = |named: &mut Vec<(Rc<str>, Value)>| {
                named.iter().position(|(other, _)| *other == name).map(|at| named.remove(at).1)
            };
            let value = match param.kind {
                ParamKind::Plain => match (plain.next(), by_name(&mut named)) {
                    (Some(_), Some(_)) => {
                        return Err(Fault::new(format!("{} is given {name} twice", function.name)));
                    }
                    (first, second) => first.or(second).or_else(|| default.clone()),
                },
                ParamKind::Named => by_name(&mut named).or_else(|| default.clone()),
                ParamKind::Rest => Some(self.heap.tuple(plain.by_ref().collect())?),
                ParamKind::NamedRest => Some(self.named_dict(std::mem::take(&mut named))?),
            };
            let missing = || Fault::new(format!("{} is not given {name}", function.name));
            values.push(value.ok_or_else(missing)?);
        }
        match named.first() {
            Some((name, _)) => Err(Fault::new(format!("{} takes no {name}", function.name))),
            None => Ok(values),
        }
    }

    fn named_dict(&mut self, named: Vec<(Rc<str>, Value)>) -> Outcome<Value> {
        let dict = self.heap.dict(Dict::default())?;
        if let Value::Dict(number) = dict {
            for (name, value) in named {
                self.heap.put(number, Value::Text(name), value)?;
            }
        }
        Ok(dict)
    }
}

impl Given {
    /// Arguments by place alone.
    pub(super) fn of(plain: Vec<Value>) -> Self {
        Self { plain, named: Vec::new() }
    }

    /// Adds an argument by name.
    pub(super) fn name(&mut self, name: Rc<str>, value: Value) -> Outcome<()> {
        if self.named.iter().any(|(other, _)| *other == name) {
            return Err(Fault::new(format!("{name} is given twice")));
        }
        self.named.push((name, value));
        Ok(())
    }

    /// One value or none for each of these parameters, of which the first `required` must be given.
    pub(super) fn take<const N: usize>(
        self,
        function: &str,
        names: [&str; N],
        required: usize,
    ) -> Outcome<[Option<Value>; N]> {
        if self.plain.len() > N {
            let message = format!("{function} takes at most {N} arguments, and {} are given", self.plain.len());
            return Err(Fault::new(message));
        }
        let mut found = [const { None }; N];
        for (place, value) in found.iter_mut().zip(self.plain) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let at = names.iter().position(|other| *other == &*name);
            let at = at.ok_or_else(|| Fault::new(format!("{function} takes no {name}")))?;
            if found[at].replace(value).is_some() {
                return Err(Fault::new(format!("{function} is given {name} twice")));
            }
        }
        match found.iter().take(required).position(Option::is_none) {
            Some(at) => Err(Fault::new(format!("{function} is not given {}", names[at]))),
            None => Ok(found),
        }
    }
}
