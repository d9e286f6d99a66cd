//! Memory of programs.
//!
//! What is bounded is the data of each process (Linux: `RLIMIT_DATA`; other systems have no bound that can be set from
//! outside), not its address space, of which Go and JavaScript reserve far more than they use. A program is bounded
//! right after it was started and before it gets its input; what it starts from then on has the same bound, each
//! process its own.

use std::io;
use std::process::Child;

/// Words by which programs say that they got no memory: of C and shells, Go and JavaScript, Python, C++, Java, Rust,
/// GNU.
const WORDS: [&str; 7] = [
    "cannot allocate memory",
    "out of memory",
    "memoryerror",
    "bad_alloc",
    "outofmemoryerror",
    "memory allocation of",
    "memory exhausted",
];

/// Bounds a program that was just started.
#[cfg(target_os = "linux")]
pub(super) fn bound(child: &Child, most: u64) -> io::Result<()> {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let mine = getrlimit(Resource::Data);
    // Nobody may have more than the one who starts him.
    let most = [mine.current, mine.maximum].into_iter().flatten().fold(most, u64::min);
    let limit = Rlimit { current: Some(most), maximum: Some(most) };
    match prlimit(Some(Pid::from_child(child)), Resource::Data, limit) {
        // It has ended already.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn bound(_: &Child, _: u64) -> io::Result<()> {
    Ok(())
}

/// The line in which a program says that it got no memory.
pub(super) fn complaint(stderr: &str) -> Option<&str> {
    let complains = |line: &&str| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    };
    stderr.lines().find(complains).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_say_it_in_many_ways() {
        for said in [
            "sh: 1: Cannot allocate memory",
            "fatal error: out of memory allocating heap arena metadata",
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "MemoryError",
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "java.lang.OutOfMemoryError: Java heap space",
            "memory allocation of 4096 bytes failed",
            "sort: memory exhausted",
        ] {
            assert_eq!(complaint(&format!("first\n  {said}\nlast\n")), Some(said));
        }
        assert_eq!(complaint("error: the memory of the pod is too large\n"), None);
    }
}
