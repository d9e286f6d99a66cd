//! Running a program: statements and expressions.

use std::rc::Rc;

use super::ast::{Argument, Block, Clause, Comprehension, Expr, Function, Kind, Name, Program};
use super::ast::{Statement, Target};
use super::call::Given;
use super::fault::{Fault, Outcome, Spot};
use super::value::{Dict, Heap, Limits, Range, SIZE, Value};

/// A running program.
pub(super) struct Machine<'p> {
    /// What values live in.
    pub(super) heap: Heap,
    /// What was printed.
    pub(super) printed: String,
    /// The names in the program.
    pub(super) names: &'p [Rc<str>],
    globals: Vec<Option<Value>>,
    /// What is there from the start, by name.
    given: Vec<Option<Value>>,
    depth: usize,
}

/// How a statement ended.
pub(super) enum Flow {
    Next,
    Break,
    Continue,
    Return(Value),
}

/// A way through the elements of a value.
enum Walk {
    List(usize, usize),
    Keys(usize, usize),
    Tuple(Rc<[Value]>, usize),
    Range(Range, i128),
}

impl<'p> Machine<'p> {
    /// A machine for a program; `given` says what is there from the start.
    pub(super) fn new(program: &'p Program, limits: Limits, given: impl Fn(&str) -> Option<Value>) -> Self {
        Self {
            heap: Heap::new(limits),
            printed: String::new(),
            names: &program.names,
            globals: vec![None; program.names.len()],
            given: program.names.iter().map(|name| given(name)).collect(),
            depth: 0,
        }
    }

    /// Gives a name a value before the program begins.
    pub(super) fn give(&mut self, name: &str, value: &Value) {
        if let Some(number) = self.names.iter().position(|other| **other == *name) {
            self.given[number] = Some(value.clone());
        }
    }

    /// Runs the program to its end.
    pub(super) fn run(&mut self, program: &Program) -> Outcome<()> {
        self.block(&program.block, None).map(|_| ())
    }

    // Names.

    fn look_up(&self, name: Name, frame: Option<usize>) -> Outcome<Value> {
        let text = &self.names[name];
        let mut around = frame;
        while let Some(number) = around {
            let frame = &self.heap.frames[number];
            if let Some(at) = frame.names.iter().position(|other| *other == name) {
                let value = frame.values[at].clone();
                return value.ok_or_else(|| Fault::new(format!("{text} is used before it has a value")));
            }
            around = frame.around;
        }
        let value = self.globals[name].as_ref().or(self.given[name].as_ref());
        value.cloned().ok_or_else(|| Fault::new(format!("undefined: {text}")))
    }

    fn set(&mut self, name: Name, value: Value, frame: Option<usize>) {
        let mut around = frame;
        while let Some(number) = around {
            let frame = &mut self.heap.frames[number];
            if let Some(at) = frame.names.iter().position(|other| *other == name) {
                frame.values[at] = Some(value);
                return;
            }
            around = frame.around;
        }
        self.globals[name] = Some(value);
    }

