//! Taking back what a function gives: every resource goes where it says, and of its file only what the function changed
//! is changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::edits::bring;
use super::kptfile::FILE;
use super::layout::is_below;
use super::resources::{Place, Rank, Resources, is_kustomization};
use super::wire::{self, Item};
use crate::domain::krm::document::EditError;
use crate::domain::krm::value::at;
use crate::domain::source::check_path;

/// Where a resource that a function gave belongs.
struct Arrival {
    item: Item,
    /// Which of the given resources it is.
    source: Option<usize>,
    /// Its file from the root, and which document of it; a new one goes behind the others.
    file: String,
    index: usize,
}

/// A resource that comes into a file.
struct New {
    /// Which document of it.
    index: usize,
    rank: Rank,
    text: String,
}

/// Characters of a text that is no resource which are shown.
const SHOWN: usize = 60;

/// Index of what goes behind everything else.
const LAST: usize = usize::MAX;

/// Puts what a function gave into the places of what it was given; the rest of what it was given goes. What sees all of
/// the pipeline's resources says in which order the next one sees them; of others, only what is new stands at the end.
///
/// # Errors
/// What is wrong with the output, in words; the resources may then be changed in part.
pub(super) fn absorb(
    resources: &mut Resources,
    given: &[Place],
    items: Vec<Item>,
    directory: &str,
) -> Result<(), String> {
    let arrivals = arrivals(resources, given, items, directory)?;
    let mut removed: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut added: BTreeMap<String, Vec<New>> = BTreeMap::new();
    let sees_all = given.len() == resources.places(directory).len();
    let kept: BTreeSet<usize> = arrivals.iter().filter_map(|arrival| arrival.source).collect();
    for place in given.iter().enumerate().filter(|(index, _)| !kept.contains(index)).map(|(_, place)| place) {
        removed.entry(place.file.clone()).or_default().insert(place.index);
    }
    for arrival in arrivals {
        let known = arrival.source.filter(|_| !sees_all).map(|source| resources.rank(&given[source]));
        let rank = known.unwrap_or_else(|| resources.next_rank());
        let Some(place) = arrival.source.map(|source| &given[source]) else {
            let new = New { index: arrival.index, rank, text: wire::plain(&arrival.item) };
            added.entry(arrival.file).or_default().push(new);
            continue;
        };
        rewrite(resources, place, &arrival.item).map_err(|error| format!("{}: {error}", place.file))?;
        if (place.file.as_str(), place.index) == (arrival.file.as_str(), arrival.index) {
            resources.set_rank(place, rank);
            continue;
        }
        removed.entry(place.file.clone()).or_default().insert(place.index);
        let text = resources.text(place);
        added.entry(arrival.file).or_default().push(New { index: arrival.index, rank, text });
    }
    let files: BTreeSet<String> = removed.keys().chain(added.keys()).cloned().collect();
    for file in files {
        let gone = removed.remove(&file).unwrap_or_default();
        let new = added.remove(&file).unwrap_or_default();
        settle(resources, &file, &gone, new).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}

/// Says where everything belongs, and refuses what may not be there.
fn arrivals(resources: &Resources, given: &[Place], items: Vec<Item>, directory: &str) -> Result<Vec<Arrival>, String> {
    let sources = sources(resources, given, &items);
    let mut taken = BTreeSet::new();
    let mut arrivals = Vec::new();
    if let Some(other) = items.iter().find(|item| !item.value.is_object()) {
        let line = other.text.trim().lines().next().unwrap_or_default();
        let shown: String = line.chars().take(SHOWN).collect();
        return Err(format!(
            "expected a ResourceList, or resources with apiVersion, kind and metadata, and found {shown:?}"
        ));
    }
    for (number, (item, source)) in (1..).zip(items.into_iter().zip(sources)) {
        let item = match source.and_then(|source| resources.document(&given[source])) {
            Some(old) => wire::read_by(item, old.file),
            None => item,
        };
        let from = source.map(|source| &given[source]);
        let home = home(resources, &item.value, directory, from);
        let old = from.filter(|old| resources.home(&old.file) == home);
        if old.is_none() && !wire::has_path(&item.value) {
            check_new(number, &item.value)?;
        }
        let (path, index) = position(&item.value, old.map(|old| (relative(&old.file, &home), old.index)))?;
        let file = whole(&home, &path)?;
        check_identity(&file, &item.value)?;
        if index != LAST && !taken.insert((file.clone(), index)) {
            return Err(format!("two resources have the path {file} and the index {index}"));
        }
        arrivals.push(Arrival { item, source, file, index });
    }
    arrivals.iter().try_for_each(|arrival| stays(arrival, given))?;
    Ok(arrivals)
}

/// A Kptfile says by its place what is a package: it may go, but not somewhere else.
fn stays(arrival: &Arrival, given: &[Place]) -> Result<(), String> {
    let Arrival { item, source, file, .. } = arrival;
    let is_kptfile = |path: &str| path.rsplit('/').next() == Some(FILE);
    match source.map(|source| &given[source].file) {
        Some(old) if is_kptfile(old) && old != file => {
            Err(format!("the Kptfile {old} may not become {file}; a function leaves it where it is"))
        }
        None if item.value.get("kind").and_then(Value::as_str) == Some(FILE) && !is_kptfile(file) => Err(format!(
            "there is a Kptfile that does not say whose it is: the function has to keep the annotation {} of what it \
             is given, or its name",
            wire::PATH
        )),
        _ => Ok(()),
    }
}

/// Every resource has an apiVersion, a kind and a name; configurations of kustomize need none.
pub(super) fn check_identity(file: &str, value: &Value) -> Result<(), String> {
    match missing_field(file, value) {
        Some(field) => Err(format!("a resource of {file} {}", lacks(field, value))),
        None => Ok(()),
    }
}

/// That a resource has no such field, or one that is no text.
fn lacks(field: &str, value: &Value) -> String {
    match at(value, &field.split('.').collect::<Vec<_>>()) {
        Some(found @ (Value::Number(_) | Value::Bool(_))) => {
            format!("has {found} as its {field}, which is no text; write it in quotes")
        }
        _ => format!("has no {field}"),
    }
}

/// What a resource lacks of an identity.
pub(super) fn missing_field(file: &str, value: &Value) -> Option<&'static str> {
    // A Kptfile's texts need no quotes.
    let is_kptfile = file.rsplit('/').next() == Some(FILE);
    let has = |pointer: &str| match value.pointer(pointer) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(_) | Value::Bool(_)) => is_kptfile,
        _ => false,
    };
    let fields = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")];
    let missing = fields.iter().find(|(pointer, _)| !has(pointer)).map(|(_, field)| *field);
    missing.filter(|_| !is_kustomization(file))
}

