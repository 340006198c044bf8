//! Resident memory of this process, from the kernel's own accounting where it offers one.

pub use seqbench_kernels::memory::{Counting, KeepBig};

/// Lowers the kernel's high-water mark to the present use, after memory that is only kept has gone back. `false` where the
/// system has no such thing.
pub fn reset_peak() -> bool {
    seqbench_kernels::memory::release();
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The highest resident memory since [`reset_peak`], in bytes; where the mark cannot be lowered, the highest ever of this
/// process, which is why every timed mode has a process of its own.
pub fn peak_bytes() -> Option<u64> {
    status_field("VmHWM:").or_else(highest_ever)
}

/// The highest resident memory that this process ever had, as any Unix tells it, in bytes.
#[cfg(unix)]
fn highest_ever() -> Option<u64> {
    use nix::sys::resource::{UsageWho, getrusage};
    // macOS counts in bytes, the others in kilobytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let most = getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss();
    u64::try_from(most).ok().filter(|most| *most > 0).map(|most| most * unit)
}

#[cfg(not(unix))]
fn highest_ever() -> Option<u64> {
    None
}

/// Present resident memory, in bytes.
pub fn resident_bytes() -> Option<u64> {
    status_field("VmRSS:")
}

fn status_field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_ask_for_the_highest_agree() {
        let block = std::hint::black_box(vec![1u8; 96 << 20]);
        let (marked, ever) = (status_field("VmHWM:").unwrap(), highest_ever().unwrap());
        // The mark may have been lowered since; the highest ever never is, and both have seen the block.
        assert!(marked >= 90 << 20 && ever + (1 << 20) >= marked, "{marked} {ever}");
        drop(block);
    }

    #[test]
    fn a_peak_is_seen_and_forgotten() {
        assert!(reset_peak());
        let before = peak_bytes().unwrap();
        let block = vec![1u8; 64 << 20];
        assert!(
            std::hint::black_box(&block).iter().step_by(4096).map(|b| usize::from(*b)).sum::<usize>() > 0
        );
        assert!(peak_bytes().unwrap() >= before + (60 << 20));
        drop(block);
        assert!(reset_peak());
        assert!(peak_bytes().unwrap() < before + (60 << 20));
    }
}
