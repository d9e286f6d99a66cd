//! Which items of two versions of a list are the same ones.

use serde_json::Value;

use crate::domain::krm::align::align;

/// Most items of two lists, multiplied, that are held against each other.
const COMPARED: usize = 1_000_000;

/// Which item of `old` became which of `new`, in order: the longest row that both have (equal ones, or maps of one
/// name), and between those as many as there are on both sides. Of lists that are too long to be held against each
/// other, only what they begin and end with is such a row.
pub(super) fn kin(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let same = |at: usize, to: usize| alike(&old[at], &new[to]);
    let (mut from, mut to, mut all) = (0, 0, Vec::new());
    for (old_end, new_end) in align(old.len(), new.len(), same, COMPARED).into_iter().chain([(old.len(), new.len())]) {
        let changed = (old_end - from).min(new_end - to);
        all.extend((0..changed).map(|offset| (from + offset, to + offset)));
        if old_end < old.len() {
            all.push((old_end, new_end));
        }
        (from, to) = (old_end + 1, new_end + 1);
    }
    all
}

/// Whether two items are the same one: equal, or of one name.
fn alike(a: &Value, b: &Value) -> bool {
    a == b || name(a).is_some_and(|name_of| Some(name_of) == name(b))
}

fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_find_themselves_again() {
        let table = [
            (json!([1, 2]), json!([1, 3]), vec![(0, 0), (1, 1)]),
            (json!([1, 2]), json!([0, 1, 2]), vec![(0, 1), (1, 2)]),
            (json!([1, 2, 3]), json!([1, 3]), vec![(0, 0), (2, 1)]),
            (json!([1, 2, 3]), json!([9, 3]), vec![(0, 0), (2, 1)]),
            (json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "b", "x": 1}]), vec![(1, 0)]),
            (json!([]), json!([1]), vec![]),
        ];
        for (old, new, expected) in table {
            let found = kin(old.as_array().unwrap(), new.as_array().unwrap());
            assert_eq!(found, expected, "{old} {new}");
        }
    }

    #[test]
    fn long_lists_keep_what_they_begin_and_end_with() {
        let old: Vec<Value> = (0..1_100).map(Value::from).collect();
        let pairs = |ahead: usize, range: std::ops::Range<usize>| range.map(move |at| (at, at + ahead));
        let mut new = old.clone();
        new.insert(3, json!("new"));
        assert_eq!(kin(&old, &new), pairs(0, 0..3).chain(pairs(1, 3..1_100)).collect::<Vec<_>>());
        // Nothing in between is held against anything, so that it is taken as it comes.
        let (mut first, mut second) = (old.clone(), old);
        first[1] = json!("first");
        second[1_098] = json!("second");
        first.remove(500);
        assert_eq!(kin(&first, &second), pairs(0, 0..1_098).chain([(1_098, 1_099)]).collect::<Vec<_>>());
    }
}
