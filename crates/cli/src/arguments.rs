//! The command line as typed. What it means is each command's business.

mod efficiency;
mod sweep;

pub(crate) use sweep::{Check, Clean, Merge, Pack, Run, Slurm};

pub(crate) use efficiency::{Bench, Calibrate, Choose, Compare, Cost, Mode, Regression};

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use seqbench_report::table;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Compare sequence architectures: how far back each learns to look, how its gradients behave on the way, and what it
/// costs as the sequence grows.
#[derive(Debug, Parser)]
#[command(name = "seqbench", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Print nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on the error stream; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 some cells failed or are missing, or a contract broke; 2 usage or \
                          configuration; 3 input, output or environment; 4 results contradict; 75 stopped by a signal, run again to go on; \
                          130 interrupted twice.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List architectures, tasks and experiments, or print the page of one.
    List(List),
    /// Run experiments; the same command again does only what is missing.
    Run(Run),
    /// Say what stands of experiments, what is missing, and how long it will take.
    Status(Status),
    /// Put the cells of several results folders, shards of one experiment, into one.
    Merge(Merge),
    /// Check a results folder: all cells there and whole, seeds, versions, instruction sets.
    Check(Check),
    /// Remove from a results folder what is no result: remains of killed runs, and on request stale cells.
    Clean(Clean),
    /// Put the cells of a results folder into few files, to keep it or to hand it on; every command reads them as before.
    Pack(Pack),
    /// Write the scripts that run an experiment as a Slurm job array, one shard a task, and merge it.
    Slurm(Slurm),
    /// Print the tables of results.
    Table(Table),
    /// Draw the figures of results as SVG.
    Plot(Plot),
    /// Check every contract once, timing nothing.
    Verify(Verify),
    /// Measure one model at one size and print one line of CSV.
    Bench(Bench),
    /// Measure what this machine can do at most: multiply-adds and bytes a second.
    Calibrate(Calibrate),
    /// Say what a model costs at a length before anything runs: parameters, operations, memory, state, time.
    Cost(Cost),
    /// Say which models fit a length, a memory and a batch, how fast they are and how far they reach, from results.
    Choose(Choose),
    /// Write results as one self-contained HTML page: claims, figures, tables, methods, and the rows behind every number.
    Report(Report),
    /// Decide claims: run what is missing, and say which are supported, refuted or inconclusive.
    #[command(after_help = CLAIMS)]
    Claims(Claims),
    /// Hold two results of one experiment against each other: what is better, worse, or not told apart, scores and times.
    Compare(Compare),
    /// Weights in, numbers out: make a model's weights, and compute with given ones.
    Model(Model),
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Print the manual page.
    Man,
    /// Take cells from a parent process (used by `run`).
    #[command(hide = true)]
    Worker,
}

/// `seqbench list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this kind; or the name of an architecture or a task, whose page is printed, or of an experiment, whose file is.
    #[arg(value_name = "KIND|NAME", value_parser = SubjectParser)]
    pub(crate) what: Option<Subject>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `list` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// All of a kind.
    Kind(Kind),
    /// Whatever has that name.
    Name(String),
}

/// Reads any word, and tells shells of the kinds.
#[derive(Clone)]
struct SubjectParser;

impl TypedValueParser for SubjectParser {
    type Value = Subject;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Subject, clap::Error> {
        let word = StringValueParser::new().parse_ref(command, argument, value)?;
        Ok(Kind::from_str(&word, false).map_or(Subject::Name(word), Subject::Kind))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Kind::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// A kind of what `list` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Architectures.
    Models,
    /// Tasks.
    Tasks,
    /// Experiments that come with the program.
    Experiments,
}

/// `seqbench status`.
#[derive(Debug, Args)]
#[command(after_help = STATES)]
pub(crate) struct Status {
    /// Experiment files, names of built-in experiments, or results folders; all folders in `runs` by default. An experiment
    /// is taken as it stands, a folder as it was last run, overrides included.
    #[arg(value_name = "EXPERIMENT|RESULTS")]
    pub(crate) subjects: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the identity of every cell that is missing, failed or damaged, one a line, and nothing else.
    #[arg(long, conflicts_with = "json")]
    pub(crate) missing: bool,
    /// With --missing: print which of so many shards have something missing instead, as `sbatch --array` takes them.
    #[arg(long, value_name = "N", requires = "missing", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) shards: Option<u32>,
}

const STATES: &str = "\
Cells are done, diverged (an outcome too), failed (`run --retry-failed` tries again), skipped (predicted above \
`measure.max_seconds`), missing, damaged (run again), or unneeded: a missing trial whose finals all stand. Stale ones lie \
in the folder and belong to no cell of the plan.";

/// `seqbench table`.
#[derive(Debug, Args)]
pub(crate) struct Table {
    /// Results folders, or names of experiments that ran here.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<String>,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// Form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal.
    Text,
    /// Markdown.
    Md,
    /// Comma-separated values.
    Csv,
    /// LaTeX with booktabs.
    Latex,
    /// JSON.
    Json,
}

impl From<Format> for table::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => table::Format::Text,
            Format::Md => table::Format::Md,
            Format::Csv => table::Format::Csv,
            Format::Latex => table::Format::Latex,
            Format::Json => table::Format::Json,
        }
    }
}

/// `seqbench report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Results folders, or names of experiments that ran here.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<String>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// Open it in this system's browser.
    #[arg(long)]
    pub(crate) open: bool,
    /// Also put the tables of claims and of published numbers into this Markdown document, between lines
    /// `<!-- claims: begin -->` and `<!-- claims: end -->`, and the same of `published`, whichever it has.
    #[arg(long, value_name = "DOCUMENT")]
    pub(crate) splice: Option<PathBuf>,
}

