//! Programs of `tests/starlark` beside what the Go interpreter printed (go.starlark.net of 2025-04-17, with `-set
//! -recursion -globalreassign`; its modules need no `load`), and what no program may do.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::program::{LIMITS, run};
use super::value::Limits;

fn printed(source: &str) -> Result<String, String> {
    let ran = run(source, &[], &json!({}), &LIMITS);
    ran.outcome.map(|_| ran.printed).map_err(|fault| {
        let told = fault.told();
        let spot = told.spot.unwrap_or_default();
        format!("{}:{}: {}", spot.line, spot.column, told.message)
    })
}

/// What is left of resources.
fn left(source: &str, items: &Json) -> Json {
    let items = items.as_array().unwrap();
    Json::Array(run(source, items, &json!({"data": {"n": "5"}}), &LIMITS).outcome.unwrap())
}

#[test]
fn programs_print_what_the_go_interpreter_prints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/starlark");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "star") {
            let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
            let found = printed(&std::fs::read_to_string(&path).unwrap());
            assert_eq!(found.as_deref(), Ok(expected.as_str()), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} programs in {}", folder.display());
}

#[test]
fn errors_say_what_and_where() {
    let table = [
        ("x = 1\ny = zz", "2:5: undefined: zz"),
        ("[1][3]", "1:4: the index 3 is outside of 1 elements"),
        ("{}['a']", "1:3: the key \"a\" is not in the dict"),
        ("1 + 'a'", "1:3: there is no + for a int and a string"),
        ("fail('no', 5)", "1:5: fail: no 5"),
        ("1 // 0", "1:3: division by zero"),
        ("def f(a): pass\nf()", "2:2: f is not given a"),
        ("def f(a): pass\nf(1, b=2)", "2:2: f takes no b"),
        ("def f():\n  x = y\n  y = 1\nf()", "2:7: y is used before it has a value"),
        ("l = [1]\nfor x in l:\n  l.append(x)", "3:11: a list cannot be changed while a loop goes over it"),
        ("if True:\nx = 1", "2:1: x is not expected here, but an indented block"),
        ("x = (1", "1:7: a bracket is not closed"),
        ("x = 'a\n'", "1:5: a text is not closed on its line"),
        ("x = 'a", "1:5: a text is not closed"),
        ("import os", "1:1: import is a reserved word"),
        ("1 < 2 < 3", "1:7: comparisons do not chain; write a < b and b < c"),
        ("ctx.environment", "1:4: ctx has no environment; a render depends on nothing but the package"),
        ("170141183460469231731687303715884105727 + 1", "1:41: a whole number is larger than 127 bits hold"),
    ];
    for (source, message) in table {
        assert_eq!(printed(source), Err(message.to_owned()), "{source}");
    }
    let absent = printed("load('http.star', 'http')").unwrap_err();
    assert!(absent.starts_with("1:1: the module \"http.star\" is not offered here; there are encoding/json.star"));
}

/// Each takes more than it may, and each ends with an error within the stack of a test.
#[test]
fn no_program_takes_more_than_it_may() {
    let nested = |open: &str, close: &str| format!("x = {}1{}", open.repeat(5000), close.repeat(5000));
    let table = [
        ("while True: pass".to_owned(), "takes more than"),
        ("for x in range(1 << 60): pass".to_owned(), "takes more than"),
        ("x = ()\nfor i in range(90): x = (x, x)\nprint(x)".to_owned(), "takes more than"),
        ("x = ()\nfor i in range(90): x = (x, x)\n{x: 1}".to_owned(), "takes more than"),
        ("x = ()\nfor i in range(90): x = (x, x)\nx == x + ()".to_owned(), "takes more than"),
        ("x = 'a'\nfor i in range(99): x += x".to_owned(), "bytes of memory"),
        ("'ab' * (1 << 62)".to_owned(), "bytes of memory"),
        ("[0] * (1 << 100)".to_owned(), "bytes of memory"),
        ("list(range(1 << 62))".to_owned(), "bytes of memory"),
        ("x = 'a' * (1 << 20)\nx.replace('a', x)".to_owned(), "bytes of memory"),
        ("x = 'a' * (1 << 20)\n','.join([x] * 9999)".to_owned(), "bytes of memory"),
        ("x = ['a' * (1 << 20)] * 9999\n'%s' % x".to_owned(), "bytes of memory"),
        ("for i in range(1 << 20): print('aaaaaaaaaaaaaaaa')".to_owned(), "are printed"),
        ("def f(n): return f(n + 1) + 1\nf(0)".to_owned(), "deep"),
        ("def f(n): return sorted([1], key=lambda x: f(n + 1))\nf(0)".to_owned(), "deep"),
        (
            "def f(n):\n  for i in [1]:\n    if True:\n      x = [[f(n) for b in [1]] for a in [1]]\nf(0)".to_owned(),
            "deep",
        ),
        ("x = []\nx.append(x)\nx == [x]".to_owned(), "holds itself"),
        ("x = []\nx.append(x)\nstr(x)".to_owned(), "holds itself"),
        ("x = []\nx.append(x)\nctx.resource_list['items'] = x".to_owned(), "holds itself"),
        ("load('re.star', 're')\nre.findall('a{1000}{1000}', 'a')".to_owned(), "is no pattern"),
        (nested("(", ")"), "nested too deeply"),
        (nested("[", "]"), "nested too deeply"),
        (nested("-", ""), "nested too deeply"),
        (nested("not ", ""), "nested too deeply"),
        (nested("1 + ", ""), "too many operators"),
        (nested("x.y.z(", ")"), "nested too deeply"),
        (format!("x = a{}", ".b".repeat(5000)), "too many operators"),
        ((0..99).map(|depth| format!("{}if True:\n", " ".repeat(depth))).collect(), "nested too deeply"),
        (format!("[1 {}]", "for x in [1] ".repeat(5000)), "too many loops"),
    ];
    let few = Limits { steps: 400_000, memory: 8 << 20, output: 1 << 12, ..LIMITS };
    for (source, part) in table {
        let fault = run(&source, &[], &json!({}), &few).outcome.expect_err(&source[..source.len().min(80)]);
        assert!(fault.told().message.contains(part), "{part:?} is not in {fault:?}");
    }
}