/// Refuses what has neither a path nor what its file could be named by, as kpt does.
pub(super) fn check_new(number: usize, value: &Value) -> Result<(), String> {
    let Some(field) = missing_field("", value) else { return Ok(()) };
    Err(match value {
        Value::Object(_) => format!(
            "item {number} of the list {}, and no annotation {} that says which file it belongs to",
            lacks(field, value),
            wire::PATH
        ),
        _ => format!("item {number} of the list is no map, and so no resource"),
    })
}

/// Which of the given resources each is: by its id, else the first that is left of those that are called the same.
fn sources(resources: &Resources, given: &[Place], items: &[Item]) -> Vec<Option<usize>> {
    let id =
        |item: &Item| wire::annotation(&item.value, wire::ID)?.parse::<usize>().ok().filter(|id| *id < given.len());
    let ids: Vec<Option<usize>> = items.iter().map(id).collect();
    let mut used = BTreeSet::new();
    let mut found: Vec<Option<usize>> = ids.iter().map(|id| id.filter(|id| used.insert(*id))).collect();
    if ids.iter().all(Option::is_some) {
        return found;
    }
    let mut left = identities(resources, given, &used);
    for (at, item) in items.iter().enumerate().filter(|(at, _)| ids[*at].is_none()) {
        found[at] = left.get_mut(&identity(&item.value)).and_then(VecDeque::pop_front);
    }
    found
}

