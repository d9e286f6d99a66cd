//! What rendering costs: 500 packages of ten objects, cold, and again after one file changed; and one package of 5,000
//! objects through `set-labels`, beside only reading it.
//!
//! `cargo bench --bench render` prints milliseconds, how many packages were rendered, and the peak memory so far.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

use std::time::Instant;

use loggia::domain::package::{Catalog, objects, render};
use loggia::domain::source::{File, FileTree};
use loggia::engine::renders::Renderer;

const PIPELINE: &str = "pipeline:
  mutators:
  - image: set-namespace:v0.4
    configMap: {namespace: core}
  - image: set-labels:v0.2
    configMap: {tier: edge, team: network}
  - image: apply-setters:v0.2
    configMap: {replicas: \"3\"}
";

fn kptfile(name: &str, pipeline: &str) -> String {
    format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n{pipeline}")
}

fn object(name: &str, number: usize) -> String {
    if number.is_multiple_of(2) {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}-{number}\ndata:\n  level: info # of logs\n")
    } else {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}-{number}\nspec:\n  replicas: 1 # kpt-set: \
             ${{replicas}}\n  selector:\n    matchLabels:\n      app: {name}\n  template:\n    metadata:\n      labels:\n        \
             app: {name}\n    spec:\n      containers:\n      - name: main\n        image: registry.example/main:1\n"
        )
    }
}

/// A package with `files` files of `each` objects.
fn package(name: &str, pipeline: &str, files: usize, each: usize) -> FileTree {
    let mut tree = FileTree::new();
    tree.insert("Kptfile", File::regular(kptfile(name, pipeline).into_bytes())).unwrap();
    for file in 0..files {
        let texts: Vec<String> = (0..each).map(|number| object(name, file * each + number)).collect();
        tree.insert(format!("f{file}.yaml"), File::regular(texts.join("---\n").into_bytes())).unwrap();
    }
    tree
}

/// Most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let began = Instant::now();
    let made = work();
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    println!("{what:<44} {milliseconds:>10.1} ms   peak {:>4} MiB", peak());
    (made, milliseconds)
}

fn main() {
    let mut packages: Vec<FileTree> = (0..500).map(|number| package(&format!("p{number}"), PIPELINE, 5, 2)).collect();
    let cache = Renderer::default();
    let all = |packages: &[FileTree]| packages.iter().for_each(|tree| drop(cache.render(tree).unwrap()));
    let ((), cold) = timed("500 packages x 10 objects, cold", || all(&packages));
    let before = cache.made();
    packages[250].insert("f0.yaml", File::regular(object("changed", 0).into_bytes())).unwrap();
    let ((), again) = timed("the same, one file changed", || all(&packages));
    println!("  {} package rendered, {:.0} times faster", cache.made() - before, cold / again);

    let labels = "pipeline:\n  mutators:\n  - image: set-labels:v0.2\n    configMap: {tier: edge}\n";
    let large = package("large", labels, 500, 10);
    let (read, reading) = timed("5,000 objects, read", || objects(&large).unwrap());
    let (rendered, rendering) = timed("5,000 objects through set-labels", || render(&large, &Catalog).unwrap());
    assert_eq!((read.len(), rendered.objects.len()), (5000, 5000));
    println!("  {:.1} times reading", rendering / reading);
}
