//! Reads the table of built-in kinds. The table is a constant of this crate, so a test proves that it is whole; what
//! does not parse would be read as [`Shape::Any`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::notation::{Line, lines};
use super::{Format, ListKey, ListKind, ListShape, MapShape, Mark, Schema, Schemas, Shape};

/// The table of this crate: Kubernetes v1.36.
pub const TABLE: &str = include_str!("../../../../schemas/kubernetes/builtin.txt");

/// The whole table: what a reference and a list key need to be resolved.
struct Table<'a> {
    numbers: BTreeMap<&'a str, usize>,
    lines: Vec<Line<'a>>,
}

/// The built-in kinds.
pub(super) fn builtin() -> Schemas {
    static BUILTIN: OnceLock<Schemas> = OnceLock::new();
    BUILTIN.get_or_init(|| read(TABLE)).clone()
}

fn read(text: &str) -> Schemas {
    let mut lines: Vec<Line<'_>> = lines(text).collect();
    let otherwise = otherwise(&lines);
    lines.extend(otherwise);
    let numbers = lines.iter().enumerate().map(|(number, line)| (line.name, number)).collect();
    let table = Table { numbers, lines };
    let types: Arc<[Shape]> = table.lines.iter().map(|line| table.map(line)).collect();
    let kinds = table.lines.iter().enumerate().filter_map(|(number, line)| {
        let root = Shape::Named(number);
        Some((
            line.gvk.clone()?,
            Schema { types: Arc::clone(&types), root, keeps_nulls: false, structural: None, rules: None },
        ))
    });
    let kinds = Arc::new(kinds.collect());
    let object_meta = table.shape("ObjectMeta");
    let root = untyped_object(&object_meta);
    let unknown = Schema { types: Arc::clone(&types), root, keeps_nulls: true, structural: None, rules: None };
    let metadata = Schema { types, root: object_meta, keeps_nulls: false, structural: None, rules: None };
    Schemas { kinds, unknown, metadata }
}

/// The lines that fields refer to as atomic or granular whatever they say themselves, each as a line of its own.
fn otherwise<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let shapes = lines.iter().flat_map(|line| line.fields.iter().map(|field| referred(field.shape)));
    let said: BTreeSet<&str> = shapes.filter(|shape| shape.starts_with(['&', '!'])).collect();
    let line = |shape: &'a str| {
        let found = lines.iter().find(|line| shape.get(1..) == Some(line.name))?;
        Some(Line { name: shape, atomic: shape.starts_with('!'), gvk: None, ..found.clone() })
    };
    said.into_iter().filter_map(line).collect()
}

/// What a shape is made of: another shape in a list or map, or itself.
fn referred(shape: &str) -> &str {
    let inner = shape.strip_prefix("!{").unwrap_or(shape).trim_start_matches(['[', '{']);
    inner.split([']', '}']).next().unwrap_or(inner)
}

/// An object of which only the metadata is known.
fn untyped_object(object_meta: &Shape) -> Shape {
    let fields = [
        ("apiVersion", Shape::Scalar(Format::Text)),
        ("kind", Shape::Scalar(Format::Text)),
        ("metadata", object_meta.clone()),
    ];
    Shape::Map(MapShape {
        fields: fields.map(|(name, shape)| (name.to_owned(), shape)).into(),
        element: Some(Box::new(Shape::Any)),
        ..MapShape::default()
    })
}

