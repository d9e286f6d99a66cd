//! Real processes; a container engine is played by a program that writes down how it was called.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::adapters::script::script;
use crate::domain::source::FileTree;

fn exec(command: &str, limits: Limits) -> Result<Answer, Failure> {
    let runner = LocalRunner { programs: true, limits, ..LocalRunner::default() };
    runner.run(&Request { program: Program::Exec(command.to_owned()), list: "in\n".to_owned(), files: FileTree::new() })
}

#[test]
fn a_program_answers_what_it_writes() {
    let answer = exec("sh -c 'cat; echo said >&2'", Limits::default()).unwrap();
    assert_eq!((answer.list.as_slice(), answer.stderr.as_str()), (&b"in\n"[..], "said\n"));
    assert!(exec("true", Limits::default()).unwrap().list.is_empty(), "input need not be read");
}

#[test]
fn a_failure_keeps_what_was_said() {
    let failure = exec("sh -c 'echo out; echo why >&2; exit 3'", Limits::default()).unwrap_err();
    assert_eq!((failure.code, failure.exit_code, failure.stderr.as_str()), ("fn.failed", Some(3), "why\n"));
    assert_eq!(failure.list, b"out\n");
    let failure = exec("sh -c 'kill -TERM $$'", Limits::default()).unwrap_err();
    assert!(failure.message.contains("signal 15"), "{failure}");
    let failure = exec("/no/such/program", Limits::default()).unwrap_err();
    assert!(failure.message.contains("it cannot be started: No such file"), "{failure}");
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    for (first, told) in [
        ("#!/no/such/sh -e\n", "its first line names the interpreter \"/no/such/sh\", which is not there"),
        (
            "#! /bin/sh\r\n",
            "its first line ends with a carriage return, so that its interpreter would be \"/bin/sh\\r\"",
        ),
    ] {
        // As another process, for the reason that `script` has.
        let write = "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\"";
        let mut writer = std::process::Command::new("sh");
        assert!(writer.args(["-c", write]).arg(&script).arg(first).status().unwrap().success());
        let failure = exec(&script.display().to_string(), Limits::default()).unwrap_err();
        assert!(failure.message.starts_with(&format!("it cannot be started: {told}")), "{failure}");
    }
    let folder = exec(&dir.path().display().to_string(), Limits::default()).unwrap_err();
    assert!(folder.message.ends_with("is it a program, and may it be run (chmod +x)?"), "{folder}");
    assert_eq!(exec("'", Limits::default()).unwrap_err().code, "fn.failed");
}

#[test]
fn nothing_runs_without_leave() {
    let runner = LocalRunner::default();
    let run = |program| runner.run(&Request { program, list: String::new(), files: FileTree::new() }).unwrap_err();
    let exec = run(Program::Exec("touch x".to_owned()));
    assert!(exec.code == "fn.exec_denied" && exec.message.contains("--allow-exec"), "{exec}");
    assert_eq!(run(Program::Image("a/b:c".to_owned())).code, "fn.no_runner");
}

/// Runs what takes too long, with more and more time until it got as far as to write a line that begins so; gives the
/// time that was enough, what was said then, and what is in the file. A busy machine is slow to start a program.
fn stopped_after(
    begin: &str,
    file: &Path,
    run: impl Fn(Limits) -> Result<Answer, Failure>,
) -> (Duration, Failure, String) {
    for seconds in [0.3, 3.0, 30.0] {
        let time = Duration::from_secs_f64(seconds);
        let failure = run(Limits { time, ..Limits::default() }).unwrap_err();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.lines().any(|line| line.starts_with(begin)) && text.ends_with('\n') {
            return (time, failure, text);
        }
    }
    panic!("nothing wrote {begin}... to {}", file.display())
}

#[test]
fn limits_end_the_program_and_what_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let command = format!("sh -c 'sleep 3600 & echo $! > {}; wait'", pid.display());
    let (time, failure, child) = stopped_after("", &pid, |limits| exec(&command, limits));
    assert_eq!(
        failure.to_string(),
        format!("it was stopped: it took longer than {time:?} (--function-timeout) [fn.timeout]")
    );
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    let gone = |state: String| state.is_empty() || state.contains(") Z ");
    assert!(
        (0..3000).any(|_| gone(state()) || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }),
        "{}",
        state()
    );

    let failure = exec("yes", Limits { output: 1000, ..Limits::default() }).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "it was stopped: it wrote more than 1000 bytes (--function-output) [fn.output_limit]"
    );
    let answer = exec("sh -c 'yes | head -c 5000 >&2'", Limits { stderr: 10, ..Limits::default() }).unwrap();
    assert_eq!(answer.stderr.len(), 10);
}

