//! What runs for Loggia ends with it, or with its own run, and nothing else does.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::program::Said;
use super::{World, kptfile, mutators};

/// Waits until something holds.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process runs.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Starts Loggia, waits until a program that it started has started another, ends Loggia by a signal, and waits until
/// both are gone. Gives what Loggia said.
fn ended_by(world: &World, command: &mut Command, signal: &str) -> Output {
    let started = world.path("started");
    let _ = std::fs::remove_file(&started);
    let command = command.env("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()));
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let written = || std::fs::read_to_string(&started).is_ok_and(|text| text.ends_with('\n'));
    wait_for("the program has started", written);
    let pids: Vec<String> = world.read("started").split_whitespace().map(str::to_owned).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| runs(pid)), "{pids:?}");
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let said = child.wait_with_output().unwrap();
    wait_for("both programs are gone", || !pids.iter().any(|pid| runs(pid)));
    said
}

const STARTS_ANOTHER: &str = "sleep 300 & echo $$ $! > started; wait";

#[test]
fn programs_end_with_loggia() {
    let world = World::new(&mutators("    - exec: sh ./slow.sh\n"));
    world.write("slow.sh", STARTS_ANOTHER);
    let before = world.files();
    for (signal, code) in [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)] {
        let said = ended_by(&world, world.loggia().args(["fn", "render", "pkg", "--allow-exec"]), signal);
        let told = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(code), "{signal}: {told}");
        assert!(told.contains(&format!("told to end by signal {}; nothing was written", code - 128)), "{told}");
        assert!(world.files() == before, "{signal} changed the package");
    }
    let said = ended_by(&world, world.loggia().args(["fn", "eval", "pkg", "--exec", "sh ./slow.sh"]), "TERM");
    assert_eq!(said.status.code(), Some(143));
    assert!(world.files() == before);
}

#[test]
fn containers_and_charts_end_with_loggia() {
    let world = World::new(&mutators("    - image: example.com/f:v1\n"));
    let removes = "if [ \"$1\" = rm ]; then echo \"$*\" >> calls; exit; fi\n";
    world.program("bin/docker", &format!("{removes}{STARTS_ANOTHER}"));
    let said = ended_by(&world, world.loggia().args(["fn", "render", "pkg"]), "TERM");
    assert_eq!(said.status.code(), Some(143));
    assert!(world.read("calls").starts_with("rm -f loggia-fn-"), "{}", world.read("calls"));

    let started = world.path("started").display().to_string();
    world.program("bin/kustomize", &STARTS_ANOTHER.replace("started", &started).replace("sleep", "/bin/sleep"));
    world.write("pkg/Kptfile", &kptfile("pkg", &mutators("    - image: kustomize\n      configMap: {path: conf}\n")));
    let temporary = world.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let said = ended_by(&world, world.loggia().env("TMPDIR", &temporary).args(["fn", "render", "pkg"]), "INT");
    assert_eq!(said.status.code(), Some(130), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "its folder is left");
}

/// `nohup` and shells that start something in the background say so by signals that are ignored.
#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let world = World::new(&mutators("    - exec: sh ./slow.sh\n"));
    world.write("slow.sh", "echo $$ > started; while [ ! -e go ]; do sleep 0.01; done; cat");
    let script = "trap '' HUP; exec \"$0\" fn render pkg --allow-exec";
    let program = world.loggia().get_program().to_owned();
    let mut shell = Command::new("sh");
    let child =
        shell.args(["-c", script]).arg(program).current_dir(world.root()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the program has started", || world.path("started").exists());
    // What Loggia does with signals was settled before it started anything; where there is no /proc, nobody tells.
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", child.id())) {
        let has = |set: &str| {
            let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
        };
        assert!(has("SigIgn:") && !has("SigCgt:"), "{status}");
    }
    let sent = Command::new("sh").args(["-c", &format!("kill -HUP {}", child.id())]).status().unwrap();
    assert!(sent.success());
    world.write("go", "");
    Said::of(child.wait_with_output().unwrap()).fine();
}

/// A function that ended is over, and so is what it left in the background.
#[test]
fn nothing_of_a_function_is_left() {
    let world = World::new(&mutators("    - exec: sh ./leaves.sh\n"));
    world.write("leaves.sh", "sleep 300 < /dev/null > /dev/null 2>&1 & echo $! > left; cat");
    world.run(&["render", "pkg", "--allow-exec"]).fine();
    let left = world.read("left");
    wait_for("what it left is gone", || !runs(&left));
}

/// A session of its own, and a parent that is gone: neither keeps a process from its end.
#[test]
fn nothing_that_left_its_function_is_left() {
    if Command::new("setsid").arg("true").status().is_err() {
        println!("not run: there is no setsid");
        return;
    }
    let world = World::new(&mutators("    - exec: sh ./leaves.sh\n"));
    let quiet = "< /dev/null > /dev/null 2>&1";
    let leaves = format!(
        "setsid sh -c 'echo $$ >> left; sleep 300 & echo $! >> left; wait' {quiet} &\n\
         (setsid sleep 300 {quiet} & echo $! >> left)\n\
         while [ \"$(wc -l < left)\" -lt 3 ]; do sleep 0.01; done 2> /dev/null\n"
    );
    for (last, code) in [("cat", 0), ("exit 3", 2)] {
        world.write("left", "");
        world.write("leaves.sh", &format!("{leaves}{last}\n"));
        let said = world.run(&["render", "pkg", "--allow-exec"]);
        assert_eq!(said.code, code, "{}", said.err);
        let left = world.read("left");
        assert_eq!(left.lines().count(), 3, "{left}");
        for pid in left.lines() {
            assert!(!runs(pid), "{pid} of {left} still runs after {last}");
        }
    }
}

/// What was there before Loggia, whoever started it, is not Loggia's to end.
#[test]
fn strangers_go_on() {
    let world = World::new(&mutators("    - exec: cat\n"));
    let script =
        "set -m; sleep 300 < /dev/null > /dev/null 2>&1 & echo $! > stranger; exec \"$0\" fn render pkg --allow-exec";
    let program = world.loggia().get_program().to_owned();
    let output = Command::new("sh").args(["-c", script]).arg(program).current_dir(world.root()).output().unwrap();
    Said::of(output).fine();
    let stranger = world.read("stranger");
    assert!(runs(&stranger));
    assert!(Command::new("kill").arg(stranger.trim()).status().unwrap().success());
}
