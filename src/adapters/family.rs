//! Programs that are started apart, and what they leave behind.
//!
//! A program leads a group of processes, which is killed when its run is over. What left the group (`setsid`) or
//! outlived who started it comes to this process, which asked the system to be given such orphans (Linux: a child
//! subreaper), and is killed too, as soon as no other run goes on that it could belong to.
//!
//! What remains: a process of whoever kills this one by `kill -9`, as nobody is left to kill it; one that starts others
//! faster than they are killed, for which there are two seconds; one that went into this process's own group; on
//! systems without `/proc`, everything that left its group.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

/// How long orphans are killed for, so that whoever starts others for ever is not killed for ever, and the pause between
/// two looks.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

/// The programs that run for this process.
#[derive(Debug)]
struct Family {
    /// Those that lead a group.
    leaders: BTreeSet<i32>,
    /// Children that were there before the first of them; they are none of ours.
    strangers: BTreeSet<i32>,
}

static FAMILY: Mutex<Family> = Mutex::new(Family { leaders: BTreeSet::new(), strangers: BTreeSet::new() });

fn family() -> MutexGuard<'static, Family> {
    FAMILY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a program that leads a group of its own.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut family = family();
    if family.leaders.is_empty() {
        adopt();
        family.strangers = children();
    }
    // Under the lock, so that nobody takes it for an orphan before it is known.
    let child = command.process_group(0).spawn()?;
    family.leaders.insert(Pid::from_child(&child).as_raw_pid());
    Ok(child)
}

/// What becomes of the processes that a program leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are killed.
    Killed,
    /// Those that left its group are meant to be there, as what the engine of containers starts.
    Left,
}

/// Kills what is left of a program's group, then the orphans when it was the last program that ran; gives how the
/// program ended.
pub(super) fn end(child: &mut Child, rest: Rest) -> io::Result<ExitStatus> {
    let leader = Pid::from_child(child);
    // A group that nobody is left in cannot be killed.
    let _ = kill_process_group(leader, Signal::KILL);
    let status = child.wait();
    let mut family = family();
    family.leaders.remove(&leader.as_raw_pid());
    if family.leaders.is_empty() && rest == Rest::Killed {
        end_orphans(&family.strangers);
    }
    status
}

/// Asks for orphans; where that cannot be had, groups are killed all the same.
#[cfg(target_os = "linux")]
fn adopt() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

#[cfg(not(target_os = "linux"))]
fn adopt() {}

/// The children of this process, those that ended and were not asked about among them.
fn children() -> BTreeSet<i32> {
    // A `/proc` of another container counts processes by other numbers.
    if std::fs::read_link("/proc/self").ok() != Some(std::process::id().to_string().into()) {
        return BTreeSet::new();
    }
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return BTreeSet::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()).collect()
}

/// Kills orphans until there are none: each that dies makes orphans of its children.
fn end_orphans(strangers: &BTreeSet<i32>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let left: Vec<Pid> = children().difference(strangers).filter_map(|pid| orphan(*pid)).collect();
        if left.is_empty() || Instant::now() >= until {
            return;
        }
        for pid in left {
            // It is a child that nobody else asks about, so its number is its own until it is asked about here.
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The process when it is an orphan: what this process starts elsewhere is in its own group.
fn orphan(pid: i32) -> Option<Pid> {
    (circle(pid)? != circle("self")?).then_some(Pid::from_raw(pid)?)
}

/// The group and the session of a process.
fn circle(pid: impl Display) -> Option<(i32, i32)> {
    parse_circle(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `PID (NAME) STATE PARENT GROUP SESSION ...` (proc(5)). Either is 0 where its leader is outside of the
/// container, which the functions of the system that ask for one process do not provide for.
fn parse_circle(stat: &str) -> Option<(i32, i32)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(2).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_may_be_outside_of_the_container() {
        for (stat, expected) in [
            ("7 (sh) S 1 0 0 0 -1 4194304", Some((0, 0))),
            ("7 (a ) b) R 1 7 5 34816 7", Some((7, 5))),
            ("7 (sh) S 1", None),
            ("", None),
        ] {
            assert_eq!(parse_circle(stat), expected, "{stat}");
        }
    }
}
