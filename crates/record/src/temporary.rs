//! Names of what is being written, and when what a killed process left behind may go.

use crate::identity::sha256;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// How temporary names begin.
pub(crate) const PREFIX: &str = ".tmp-";

/// What another machine writes on a shared file system takes seconds; after this long nobody does any more.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The temporary name under which a process of this machine, since it was last started, writes `stem`.
pub fn name(stem: &str, process: u32) -> String {
    format!("{PREFIX}{stem}-{}-{process}", machine())
}

/// Whether nobody writes what has this temporary name any more. Of another machine's process only its age tells.
pub(crate) fn is_abandoned(path: &Path, name: &str) -> bool {
    let mut words = name.rsplitn(3, '-');
    let (process, own) = (words.next().and_then(|digits| digits.parse::<u32>().ok()), words.next());
    match (process, own == Some(machine()) && Path::new("/proc/self").exists()) {
        (Some(process), true) => !is_another_living_process(process),
        _ => age(path).is_some_and(|age| age > ABANDONED),
    }
}

fn is_another_living_process(process: u32) -> bool {
    let stat = || std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    process != std::process::id() && stat().is_ok_and(|text| lives(&text))
}

/// Whether a process lives, by its line in `/proc`: one that has ended and that nobody has asked after is there still.
fn lives(stat: &str) -> bool {
    // The name, in brackets, may hold anything.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| !matches!(state, "Z" | "X" | "x"))
}

/// How long ago something was last written; none where it is gone, or by this machine's clock has yet to be written.
fn age(path: &Path) -> Option<Duration> {
    std::fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
}

/// This start of this machine, as a word that tells nothing of it.
fn machine() -> &'static str {
    static MACHINE: OnceLock<String> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        sha256(&boot)[..8].to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_does_not_live_though_it_is_listed() {
        assert!(lives("17 (a) b) S 1 17 17") && lives("17 (seqbench) R 1"));
        assert!(!lives("17 (Z S) Z 1 17 17") && !lives("17 (x) X 1") && !lives("") && !lives("17"));
    }
}