/// `seqbench claims`.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    /// Names of built-in claims, or files of one's own; all built-in ones by default.
    #[arg(value_name = "CLAIM")]
    pub(crate) claims: Vec<String>,
    /// Decide by these results and run nothing: a folder with one results folder an experiment, such as `results`.
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,
    /// Cells at once; one per core by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// From which verdict on the exit code is 1.
    #[arg(long, value_enum, default_value = "refuted")]
    pub(crate) fail_on: FailOn,
}

/// What a caller takes for a failure; what is missing always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A refuted claim.
    Refuted,
    /// An inconclusive one too.
    Inconclusive,
}

const CLAIMS: &str = "\
A claim names the experiment that decides it, what is compared, margin, confidence and seeds; see METHODOLOGY.md. Each cell \
records which claims were stated when it ran, and `check` fails where one has changed since. Exit code 1: a claim is refuted \
(see --fail-on), or cells that it needs are missing.";

/// `seqbench plot`.
#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Results folders, or names of experiments that ran here.
    #[arg(required = true, value_name = "RESULTS")]
    pub(crate) results: Vec<String>,
    /// Write figures here instead of `plots` inside the (first) results folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `seqbench verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only this architecture or task.
    pub(crate) name: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `seqbench completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// What a model outside an experiment is made of.
#[derive(Debug, Args)]
pub(crate) struct Shape {
    /// Width of every layer; 128 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub(crate) dim: Option<u32>,
    /// Layers; 2 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) layers: Option<u32>,
    /// Symbols that are read; 64 by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) vocab: Option<u32>,
    /// Read this many real features a step instead of symbols.
    #[arg(long, value_name = "N", conflicts_with = "vocab", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) features: Option<u32>,
    /// Classes of the answer; as many as symbols by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) classes: Option<u32>,
    /// Answer with this many real values, trained by squared error, instead of a class.
    #[arg(long, value_name = "N", conflicts_with = "classes", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) values: Option<u32>,
    /// Any key of a model's table in an experiment, as `block=plain` or `forget_bias=1.0`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The model and the optimizer that other frameworks are compared on (the built-in experiment `yardstick`).
    #[arg(long)]
    pub(crate) as_peers: bool,
    /// Seed of initial values and of data.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `seqbench model`.
#[derive(Debug, Args)]
pub(crate) struct Model {
    #[command(subcommand)]
    pub(crate) command: ModelCommand,
}

/// What to do with a model.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Write fresh weights as safetensors, the model in the metadata.
    Init(Init),
    /// Compute outputs, state and gradients for given weights and inputs.
    Forward(Forward),
    /// Train on a task from given weights, and write them as they then are.
    Train(Train),
    /// Measure how gradients travel through a model: profiles, theory, spectra, gates, attention.
    Gradients(Gradients),
}

/// `seqbench model init`.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Architecture.
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Steps of the longest sequence expected, for initial values that depend on it.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) length: u32,
    /// Read and answer what this task asks, at its length, instead of --vocab, --classes and --length.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["vocab", "features", "classes", "values", "length"])]
    pub(crate) task: Option<String>,
    /// Any key of the task's table in an experiment, as `lag=100`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", requires = "task")]
    pub(crate) task_set: Vec<String>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// A task outside an experiment.
#[derive(Debug, Args)]
pub(crate) struct Posed {
    /// The task.
    #[arg(long, value_name = "NAME")]
    pub(crate) task: String,
    /// Any key of the task's table in an experiment, as `lag=100`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) task_set: Vec<String>,
    /// Seed of its samples.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `seqbench model train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Weights to start from, made by `model init` or another program.
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: PathBuf,
    #[command(flatten)]
    pub(crate) posed: Posed,
    /// Any key of `[train]` in an experiment, as `steps=500` or `lr=3e-3`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Samples that the trained model is scored on.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) samples: u32,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

/// `seqbench model gradients`.
#[derive(Debug, Args)]
pub(crate) struct Gradients {
    /// Weights, made by `model init`, `model train` or another program.
    #[arg(value_name = "CHECKPOINT", required = true)]
    pub(crate) checkpoints: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) posed: Posed,
    /// Samples a profile summarises.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) samples: u32,
    /// Largest distance probed, in steps; the length of the task's sequences by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) max_distance: Option<u32>,
    /// Distances a factor of ten.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) per_decade: u32,
    /// Write rows, tables and figures into this folder too, as `run` does.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

/// `seqbench model forward`.
#[derive(Debug, Args)]
#[command(after_help = ARRAYS)]
pub(crate) struct Forward {
    /// Weights, made by `model init`, or by another program under the same names and with the same metadata.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: PathBuf,
    /// Inputs: safetensors, or one array as .npy.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The safetensors file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Write the gradients of the loss too.
    #[arg(long)]
    pub(crate) gradients: bool,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
}

const ARRAYS: &str = "\
Read: `tokens`, integers [batch, time], or `inputs`, reals [batch, time, features]; `lengths`, integers [batch], where \
sequences are padded; `targets`, classes [batch], scored at the last step, or [batch, time] with -100 where a step is not \
scored, or reals [batch, dim] or [batch, time, dim] with NaN there.

Written: `outputs` [batch, time, classes], `hidden` [batch, time, width], `state.<layer>.<name>`; with targets `loss`; with \
--gradients `grad.<parameter>` and `grad.encoded`, that of the encoder's output.";
