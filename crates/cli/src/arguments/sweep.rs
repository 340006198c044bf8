//! What commands about running, splitting and keeping sweeps take.

use clap::Args;
use seqbench_harness::plan::Shard;
use std::path::PathBuf;

/// `seqbench run`.
#[derive(Debug, Default, Args)]
pub(crate) struct Run {
    /// Experiment files, names of built-in experiments (see `list experiments`), or results folders, which hold what was run
    /// there.
    #[arg(required = true, value_name = "EXPERIMENT")]
    pub(crate) experiments: Vec<String>,
    /// Write results here instead of `runs/<experiment>`.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Cells at once; one per core by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Only cells whose model, task or coordinate (`lag=30`) matches; may be given several times.
    #[arg(long, value_name = "WORD")]
    pub(crate) only: Vec<String>,
    /// Only one shard of so many, counted from 0, as `2/8`; `env/8` takes the number from SLURM_ARRAY_TASK_ID,
    /// JOB_COMPLETION_INDEX, PBS_ARRAY_INDEX or HQ_TASK_ID. Shards are whole groups of about equal cost.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(crate) shard: Option<Shard>,
    /// Override a value of the experiment, as `train.steps=100` or `sweep.lag=[10,30]`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run what another process on the same folder has claimed as well. Claims end with their process; this is for a file
    /// server that has not noticed yet that a machine is gone. Whoever ends first, the results are the same.
    #[arg(long)]
    pub(crate) steal: bool,
    /// Keep an unfinished cell this often, in seconds. A run that is stopped or killed goes on from there, to the same bits.
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, value_parser = seconds)]
    pub(crate) checkpoint_every: f64,
    /// List every cell with its status, and the time the missing ones will take; start none.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run every cell again, whatever stands.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Try cells again that failed.
    #[arg(long)]
    pub(crate) retry_failed: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    if number.is_finite() && number >= 0.0 {
        Ok(number)
    } else {
        Err("expected a number of seconds, 0 or more".to_owned())
    }
}

fn shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text, |name| std::env::var(name).ok())
}

/// `seqbench merge`.
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Results folders of one experiment.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<PathBuf>,
    /// The folder to write; cells that it has already take part.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

/// `seqbench check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Results folders.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<PathBuf>,
    /// A file of a claim of one's own that these results decide, to be held against what their cells recorded of it; may
    /// be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `seqbench clean`.
#[derive(Debug, Args)]
pub(crate) struct Clean {
    /// Results folders.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<PathBuf>,
    /// Remove cells too that are of no cell of the plan.
    #[arg(long)]
    pub(crate) stale: bool,
    /// Remove failed cells too.
    #[arg(long)]
    pub(crate) failed: bool,
    /// Say what would go; remove nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `seqbench pack`.
#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// Results folders.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<PathBuf>,
}

/// `seqbench slurm`.
#[derive(Debug, Args)]
pub(crate) struct Slurm {
    /// Experiment file, or name of a built-in experiment.
    #[arg(value_name = "EXPERIMENT")]
    pub(crate) experiment: String,
    /// Tasks of the array. One should hold a minute of work or more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) shards: u32,
    /// Where shards, results and scripts go, on a file system that all nodes see; `runs/<experiment>` by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Cores of a task, and cells at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) cores: u32,
    /// Memory of a task, as Slurm's --mem spells it.
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub(crate) memory: String,
    /// Time limit of a task, in minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 240, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) minutes: u32,
    /// Any other option of sbatch for both jobs, as `--sbatch=--partition=short`; may be given several times.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) sbatch: Vec<String>,
    /// Override a value of the experiment, as `run --set` does.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Submit both jobs with sbatch.
    #[arg(long)]
    pub(crate) submit: bool,
}