#[test]
fn memory_has_a_limit() {
    let little = Limits { program_memory: 64 << 20, ..Limits::default() };
    // Who has read its input is bounded; a busy machine may do so only after the first lines of a program.
    let hungry = "sh -c 'cat > /dev/null; head -c 200000000 /dev/zero | tail -n 1 > /dev/null'";
    let own = "sh -c 'cat > /dev/null; ulimit -d'";
    assert_eq!(exec(own, little).unwrap().list, b"65536\n");
    let inherited = "sh -c \"cat > /dev/null; sh -c 'ulimit -d'\"";
    assert_eq!(exec(inherited, little).unwrap().list, b"65536\n", "what it starts has it too");
    assert_ne!(exec(own, Limits { program_memory: 0, ..Limits::default() }).unwrap().list, b"65536\n");
    exec(hungry, Limits::default()).unwrap();
    let failure = exec(hungry, little).unwrap_err();
    let told = "it ended with exit code 1 for want of memory, of which it may have 67108864 bytes (--function-memory): \
                tail: memory exhausted [fn.memory_limit]";
    assert_eq!((failure.to_string().as_str(), failure.exit_code), (told, Some(1)));
    let failure = exec("sh -c 'kill -s SEGV $$'", little).unwrap_err();
    let told = "it was ended by signal 11, perhaps for want of memory, of which it may have 67108864 bytes \
                (--function-memory) [fn.failed]";
    assert_eq!(failure.to_string(), told);
}

fn engine(dir: &Path, name: &str) -> Containers {
    script(&dir.join(name), &format!("echo \"$0 $*\" >> {}; cat", dir.join("calls").display()));
    Containers { path: dir.as_os_str().to_owned(), ..Containers::default() }
}

fn image(containers: Containers, image: &str) -> Result<Answer, Failure> {
    let runner = LocalRunner { containers: Some(containers), ..LocalRunner::default() };
    runner.run(&Request { program: Program::Image(image.to_owned()), list: "in\n".to_owned(), files: FileTree::new() })
}

#[test]
fn images_get_no_network_and_no_rights() {
    let dir = tempfile::tempdir().unwrap();
    let answer = image(engine(dir.path(), "podman"), "registry.example/f:v1").unwrap();
    assert_eq!(answer.list, b"in\n");
    let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap();
    let words = [
        "podman run --rm -i --name loggia-fn-",
        "--network none --user 65534:65534 --memory 2147483648",
        "--read-only --tmpfs /tmp",
        "--pull missing registry.example/f:v1\n",
    ];
    assert!(words.iter().all(|word| calls.contains(word)), "{calls}");
}

#[test]
fn what_was_allowed_is_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let open = Containers {
        network: true,
        pull: Pull::Always,
        mounts: vec!["type=bind,source=/a,target=/b".to_owned()],
        env: vec!["A=1".to_owned(), "B".to_owned()],
        as_current_user: true,
        ..engine(dir.path(), "docker")
    };
    image(open, "f:v1").unwrap();
    let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap();
    let words = ["--network host", "--pull always", "--mount type=bind,source=/a,target=/b", "--env A=1 --env B f:v1"];
    assert!(words.iter().all(|word| calls.contains(word)) && !calls.contains("65534"), "{calls}");
}

#[test]
fn an_engine_that_fails_itself_is_told_with_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    let containers = Containers { path: dir.path().as_os_str().to_owned(), ..Containers::default() };
    let fails = |says: &str| {
        script(&dir.path().join("docker"), &format!("cat > /dev/null; printf '{says}' >&2; exit 125"));
        image(containers.clone(), "f:v1").unwrap_err()
    };
    let failure = fails(r"trying it\nError: it is not there\nSee docker help\n");
    assert!(failure.message.contains("(exit code 125): Error: it is not there; see"), "{failure}");
    let failure = fails(r"\nno daemon here\nSee docker help\n");
    assert_eq!((failure.code, failure.exit_code), ("fn.no_runner", Some(125)));
    for words in
        ["docker could not run f:v1 (exit code 125): no daemon here;", "service", "KRM_FN_RUNTIME", "loggia fn list"]
    {
        assert!(failure.message.contains(words), "{words}: {failure}");
    }
}

