//! Resident memory of this process, from the kernel's own accounting where it offers one.

pub use seqbench_kernels::memory::{Counting, KeepBig};

/// Lowers the kernel's high-water mark to the present use, after memory that is only kept has gone back. `false` where the
/// system has no such thing: then peaks are not reported rather than reported wrongly.
pub fn reset_peak() -> bool {
    seqbench_kernels::memory::release();
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The highest resident memory since [`reset_peak`], in bytes.
pub fn peak_bytes() -> Option<u64> {
    status_field("VmHWM:")
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