impl Table<'_> {
    fn map(&self, line: &Line<'_>) -> Shape {
        let fields = line.fields.iter().map(|field| (field.name.to_owned(), self.shape(field.shape))).collect();
        let marked = line.fields.iter().filter(|field| field.mark != Mark::default());
        let marks = marked.map(|field| (field.name.to_owned(), field.mark.clone())).collect();
        Shape::Map(MapShape { fields, element: None, atomic: line.atomic, marks })
    }

    fn shape(&self, text: &str) -> Shape {
        match text {
            "s" => Shape::Scalar(Format::Text),
            "y" => Shape::Scalar(Format::Bytes),
            "t" => Shape::Scalar(Format::Time),
            "i" => Shape::Scalar(Format::Int32),
            "l" => Shape::Scalar(Format::Int64),
            "d" | "n" => Shape::Scalar(Format::Number),
            "b" => Shape::Scalar(Format::Bool),
            "q" => Shape::Scalar(Format::Quantity),
            "x" => Shape::Scalar(Format::IntOrString),
            "?" => Shape::Any,
            "!" => Shape::Opaque,
            _ => self.container(text),
        }
    }

    fn container(&self, text: &str) -> Shape {
        if let Some((item, keys)) = text.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
            return Shape::List(ListShape { element: Box::new(self.shape(item)), kind: self.list_kind(item, keys) });
        }
        let (atomic, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        if let Some(item) = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let element = Some(Box::new(self.shape(item)));
            return Shape::Map(MapShape { element, atomic, ..MapShape::default() });
        }
        self.numbers.get(text).map_or(Shape::Any, |number| Shape::Named(*number))
    }

    fn list_kind(&self, item: &str, keys: &str) -> ListKind {
        match keys {
            "" => ListKind::Atomic,
            "*" => ListKind::Set,
            keys => ListKind::Keyed(keys.split(',').map(|key| self.key(item, key)).collect()),
        }
    }

    fn key(&self, item: &str, name: &str) -> ListKey {
        let line = self.numbers.get(item).and_then(|number| self.lines.get(*number));
        let field = line.and_then(|line| line.fields.iter().find(|field| field.name == name));
        // Zeros, too: to the server an item without its key is the one of the empty key.
        ListKey { name: name.to_owned(), default: field.and_then(|field| field.mark.default.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of other lines that a shape mentions.
    fn references(shape: &str) -> Vec<&str> {
        let inner = referred(shape).trim_start_matches(['!', '&']);
        if inner.len() > 1 { vec![inner] } else { vec![] }
    }

    #[test]
    fn every_reference_and_key_of_the_table_exists() {
        let lines: Vec<Line<'_>> = lines(TABLE).collect();
        let by_name: BTreeMap<&str, &Line<'_>> = lines.iter().map(|l| (l.name, l)).collect();
        assert_eq!(by_name.len(), lines.len(), "a name is used twice");
        for (line, field) in lines.iter().flat_map(|l| l.fields.iter().map(move |f| (l, f))) {
            for name in references(field.shape) {
                let target = by_name.get(name).unwrap_or_else(|| panic!("{}.{}: {name}", line.name, field.name));
                let keys = field.shape.rsplit_once(']').map_or("", |(_, keys)| keys);
                for key in keys.split(',').filter(|k| !k.is_empty() && *k != "*") {
                    assert!(target.fields.iter().any(|f| f.name == key), "{}.{}: {key}", line.name, field.name);
                }
            }
        }
    }

    #[test]
    fn a_field_may_own_otherwise_than_its_type() {
        let schemas = read("ObjectMeta name\nPart! a b:?\nPlain c\nThing@v1/Thing one:Part two:&Part three:[!Plain]\n");
        let schema = &schemas.kinds[&crate::domain::krm::Gvk::new("", "v1", "Thing")];
        let Shape::Map(map) = schema.node().shape() else { panic!("no map") };
        let is_atomic = |shape: &Shape| match schema.node().at(shape).shape() {
            Shape::Map(map) => map.atomic,
            other => panic!("{other:?}"),
        };
        let Shape::List(list) = &map.fields["three"] else { panic!("no list") };
        assert_eq!([&map.fields["one"], &map.fields["two"], &*list.element].map(is_atomic), [true, false, true]);
        assert_eq!(["[&A]k", "!{s}", "&A", "{B}", "C"].map(referred), ["&A", "s", "&A", "B", "C"]);
    }

    #[test]
    fn no_named_shape_is_only_another_name() {
        let schemas = read(TABLE);
        assert!(schemas.unknown.types.iter().all(|shape| matches!(shape, Shape::Map(_))));
        assert!(schemas.kinds.len() > 50);
    }
}