    fn assign(&mut self, target: &Target, value: Value, frame: Option<usize>) -> Outcome<()> {
        match target {
            Target::Name(name) => self.set(*name, value, frame),
            Target::Item(object, index) => {
                let object = self.eval(object, frame)?;
                let place = self.eval(index, frame)?;
                self.set_item(&object, place, value).map_err(|fault| fault.near(index.spot))?;
            }
            Target::Several(targets) => {
                let values = self.collect(&value)?;
                if values.len() != targets.len() {
                    let message = format!("{} values are given to {} names", values.len(), targets.len());
                    return Err(Fault::new(message));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value, frame)?;
                }
            }
        }
        Ok(())
    }

    // Statements.

    fn deeper(&mut self, spot: Spot) -> Outcome<()> {
        self.heap.step(1).map_err(|fault| fault.near(spot))?;
        self.depth += 1;
        if self.depth > self.heap.limits().depth {
            let message = format!("calls and expressions are nested more than {} deep", self.heap.limits().depth);
            return Err(Fault::at(message, spot));
        }
        Ok(())
    }

    pub(super) fn block(&mut self, block: &Block, frame: Option<usize>) -> Outcome<Flow> {
        for (statement, spot) in block {
            self.deeper(*spot)?;
            let flow = self.statement(statement, frame).map_err(|fault| fault.near(*spot))?;
            self.depth -= 1;
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Every kind of statement has a function of its own: what programs nest, they nest on our stack.
    fn statement(&mut self, statement: &Statement, frame: Option<usize>) -> Outcome<Flow> {
        match statement {
            Statement::Do(expr) => self.eval(expr, frame).map(|_| Flow::Next),
            Statement::Assign(target, expr) => self.assign_to(target, expr, frame),
            Statement::Update(target, operator, expr) => self.update(target, operator, expr, frame),
            Statement::Define(name, function) => self.define(*name, function, frame),
            Statement::If(cases, otherwise) => self.choose(cases, otherwise, frame),
            Statement::For(target, items, block) => self.for_loop(target, items, block, frame),
            Statement::While(test, block) => self.while_loop(test, block, frame),
            Statement::Return(None) => Ok(Flow::Return(Value::None)),
            Statement::Return(Some(expr)) => self.eval(expr, frame).map(Flow::Return),
            Statement::Break => Ok(Flow::Break),
            Statement::Continue => Ok(Flow::Continue),
            Statement::Pass => Ok(Flow::Next),
            Statement::Load(module, names) => self.load_all(module, names, frame),
        }
    }

    fn assign_to(&mut self, target: &Target, expr: &Expr, frame: Option<usize>) -> Outcome<Flow> {
        let value = self.eval(expr, frame)?;
        self.assign(target, value, frame).map(|()| Flow::Next)
    }

    fn define(&mut self, name: Name, function: &Rc<Function>, frame: Option<usize>) -> Outcome<Flow> {
        let value = self.closure(function, frame)?;
        self.set(name, value, frame);
        Ok(Flow::Next)
    }

    fn choose(&mut self, cases: &[(Expr, Block)], otherwise: &Block, frame: Option<usize>) -> Outcome<Flow> {
        for (test, block) in cases {
            if self.test(test, frame)? {
                return self.block(block, frame);
            }
        }
        self.block(otherwise, frame)
    }

    fn test(&mut self, test: &Expr, frame: Option<usize>) -> Outcome<bool> {
        let value = self.eval(test, frame)?;
        Ok(self.truth(&value))
    }

    fn load_all(&mut self, module: &str, names: &[(Name, Rc<str>)], frame: Option<usize>) -> Outcome<Flow> {
        for (name, member) in names {
            let value = Self::load(module, member)?;
            self.set(*name, value, frame);
        }
        Ok(Flow::Next)
    }

    fn update(&mut self, target: &Target, operator: &'static str, expr: &Expr, frame: Option<usize>) -> Outcome<Flow> {
        match target {
            Target::Name(name) => {
                let old = self.look_up(*name, frame)?;
                let more = self.eval(expr, frame)?;
                let value = self.updated(operator, &old, &more)?;
                self.set(*name, value, frame);
            }
            Target::Item(object, index) => {
                let object = self.eval(object, frame)?;
                let place = self.eval(index, frame)?;
                let old = self.index(&object, &place)?;
                let more = self.eval(expr, frame)?;
                let value = self.updated(operator, &old, &more)?;
                self.set_item(&object, place, value)?;
            }
            // The parser lets none through.
            Target::Several(_) => {}
        }
        Ok(Flow::Next)
    }

    fn for_loop(&mut self, target: &Target, items: &Expr, block: &Block, frame: Option<usize>) -> Outcome<Flow> {
        let items = self.eval(items, frame)?;
        let mut walk = self.walk(&items)?;
        let mut ended = Flow::Next;
        while let Some(item) = self.next(&mut walk)? {
            self.assign(target, item, frame)?;
            match self.block(block, frame)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => break,
                flow @ Flow::Return(_) => {
                    ended = flow;
                    break;
                }
            }
        }
        self.leave(&walk);
        Ok(ended)
    }

    fn while_loop(&mut self, test: &Expr, block: &Block, frame: Option<usize>) -> Outcome<Flow> {
        loop {
            if !self.test(test, frame)? {
                return Ok(Flow::Next);
            }
            match self.block(block, frame)? {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Ok(Flow::Next),
                flow @ Flow::Return(_) => return Ok(flow),
            }
        }
    }

    // Ways through elements.

    fn walk(&mut self, value: &Value) -> Outcome<Walk> {
        match value {
            Value::List(number) => {
                self.heap.lists[*number].loops += 1;
                Ok(Walk::List(*number, 0))
            }
            Value::Dict(number) | Value::Set(number) => {
                self.heap.dicts[*number].loops += 1;
                Ok(Walk::Keys(*number, 0))
            }
            Value::Tuple(number) => Ok(Walk::Tuple(self.heap.tuples[*number].clone(), 0)),
            Value::Range(range) => Ok(Walk::Range(**range, 0)),
            other => Err(Fault::new(format!("a {} cannot be gone through", other.kind()))),
        }
    }

    fn next(&mut self, walk: &mut Walk) -> Outcome<Option<Value>> {
        self.heap.step(1)?;
        Ok(match walk {
            Walk::List(number, at) => {
                *at += 1;
                self.heap.lists[*number].items.get(*at - 1).cloned()
            }
            Walk::Keys(number, at) => self.heap.dicts[*number].key_from(*at).map(|(key, next)| {
                *at = next;
                key
            }),
            Walk::Tuple(items, at) => {
                *at += 1;
                items.get(*at - 1).cloned()
            }
            Walk::Range(range, at) => {
                *at += 1;
                (*at <= range.count).then(|| Value::Int(range.at(*at - 1)))
            }
        })
    }

    fn leave(&mut self, walk: &Walk) {
        match walk {
            Walk::List(number, _) => self.heap.lists[*number].loops -= 1,
            Walk::Keys(number, _) => self.heap.dicts[*number].loops -= 1,
            Walk::Tuple(..) | Walk::Range(..) => {}
        }
    }

    /// The elements of a value.
    pub(super) fn collect(&mut self, value: &Value) -> Outcome<Vec<Value>> {
        let mut walk = self.walk(value)?;
        let mut items = Vec::new();
        while let Some(item) = self.next(&mut walk)? {
            self.heap.charge(SIZE)?;
            items.push(item);
        }
        self.leave(&walk);
        Ok(items)
    }

    // Expressions.

    pub(super) fn eval(&mut self, expr: &Expr, frame: Option<usize>) -> Outcome<Value> {
        self.deeper(expr.spot)?;
        let value = self.eval_kind(expr, frame).map_err(|fault| fault.near(expr.spot))?;
        self.depth -= 1;
        Ok(value)
    }

    /// Every kind of expression has a function of its own: what programs nest, they nest on our stack.
    fn eval_kind(&mut self, expr: &Expr, frame: Option<usize>) -> Outcome<Value> {
        match &expr.kind {
            Kind::Name(name) => self.look_up(*name, frame),
            Kind::Int(number) => Ok(Value::Int(*number)),
            Kind::Float(number) => Ok(Value::Float(*number)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::List(items) => self.eval_all(items, frame).and_then(|items| self.heap.list(items)),
            Kind::Tuple(items) => self.eval_all(items, frame).and_then(|items| self.heap.tuple(items)),
            Kind::Dict(entries) => self.eval_dict(entries, frame),
            Kind::Unary(operator, value) => self.eval(value, frame).and_then(|value| self.unary(operator, &value)),
            Kind::Binary(operator, left, right) => self.eval_binary(operator, left, right, frame),
            Kind::Choice(parts) => self.eval_choice(parts, frame),
            Kind::Dot(value, name) => self.eval(value, frame).and_then(|value| Self::attribute(&value, name)),
            Kind::Index(value, index) => self.eval_index(value, index, frame),
            Kind::Slice(value, bounds) => self.eval_slice(value, bounds, frame),
            Kind::Call(function, arguments) => self.eval_call(function, arguments, frame),
            Kind::Lambda(function) => self.closure(function, frame),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension, frame),
        }
    }

    fn eval_choice(&mut self, parts: &(Expr, Expr, Expr), frame: Option<usize>) -> Outcome<Value> {
        let (test, value, otherwise) = parts;
        let chosen = if self.test(test, frame)? { value } else { otherwise };
        self.eval(chosen, frame)
    }

    fn eval_index(&mut self, value: &Expr, index: &Expr, frame: Option<usize>) -> Outcome<Value> {
        let value = self.eval(value, frame)?;
        let index = self.eval(index, frame)?;
        self.index(&value, &index)
    }

    fn eval_all(&mut self, items: &[Expr], frame: Option<usize>) -> Outcome<Vec<Value>> {
        items.iter().map(|item| self.eval(item, frame)).collect()
    }

    fn eval_dict(&mut self, entries: &[(Expr, Expr)], frame: Option<usize>) -> Outcome<Value> {
        let dict = self.heap.dict(Dict::default())?;
        let Value::Dict(number) = dict else { return Ok(dict) };
        for (key, value) in entries {
            let name = self.eval(key, frame)?;
            let value = self.eval(value, frame)?;
            let found = self.heap.key(&name).map_err(|fault| fault.near(key.spot))?;
            if self.heap.dict_at(number).has(&found) {
                let text = self.repr(&name)?;
                return Err(Fault::at(format!("the key {text} is given twice"), key.spot));
            }
            self.heap.put(number, name, value)?;
        }
        Ok(dict)
    }

    fn eval_binary(
        &mut self,
        operator: &'static str,
        left: &Expr,
        right: &Expr,
        frame: Option<usize>,
    ) -> Outcome<Value> {
        let left = self.eval(left, frame)?;
        if matches!(operator, "and" | "or") && self.truth(&left) == (operator == "or") {
            return Ok(left);
        }
        let right = self.eval(right, frame)?;
        if matches!(operator, "and" | "or") { Ok(right) } else { self.binary(operator, &left, &right) }
    }

    fn eval_slice(&mut self, value: &Expr, bounds: &[Option<Expr>; 3], frame: Option<usize>) -> Outcome<Value> {
        let value = self.eval(value, frame)?;
        let mut found = [None, None, None];
        for (place, bound) in found.iter_mut().zip(bounds) {
            if let Some(bound) = bound {
                *place = match self.eval(bound, frame)? {
                    Value::None => None,
                    Value::Int(number) => Some(number),
                    other => return Err(Fault::at(format!("a {} is no index", other.kind()), bound.spot)),
                };
            }
        }
        self.slice(&value, found)
    }

    fn eval_call(&mut self, function: &Expr, arguments: &[Argument], frame: Option<usize>) -> Outcome<Value> {
        let function = self.eval(function, frame)?;
        let mut given = Given::default();
        for argument in arguments {
            self.argument(argument, &mut given, frame)?;
        }
        self.call(&function, given)
    }

    fn argument(&mut self, argument: &Argument, given: &mut Given, frame: Option<usize>) -> Outcome<()> {
        match argument {
            Argument::Plain(expr) => {
                let value = self.eval(expr, frame)?;
                given.plain.push(value);
                Ok(())
            }
            Argument::Named(name, expr) => {
                let value = self.eval(expr, frame)?;
                given.name(name.clone(), value)
            }
            Argument::Rest(expr) => {
                let value = self.eval(expr, frame)?;
                given.plain.extend(self.collect(&value)?);
                Ok(())
            }
            Argument::NamedRest(expr) => self.eval_named(expr, given, frame),
        }
    }

    fn eval_named(&mut self, expr: &Expr, given: &mut Given, frame: Option<usize>) -> Outcome<()> {
        let Value::Dict(number) = self.eval(expr, frame)? else {
            return Err(Fault::at("only a dict can be given with **", expr.spot));
        };
        self.heap.charge(self.heap.dict_at(number).len() * SIZE)?;
        for (name, value) in self.heap.dict_at(number).entries() {
            let Value::Text(name) = name else { return Err(Fault::at("names of arguments are texts", expr.spot)) };
            given.name(name.clone(), value.clone())?;
        }
        Ok(())
    }

    fn comprehension(&mut self, comprehension: &Comprehension, around: Option<usize>) -> Outcome<Value> {
        let made = match comprehension.key {
            Some(_) => self.heap.dict(Dict::default())?,
            None => self.heap.list(Vec::new())?,
        };
        // What the first loop goes over is outside of the comprehension.
        let first = match comprehension.clauses.first() {
            Some(Clause::For(_, items)) => Some(self.eval(items, around)?),
            _ => None,
        };
        let frame = self.heap.frame(comprehension.locals.clone(), around);
        self.clauses(comprehension, 0, (frame, first), &made)?;
        self.heap.drop_frame(frame, comprehension.is_kept)?;
        Ok(made)
    }

    fn clauses(
        &mut self,
        whole: &Comprehension,
        at: usize,
        (frame, items): (usize, Option<Value>),
        made: &Value,
    ) -> Outcome<()> {
        match whole.clauses.get(at) {
            Some(Clause::If(test)) => {
                let value = self.eval(test, Some(frame))?;
                if self.truth(&value) { self.clauses(whole, at + 1, (frame, None), made) } else { Ok(()) }
            }
            Some(Clause::For(target, expr)) => {
                let items = items.map_or_else(|| self.eval(expr, Some(frame)), Ok)?;
                let mut walk = self.walk(&items)?;
                while let Some(item) = self.next(&mut walk)? {
                    self.assign(target, item, Some(frame))?;
                    self.clauses(whole, at + 1, (frame, None), made)?;
                }
                self.leave(&walk);
                Ok(())
            }
            None => self.element(whole, frame, made),
        }
    }

    fn element(&mut self, whole: &Comprehension, frame: usize, made: &Value) -> Outcome<()> {
        let key = whole.key.as_ref().map(|key| self.eval(key, Some(frame))).transpose()?;
        let value = self.eval(&whole.value, Some(frame))?;
        match (made, key) {
            (Value::Dict(number), Some(key)) => self.heap.put(*number, key, value),
            (Value::List(number), _) => {
                self.heap.charge(SIZE)?;
                self.heap.list_mut(*number)?.push(value);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