/// What tells a resource from others, as it is written.
type Identity = [Option<String>; 4];

fn identity(value: &Value) -> Identity {
    ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"]
        .map(|pointer| value.pointer(pointer).map(Value::to_string))
}

/// The given resources that are not used yet, by their identities.
fn identities(resources: &Resources, given: &[Place], used: &BTreeSet<usize>) -> BTreeMap<Identity, VecDeque<usize>> {
    let mut found: BTreeMap<Identity, VecDeque<usize>> = BTreeMap::new();
    for (index, place) in given.iter().enumerate().filter(|(index, _)| !used.contains(index)) {
        found.entry(identity(&resources.value(place))).or_default().push_back(index);
    }
    found
}

/// The package that a resource is in, when it is one that the pipeline sees; one that says nothing is where it was.
fn home(resources: &Resources, value: &Value, directory: &str, from: Option<&Place>) -> String {
    let Some(named) = wire::annotation(value, wire::PACKAGE) else {
        return from.map_or(directory, |old| resources.home(&old.file)).to_owned();
    };
    let named = named.trim_matches('/');
    let is_seen = resources.is_package(named) && (named == directory || is_below(named, directory));
    if is_seen { named } else { directory }.to_owned()
}

fn relative<'p>(path: &'p str, directory: &str) -> &'p str {
    path.strip_prefix(directory).map_or(path, |rest| rest.trim_start_matches('/'))
}

/// Path and index that a resource asks for. Functions may write the annotations under their present or their old
/// names: the one that was changed counts.
fn position(value: &Value, old: Option<(&str, usize)>) -> Result<(String, usize), String> {
    let path = asked(value, [wire::PATH, wire::LEGACY_PATH], old.map(|(path, _)| path.to_owned()))?;
    let index = asked(value, [wire::INDEX, wire::LEGACY_INDEX], old.map(|(_, index)| index.to_string()))?;
    let index = match index {
        Some(text) => text.parse().map_err(|_| format!("the index {text:?} of a resource is not a number"))?,
        None => LAST,
    };
    Ok((path.unwrap_or_else(|| default_path(value)), index))
}

fn asked(value: &Value, names: [&str; 2], old: Option<String>) -> Result<Option<String>, String> {
    let [new, legacy] = names.map(|name| wire::annotation(value, name).map(str::to_owned));
    let changed = |asked: &Option<String>| asked.is_some() && *asked != old;
    match (changed(&new), changed(&legacy)) {
        (true, true) if new != legacy => Err(format!(
            "a resource has {} {:?} and {} {:?}",
            names[0],
            new.unwrap_or_default(),
            names[1],
            legacy.unwrap_or_default()
        )),
        (true, _) => Ok(new),
        (_, true) => Ok(legacy),
        _ => Ok(old),
    }
}

/// Where a resource goes that does not say: `NAMESPACE/KIND_NAME.yaml`.
pub(super) fn default_path(value: &Value) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = format!("{}_{}.yaml", text("/kind").to_lowercase(), text("/metadata/name").replace([':', '/'], "-"));
    match text("/metadata/namespace") {
        "" => name,
        namespace => format!("{namespace}/{name}"),
    }
}

/// A path from the root; one that leaves its package is refused.
fn whole(home: &str, path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| *part != ".").collect();
    let clean = parts.join("/");
    check_path(&clean).map_err(|error| format!("a resource may not be put there: {error}"))?;
    Ok(if home.is_empty() { clean } else { format!("{home}/{clean}") })
}

