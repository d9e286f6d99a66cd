//! The table of built-in kinds is what `loggia schema --kubernetes` makes of a real API server.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test stops at the first surprise")]

mod support;

use std::process::Command;

use support::kube::{Control, assets};

#[test]
fn the_table_is_what_the_real_server_says() {
    let Some(assets) = assets("the_table_is_what_the_real_server_says") else { return };
    let control = Control::alone(&assets);
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = control.kubeconfig_file();
    let arguments =
        ["schema", "--kubernetes", "--kubeconfig", kubeconfig.to_str().unwrap(), dir.path().to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_loggia")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fresh = std::fs::read_to_string(dir.path().join("kubernetes/builtin.txt")).unwrap();
    let checked_in = loggia::domain::krm::schema::TABLE;
    let missing: Vec<&str> = checked_in.lines().filter(|line| !fresh.lines().any(|other| other == *line)).collect();
    let new: Vec<&str> = fresh.lines().filter(|line| !checked_in.lines().any(|other| other == *line)).collect();
    assert!(
        missing.is_empty() && new.is_empty(),
        "checked in only:\n{}\nthe server says:\n{}",
        missing.join("\n"),
        new.join("\n")
    );
    assert_eq!(fresh, checked_in);
}