#[test]
fn a_container_that_was_killed_wanted_memory() {
    let dir = tempfile::tempdir().unwrap();
    script(&dir.path().join("docker"), "cat > /dev/null; echo said >&2; exit 137");
    let containers = Containers { path: dir.path().as_os_str().to_owned(), ..Containers::default() };
    let failure = image(containers, "f:v1").unwrap_err();
    let told = "it ended with exit code 137 for want of memory, of which it may have 2147483648 bytes \
                (--function-memory): its container was killed [fn.memory_limit]";
    assert_eq!((failure.to_string().as_str(), failure.stderr.as_str()), (told, "said\n"));
}

#[test]
fn rules_of_images_hold_for_whoever_runs_them() {
    let dir = tempfile::tempdir().unwrap();
    let run = |images: ImageRules, image: &str| {
        let containers = Some(engine(dir.path(), "docker"));
        let runner = LocalRunner { containers, images, ..LocalRunner::default() };
        let program = Program::Image(image.to_owned());
        runner.run(&Request { program, list: "in\n".to_owned(), files: FileTree::new() })
    };
    let team = ImageRules { allowed: vec!["r.example/team".to_owned()], digests: true };
    assert_eq!(run(team.clone(), "r.example/f:v1").unwrap_err().code, "fn.image_denied");
    assert_eq!(run(team.clone(), "r.example/team/f:v1").unwrap_err().code, "fn.image_not_pinned");
    assert!(!dir.path().join("calls").exists(), "neither was run");
    run(team, &format!("r.example/team/f@sha256:{}", "0".repeat(64))).unwrap();
}

#[test]
fn a_missing_engine_is_told_with_what_helps() {
    let dir = tempfile::tempdir().unwrap();
    let none = Containers { path: dir.path().as_os_str().to_owned(), ..Containers::default() };
    let failure = image(none.clone(), "f:v1").unwrap_err();
    assert_eq!(failure.code, "fn.no_runner");
    assert!(failure.message.contains("docker, podman, nerdctl is not on the PATH"), "{failure}");
    assert!(!failure.message.contains("did you mean"), "{failure}");
    let failure = image(none.clone(), "set-namspace:v0.4").unwrap_err();
    assert!(failure.message.starts_with("did you mean set-namespace, which is built in? "), "{failure}");
    let other = Containers { engine: Some("rkt".to_owned()), ..none.clone() };
    assert!(image(other, "f:v1").unwrap_err().message.contains("KRM_FN_RUNTIME"));
    assert!(image(none.clone(), "f:~0.2").unwrap_err().message.contains("a range of versions"));
    for bad in ["-v", "a b", "a\nb"] {
        assert!(image(none.clone(), bad).unwrap_err().message.contains("no name of an image"), "{bad}");
    }
}

#[test]
fn a_container_that_took_too_long_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let calls = dir.path().join("calls");
    script(&dir.path().join("docker"), &format!("echo \"$*\" >> {}; [ $1 = run ] && sleep 60", calls.display()));
    let containers = Containers { path: dir.path().as_os_str().to_owned(), ..Containers::default() };
    let (_, failure, calls) = stopped_after("run ", &calls, |limits| {
        let runner = LocalRunner { containers: Some(containers.clone()), limits, ..LocalRunner::default() };
        let program = Program::Image("f:v1".to_owned());
        runner.run(&Request { program, list: String::new(), files: FileTree::new() })
    });
    assert_eq!(failure.code, "fn.timeout");
    assert!(calls.lines().last().is_some_and(|line| line.starts_with("rm -f loggia-fn-")), "{calls}");
}

#[test]
fn an_engine_that_does_not_answer_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let calls = dir.path().join("calls");
    script(&dir.path().join("docker"), &format!("echo \"$*\" >> {}; exec sleep 3600", calls.display()));
    let containers = Containers { path: dir.path().as_os_str().to_owned(), ..Containers::default() };
    let (_, failure, calls) = stopped_after("rm -f ", &calls, |limits| {
        let runner = LocalRunner { containers: Some(containers.clone()), limits, ..LocalRunner::default() };
        let program = Program::Image("f:v1".to_owned());
        runner.run(&Request { program, list: String::new(), files: FileTree::new() })
    });
    assert_eq!(failure.code, "fn.timeout");
    assert!(calls.starts_with("run "), "{calls}");
}