#[test]
fn a_recursion_as_deep_as_resources_are_is_possible() {
    let walk = "def walk(v):\n  if type(v) == 'dict':\n    for k in v:\n      walk(v[k])\n  elif type(v) == 'list':\n    for x in v:\n      walk(x)\n";
    let deep = "v = 1\nfor i in range(20): v = {'a': [v]}\nwalk(v)\nprint('done')";
    assert_eq!(printed(&format!("{walk}{deep}")), Ok("done\n".to_owned()));
}

#[test]
fn what_the_program_leaves_is_the_result() {
    let items = json!([{"kind": "A", "f": 1.0, "n": 3}, {"kind": "B"}]);
    let changed = left(
        "items = ctx.resource_list['items']\nitems[0]['n'] = 4 / 2\nitems[0]['x'] = (1, None)\nitems.pop()\nitems.append({'kind': ctx.resource_list['functionConfig']['data']['n']})",
        &items,
    );
    assert_eq!(changed, json!([{"kind": "A", "f": 1, "n": 2, "x": [1, null]}, {"kind": "5"}]));
    let anew = left("ctx.resource_list['items'] = [r for r in ctx.resource_list['items'] if r['kind'] == 'B']", &items);
    assert_eq!(anew, json!([{"kind": "B"}]));
    let faults = [
        ("ctx.resource_list['items'] = 5", "left no list"),
        ("ctx.resource_list['items'][0][1] = 2", "only texts"),
        ("ctx.resource_list['items'][0]['s'] = set([1])", "a set cannot be written"),
        ("ctx.resource_list['items'][0]['s'] = 1 << 100", "too large"),
    ];
    for (source, part) in faults {
        let fault = run(source, items.as_array().unwrap(), &json!({}), &LIMITS).outcome.unwrap_err();
        assert!(fault.told().message.contains(part), "{fault:?}");
    }
}

#[test]
fn modules_do_what_they_are_for() {
    let source = "load('encoding/yaml.star', 'yaml')\nload('encoding/base64.star', b='base64')\nload('hash.star', 'hash')\nload('re.star', 're')\nload('krmfn.star', 'krmfn')\n\
        print(yaml.loads('a: [1, b]'), repr(yaml.dumps({'a': 1})), b.encode('hi'), b.decode('aGk='))\n\
        print(hash.sha256('')[:8], hash.sha1('')[:8])\n\
        print(re.findall('a.', 'abacx'), re.sub('(b)', '<$1>', 'abc'), re.split(',', 'a,b'), re.match('(a)(b)', 'abab'), re.search('c', 'abc'), re.search('z', 'a'))\n\
        r = {'apiVersion': 'apps/v1', 'kind': 'D', 'metadata': {'name': 'n'}}\n\
        print(krmfn.match_gvk(r, 'apps/v1', 'D'), krmfn.match_name(r, 'x'), krmfn.match_namespace(r, 'd'))";
    let expected = "{\"a\": [1, \"b\"]} \"a: 1\\n\" aGk= hi\ne3b0c442 da39a3ee\n(\"ab\", \"ac\") a<b>c (\"a\", \"b\") [(\"ab\", \"a\", \"b\"), (\"ab\", \"a\", \"b\")] [2, 3] None\nTrue False False\n";
    assert_eq!(printed(source), Ok(expected.to_owned()));
}

proptest::proptest! {
    /// Whatever is written, it ends; and it ends the same way twice.
    #[test]
    fn no_text_breaks_the_interpreter(source in "[a-c0-2()\\[\\]{}:,.=+*/%<>'\"\\\\\n #\u{e9}-]{0,60}|((if|for|in|def|lambda|not|return|while|x|y|1|\\(|\\)|:|=|\\[|\\]|,|'a'|\n|  ) ?){0,40}") {
        let few = Limits { steps: 2_000, memory: 1 << 16, ..LIMITS };
        let run = || run(&source, &[], &json!({}), &few);
        let (first, second) = (run(), run());
        proptest::prop_assert_eq!(first.outcome, second.outcome);
        proptest::prop_assert_eq!(first.printed, second.printed);
    }
}
