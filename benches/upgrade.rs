//! How long a three-way merge of 1,000 objects takes when both sides changed every one of them, beside merely reading
//! the three versions.
//!
//! `cargo bench --bench upgrade` prints medians of 9 runs in milliseconds, their ratio, and the peak of resident
//! memory.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and stops at the first surprise")]

use std::time::Instant;

use loggia::domain::krm::document::{Limits, read};
use loggia::domain::package::upgrade::{OnConflict, Strategy, Trees, upgrade};
use loggia::domain::source::{File, FileTree};

/// Objects in the package, and in one file of it.
const OBJECTS: usize = 1_000;
const IN_A_FILE: usize = 10;

fn object(number: usize, replicas: usize, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{number} # stays\n  labels:\n    app: web-{number}\n\
         spec:\n  replicas: {replicas}\n  selector:\n    matchLabels:\n      app: web-{number}\n  template:\n    metadata:\n      \
         labels:\n        app: web-{number}\n    spec:\n      containers:\n      # the program\n      - name: web\n        \
         image: {image}\n        ports:\n        - containerPort: 80\n          name: http\n        env:\n        - name: LEVEL\n          \
         value: info\n        resources:\n          limits:\n            cpu: \"1\"\n            memory: 1Gi\n"
    )
}

fn package(replicas: usize, image: &str) -> FileTree {
    let mut tree = FileTree::new();
    let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: bench\n";
    tree.insert("Kptfile", File::regular(kptfile.as_bytes().to_vec())).unwrap();
    for file in 0..OBJECTS / IN_A_FILE {
        let objects: Vec<String> =
            (0..IN_A_FILE).map(|number| object(file * IN_A_FILE + number, replicas, image)).collect();
        tree.insert(format!("{file:03}.yaml"), File::regular(objects.join("---\n").into_bytes())).unwrap();
    }
    tree
}

fn median(mut act: impl FnMut()) -> f64 {
    let mut all: Vec<f64> = (0..9)
        .map(|_| {
            let start = Instant::now();
            act();
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Peak of resident memory in MiB, where the system tells.
fn peak() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn main() {
    let (origin, updated, local) = (package(1, "web:1"), package(1, "web:2"), package(5, "web:1"));
    let trees = Trees { origin: &origin, updated: &updated, local: &local };
    let merged = upgrade(&trees, Strategy::ResourceMerge, OnConflict::Fail).unwrap();
    assert_eq!(merged.tree, package(5, "web:2"));
    let merging = median(|| drop(upgrade(&trees, Strategy::ResourceMerge, OnConflict::Fail).unwrap()));
    let reading = median(|| {
        for (_, file) in [&origin, &updated, &local].into_iter().flat_map(FileTree::iter) {
            read(&file.bytes, &Limits::default()).unwrap();
        }
    });
    let peak = peak().map_or_else(|| "unknown".to_owned(), |mib| format!("{mib:.0} MiB"));
    println!(
        "merging {OBJECTS} objects {merging:.0} ms, reading them {reading:.0} ms, ratio {:.1}, peak memory {peak}",
        merging / reading
    );
}