/// Takes resources out of a file and puts others in, in the order of their indices.
fn settle(resources: &mut Resources, file: &str, gone: &BTreeSet<usize>, mut new: Vec<New>) -> Result<(), EditError> {
    let count = resources.count(file);
    let left: Vec<usize> = (0..count).filter(|index| !gone.contains(index)).collect();
    let behind = new.iter().all(|new| left.last().is_none_or(|last| new.index > *last));
    if behind && (new.is_empty() || !left.is_empty()) {
        for index in gone.iter().rev() {
            resources.remove_document(&Place { file: file.to_owned(), index: *index })?;
        }
        new.sort_by_key(|new| new.index);
        return new.iter().try_for_each(|new| resources.append_at(file, &new.text, new.rank));
    }
    new.extend(left.into_iter().map(|index| {
        let place = Place { file: file.to_owned(), index };
        New { index, rank: resources.rank(&place), text: resources.text(&place) }
    }));
    new.sort_by_key(|new| new.index);
    let all: Vec<(Rank, String)> = new.into_iter().map(|new| (new.rank, new.text)).collect();
    resources.rebuild(file, &all)
}

/// Makes a resource what a function made of it. A function that writes comments is taken by its text; of another only
/// the values are taken, so that comments and order stay.
fn rewrite(resources: &mut Resources, place: &Place, item: &Item) -> Result<(), EditError> {
    let new = wire::stripped(&item.value);
    let had = wire::comments(&resources.text(place));
    let adds = |(comment, count): (&String, &usize)| had.get(comment).is_none_or(|old| old < count);
    let text = if item.text.contains('#') { wire::plain(item) } else { String::new() };
    if wire::comments(&text).iter().any(adds) {
        return resources.replace(place, &text).map(|_| ());
    }
    if resources.edit(place, |file, index| Ok(bring(file, index, &new, wire::stripped)))? {
        return Ok(());
    }
    resources.replace(place, &wire::plain(item)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::domain::krm::document::{Limits, YamlFile, to_yaml};
    use crate::domain::package::external::Answer;
    use crate::domain::package::kptfile::Function;
    use crate::domain::package::rendering::Single;
    use crate::domain::package::{Catalog, Rendering, Turn};
    use crate::domain::source::{File, FileTree};

    const ONE: &str = "apiVersion: v1\nkind: A # kind\nmetadata:\n  name: one\nspec:\n  # above\n  list: [1, 2] # list\n  text: 'x'\n";
    const TWO: &str = "apiVersion: v1\nkind: B\nmetadata:\n  name: two\n";

    /// The files after a function that makes of its input what `function` does.
    fn after(function: impl Fn(&str) -> String) -> Result<Vec<(String, String)>, String> {
        let mut tree = FileTree::new();
        tree.insert("a.yaml", File::regular(format!("{ONE}---\n{TWO}").into_bytes())).unwrap();
        let single =
            Single { function: Function { exec: Some("f".to_owned()), ..Function::default() }, ..Single::default() };
        let mut rendering = Rendering::single(&tree, single, Catalog).unwrap();
        let Ok(Turn::Waits(request)) = rendering.step() else { panic!("it does not wait") };
        let answer = Answer { list: function(&request.list).into_bytes(), ..Answer::default() };
        rendering.resume(Ok(answer)).map_err(|error| error.to_string())?;
        let text = |file: &File| String::from_utf8(file.bytes.to_vec()).unwrap();
        Ok(rendering.tree().iter().map(|(path, file)| (path.to_owned(), text(file))).collect())
    }

    /// The first resource after a function that changes values and writes no comments.
    fn valued(text: &str, change: impl Fn(&mut Value)) -> String {
        let mut tree = FileTree::new();
        tree.insert("a.yaml", File::regular(text.as_bytes().to_vec())).unwrap();
        let single =
            Single { function: Function { exec: Some("f".to_owned()), ..Function::default() }, ..Single::default() };
        let mut rendering = Rendering::single(&tree, single, Catalog).unwrap();
        let Ok(Turn::Waits(request)) = rendering.step() else { panic!("it does not wait") };
        let mut list = YamlFile::parse(request.list.as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
        change(&mut list["items"][0]);
        let answer = Answer { list: to_yaml(&list).into_bytes(), ..Answer::default() };
        rendering.resume(Ok(answer)).unwrap();
        String::from_utf8(rendering.tree().get("a.yaml").unwrap().bytes.to_vec()).unwrap()
    }

    const POD: &str = "\
apiVersion: v1
kind: Pod # kind
metadata:
  name: p
spec:
  containers:
  - name: a # first
    image: a:1 # image
    command:
    - sh
    - |
      run
    args:
    - --first # one
    - info # kpt-set: ${level}
  # above b
  - name: b # second
    image: b:1
  volumes: [{name: v}, # v
    {name: w}, # w
  ]
  one: !!str 5 # tagged
";

    /// What changes a value, and how that changes the text: before and after.
    type Row<'r> = (&'r dyn Fn(&mut Value), &'r str, &'r str);

    #[test]
    fn comments_stay_with_the_items_of_a_list() {
        let spec = |value: &mut Value, change: &dyn Fn(&mut Value)| change(&mut value["spec"]);
        let first = &POD[POD.find("  - name: a").unwrap()..POD.find("  # above b").unwrap()];
        let rows: [Row<'_>; 9] = [
            (
                &|s| s["containers"][0]["args"].as_array_mut().unwrap().push(json!("--extra")),
                "    - info # kpt-set: ${level}\n",
                "    - info # kpt-set: ${level}\n    - \"--extra\"\n",
            ),
            (
                &|s| s["containers"][0]["args"].as_array_mut().unwrap().insert(0, json!("--extra")),
                "    - --first # one\n",
                "    - \"--extra\"\n    - --first # one\n",
            ),
            (
                &|s| drop(s["containers"][0]["args"].as_array_mut().unwrap().pop()),
                "    - info # kpt-set: ${level}\n",
                "",
            ),
            (&|s| drop(s["containers"].as_array_mut().unwrap().remove(0)), first, ""),
            (
                &|s| s["containers"].as_array_mut().unwrap().push(json!({"name": "c"})),
                "    image: b:1\n",
                "    image: b:1\n  - name: c\n",
            ),
            (&|s| s["containers"][0]["command"][1] = json!("stop"), "    - |\n      run\n", "    - stop\n"),
            (
                &|s| {
                    let containers = s["containers"].as_array_mut().unwrap();
                    containers.insert(0, json!({"name": "z"}));
                    containers[1]["image"] = json!("a:2");
                },
                "  - name: a # first\n    image: a:1 # image\n",
                "  - name: z\n  - name: a # first\n    image: a:2 # image\n",
            ),
            (&|s| drop(s["volumes"].as_array_mut().unwrap().pop()), "    {name: w}, # w\n", ""),
            (&|s| s["one"] = json!(6), "!!str 5 # tagged", "6 # tagged"),
        ];
        for (number, (change, old, new)) in rows.into_iter().enumerate() {
            assert!(POD.contains(old), "row {number}");
            assert_eq!(valued(POD, |value| spec(value, change)), POD.replacen(old, new, 1), "row {number}");
        }
    }

    #[test]
    fn texts_stay_texts_and_numbers_become_numbers() {
        let data = |data: &str| format!("{TWO}data:\n{data}");
        let table = [
            // What is left bare was a text, and is one.
            ("  a: \"y\"\n  \"n\": '1e3'\n", "  a: y\n  n: 1e3\n", "  a: \"y\"\n  \"n\": '1e3'\n"),
            ("  a: x\n", "  a: y\n  off: on\n", "  a: \"y\"\n  \"off\": \"on\"\n"),
            ("  a: [x] # c\n", "  a: [x, no] # c\n", "  a: [x, \"no\"] # c\n"),
            ("  a: x\n", "  a: y # kpt-set: ${a}\n", "  a: \"y\" # kpt-set: ${a}\n"),
            // A program that means a number, or a boolean, spells it as one.
            ("  a: \"80\"\n", "  a: 80\n", "  a: 80\n"),
            ("  a: \"true\"\n", "  a: true\n", "  a: true\n"),
            ("  a: x\n", "  a: 0644\n", "  a: 420\n"),
            ("  a: 'x'\n  b: 1e3\n", "  a: 1e3\n  b: 1e3\n", "  a: 1000.0\n  b: 1e3\n"),
        ];
        for (before, answered, wanted) in table {
            let list = format!(
                "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- {}",
                data(answered).trim_end().replace('\n', "\n  ")
            );
            let mut tree = FileTree::new();
            tree.insert("a.yaml", File::regular(data(before).into_bytes())).unwrap();
            let function = Function { exec: Some("f".to_owned()), ..Function::default() };
            let mut rendering = Rendering::single(&tree, Single { function, ..Single::default() }, Catalog).unwrap();
            let Ok(Turn::Waits(_)) = rendering.step() else { panic!("it does not wait") };
            rendering.resume(Ok(Answer { list: list.into_bytes(), ..Answer::default() })).unwrap();
            let text = String::from_utf8(rendering.tree().get("a.yaml").unwrap().bytes.to_vec()).unwrap();
            assert_eq!(text, data(wanted), "{answered}");
        }
    }

    fn file(path: &str, text: &str) -> (String, String) {
        (path.to_owned(), text.to_owned())
    }

    #[test]
    fn only_what_changed_is_written() {
        let changed = after(|list| list.replace("text: 'x'", "text: z").replace(" # list", "").replace(" # kind", ""));
        assert_eq!(changed.unwrap(), [file("a.yaml", &format!("{}---\n{TWO}", ONE.replace("'x'", "z")))]);
        let longer = after(|list| list.replace("[1, 2] # list", "[1, 2, 3]")).unwrap();
        assert!(longer[0].1.contains("# above\n  list: [1, 2, 3] # list\n"), "{}", longer[0].1);
    }

    #[test]
    fn a_function_that_writes_comments_is_taken_by_its_text() {
        let changed = after(|list| list.replace("name: two\n", "name: two # kpt-set: ${name}\n")).unwrap();
        assert_eq!(
            changed,
            [file("a.yaml", &format!("{ONE}---\n{}", TWO.replace("two\n", "two # kpt-set: ${name}\n")))]
        );
    }

    #[test]
    fn either_name_of_the_path_moves_a_resource() {
        for name in ["internal.config.kubernetes.io/path", "config.kubernetes.io/path"] {
            let (old, new) = (format!("    {name}: a.yaml"), format!("    {name}: b.yaml"));
            let split = |list: &str| {
                let at = list.find("name: two").unwrap();
                format!("{}{}", &list[..at], list[at..].replacen(&old, &new, 1))
            };
            assert_eq!(after(split).unwrap(), [file("a.yaml", ONE), file("b.yaml", TWO)], "{name}");
        }
        let torn = |list: &str| {
            let first =
                list.replacen("internal.config.kubernetes.io/path: a", "internal.config.kubernetes.io/path: b", 1);
            first.replacen("    config.kubernetes.io/path: a", "    config.kubernetes.io/path: c", 1)
        };
        assert!(after(torn).unwrap_err().contains("config.kubernetes.io/path \"c.yaml\""));
    }

    #[test]
    fn indices_order_a_file() {
        let swap = |list: &str| {
            list.replace("index: \"0\"", "index: \"9\"")
                .replace("index: \"1\"", "index: \"0\"")
                .replace("\"9\"", "\"1\"")
        };
        assert_eq!(after(swap).unwrap(), [file("a.yaml", &format!("{TWO}---\n{ONE}"))]);
    }

    #[test]
    fn what_is_not_given_back_goes() {
        let first = |list: &str| {
            let second = list.match_indices("\n- ").nth(1).unwrap().0;
            format!("{}\n", &list[..second])
        };
        assert_eq!(after(first).unwrap(), [file("a.yaml", ONE)]);
        let empty = "kind: ResourceList\napiVersion: config.kubernetes.io/v1\n";
        assert_eq!(after(|_| empty.to_owned()).unwrap(), []);
        assert_eq!(after(|_| format!("{empty}items: []\n")).unwrap(), []);
    }

    #[test]
    fn a_function_that_gives_back_nothing_takes_nothing_away() {
        for nothing in ["", "\n", "# done\n", "---\n", "null\n"] {
            let error = after(|_| nothing.to_owned()).unwrap_err();
            assert!(error.contains("it wrote no ResourceList") && error.contains("fn.output_invalid"), "{error}");
        }
    }
}
