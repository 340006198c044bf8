//! What the machine can do at most, and what else it does meanwhile, through a seam: tests say it, a run measures it.

use std::time::{Duration, Instant};

/// Tells about the machine.
pub trait Machine: Send + Sync {
    /// Single-precision multiply-adds on as many threads, in GFLOP/s; nothing where it is not to be measured.
    fn peak_gflops(&self, threads: u32) -> Option<f64>;

    /// Bytes read and written while copying on as many threads, in GB/s.
    fn bandwidth_gb(&self, threads: u32) -> Option<f64>;

    /// What all cores have done so far; nothing where the system does not tell. `workers` are processes of this run that
    /// still live.
    fn activity(&self, workers: &[u32]) -> Option<Activity>;

    /// Memory that could be had without pushing anything out, in bytes.
    fn available_bytes(&self) -> Option<u64>;
}

/// Processor time spent up to a moment, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// The moment, since some fixed one.
    pub at: f64,
    /// By everybody, all cores together; time that a hypervisor gave to others counts.
    pub everybody: f64,
    /// By this process, its children that have ended and the workers named.
    pub own: f64,
    /// Cores of the machine.
    pub cores: u32,
}

/// A machine of which nothing is known and nothing measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownMachine;

impl Machine for UnknownMachine {
    fn peak_gflops(&self, _: u32) -> Option<f64> {
        None
    }

    fn bandwidth_gb(&self, _: u32) -> Option<f64> {
        None
    }

    fn activity(&self, _: &[u32]) -> Option<Activity> {
        None
    }

    fn available_bytes(&self) -> Option<u64> {
        None
    }
}

/// The machine this runs on.
#[derive(Clone, Copy, Debug)]
pub struct RealMachine {
    start: Instant,
}

impl RealMachine {
    /// From now on.
    pub fn new() -> Self {
        RealMachine { start: Instant::now() }
    }
}

impl Default for RealMachine {
    fn default() -> Self {
        Self::new()
    }
}

/// How long multiply-adds are counted.
const PEAK_DURATION: Duration = Duration::from_millis(300);

impl Machine for RealMachine {
    fn peak_gflops(&self, threads: u32) -> Option<f64> {
        Some(seqbench_kernels::peak::multiply_add_peak(threads as usize, PEAK_DURATION))
    }

    fn bandwidth_gb(&self, threads: u32) -> Option<f64> {
        Some(seqbench_kernels::peak::memory_copy_bandwidth(threads as usize))
    }

    fn activity(&self, workers: &[u32]) -> Option<Activity> {
        let text = std::fs::read_to_string("/proc/stat").ok()?;
        let (everybody, cores) = of_all(&text)?;
        let process = |name: &str| std::fs::read_to_string(format!("/proc/{name}/stat")).ok();
        let own = of_process(&process("self")?, true)?;
        // One that has just ended counts among the children.
        let living = workers.iter().filter_map(|id| of_process(&process(&id.to_string())?, false));
        let own = own + living.sum::<f64>();
        Some(Activity { at: self.start.elapsed().as_secs_f64(), everybody, own, cores })
    }

    fn available_bytes(&self) -> Option<u64> {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    }
}

/// Ticks a second in `/proc`: fixed by the kernel's interface, whatever it counts in itself.
const TICKS: f64 = 100.0;

/// Seconds that the processors were not idle, and how many processors there are.
fn of_all(text: &str) -> Option<(f64, u32)> {
    let mut lines = text.lines();
    let total = lines.next()?.strip_prefix("cpu ")?;
    let ticks: Vec<f64> = total.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests count as users.
    let [user, nice, system, _idle, _waiting, irq, softirq, steal, ..] = ticks[..] else { return None };
    let cores = lines.take_while(|line| line.starts_with("cpu")).count() as u32;
    Some(((user + nice + system + irq + softirq + steal) / TICKS, cores.max(1)))
}

/// Seconds of one process, with those of its children that have ended where asked.
fn of_process(text: &str, with_children: bool) -> Option<f64> {
    // The name, in brackets, may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14 to 17; the name is field 2.
    let of = |field: usize| words.get(field - 3)?.parse::<f64>().ok();
    let own = of(14)? + of(15)?;
    let ended = if with_children { of(16)? + of(17)? } else { 0.0 };
    Some((own + ended) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_as_the_kernel_writes_them() {
        let text = "cpu  100 10 50 9000 70 5 15 20 3 0\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 5\n";
        assert_eq!(of_all(text), Some((2.0, 2)));
        assert_eq!(of_all("cpu 1 2 3"), None);
        let text = "42 (a) b) R 1 42 42 0 -1 4194304 100 0 0 0 250 50 400 100 20 0 1 0";
        assert_eq!(of_process(text, false), Some(3.0));
        assert_eq!(of_process(text, true), Some(8.0));
    }

    /// Busy threads of another process would be somebody else's; those of this one are its own.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_process_does_is_its_own() {
        let machine = RealMachine::new();
        let before = machine.activity(&[]).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            std::hint::black_box(start);
        }
        let after = machine.activity(&[]).unwrap();
        assert!(after.own > before.own && after.everybody > before.everybody && after.at > before.at);
        assert!(machine.available_bytes().unwrap() > 0);
    }
}
