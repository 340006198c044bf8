//! What processes of their own, checkpoints and files cost a sweep: the cells of an experiment in this process, one after
//! another and keeping nothing, against `seqbench run --jobs 1` on the same cells, in interleaved rounds.
//!
//! ```console
//! $ cargo build --release && cargo run --release --example isolation -- experiments/delayed-recall-vs-lag.toml 5
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use seqbench_harness::plan::plan;
use seqbench_harness::run::{Cells, Job, Work};
use std::process::{Command, Stdio};
use std::time::Instant;

/// As the program's.
#[global_allocator]
static ALLOCATOR: seqbench::KeepBig = seqbench::KeepBig;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("an experiment file");
    let rounds: usize = arguments.next().map_or(5, |count| count.parse().expect("a number of rounds"));
    let overrides: Vec<String> = arguments.collect();
    let registry = seqbench::builtin();
    let text = std::fs::read_to_string(&path).expect("an experiment file");
    let experiment = plan("isolation", &path, &text, &registry, &overrides).expect("a plan");
    let cells: Vec<_> = experiment.cells().collect();
    // Beside this program's folder.
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("seqbench");
    let folder = std::env::temp_dir().join(format!("seqbench-isolation-{}", std::process::id()));
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    let work = Cells::new(&registry);
    let bare = || {
        let begun = Instant::now();
        for cell in &cells {
            work.run(&Job::of(cell, None), &mut |_| {}).unwrap();
        }
        begun.elapsed().as_secs_f64()
    };
    let sweep = |every: &str| {
        let _ = std::fs::remove_dir_all(&folder);
        let begun = Instant::now();
        let mut command = Command::new(&program);
        command
            .args(["run", &path, "--quiet", "--jobs", "1", "--checkpoint-every", every, "--out"])
            .arg(&folder);
        command.args(overrides.iter().flat_map(|own| ["--set", own.as_str()])).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
        begun.elapsed().as_secs_f64()
    };
    let (mut ratios, mut often) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (alone, usual, every_second) = (bare(), sweep("60"), sweep("1"));
        println!(
            "round {round}: {alone:.2} s bare, {usual:.2} s as a sweep, {every_second:.2} s with a checkpoint a second"
        );
        ratios.push(usual / alone);
        often.push(every_second / usual);
    }
    let _ = std::fs::remove_dir_all(&folder);
    for (name, mut values) in
        [("sweep over bare", ratios), ("a checkpoint a second over one a minute", often)]
    {
        values.sort_by(f64::total_cmp);
        let middle = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        println!(
            "{name}: median {middle:.4} ({:.4} to {:.4}) over {rounds} rounds of {} cells",
            values[0],
            values[values.len() - 1],
            cells.len()
        );
    }
}
