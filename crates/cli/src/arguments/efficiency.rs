//! What commands about time and memory take.

use super::Shape;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `seqbench calibrate`.
#[derive(Debug, Args)]
pub(crate) struct Calibrate {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `seqbench cost`.
#[derive(Debug, Args)]
pub(crate) struct Cost {
    /// Architecture.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: String,
    /// Steps of a sequence, or several lengths separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1024", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) length: Vec<u32>,
    /// Sequences at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `seqbench bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Architecture.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["checkpoint", "peak"])]
    pub(crate) model: Option<String>,
    /// Measure no model but the machine: print the multiply-adds its threads make in registers, in GFLOP/s.
    #[arg(long, conflicts_with_all = ["model", "checkpoint", "losses", "header"])]
    pub(crate) peak: bool,
    /// Start from these weights, made by `model init`; the model is theirs.
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// What is timed.
    #[arg(long, value_enum, default_value = "train")]
    pub(crate) mode: Mode,
    /// Steps of a sequence; for `decode` the steps before the token that is timed.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    pub(crate) length: u32,
    /// Sequences at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: u32,
    #[command(flatten)]
    pub(crate) shape: Shape,
    /// Timed passes.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rounds: u32,
    /// Passes before the first timed one.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) warmup: u32,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Print the names of the columns first.
    #[arg(long)]
    pub(crate) header: bool,
    /// Time nothing: train this many steps on the batch of --input, as peers do, and print the loss before each.
    #[arg(long, value_name = "N", requires = "input", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) losses: Option<u32>,
    /// Inputs and targets of --losses, as `model forward` reads them.
    #[arg(long, value_name = "FILE", requires = "losses")]
    pub(crate) input: Option<PathBuf>,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Forward, loss, backward and optimizer step.
    Train,
    /// Forward alone.
    Forward,
    /// One more token.
    Decode,
}

/// `seqbench choose`.
#[derive(Debug, Args)]
pub(crate) struct Choose {
    /// Results folders, or names of experiments whose results lie in `results`: timed ones, and those that say how far models
    /// reach.
    #[arg(value_name = "RESULTS", required = true)]
    pub(crate) results: Vec<String>,
    /// Steps of a sequence.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub(crate) length: u64,
    /// Memory of the process: bytes, or with a unit such as 512MB, 4GiB.
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "4GiB")]
    pub(crate) memory: f64,
    /// Sequences at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1 << 32))]
    pub(crate) batch: u64,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `seqbench compare`.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Results that were there first: a folder, or the name of an experiment.
    #[arg(value_name = "FIRST")]
    pub(crate) first: String,
    /// Results that are new.
    #[arg(value_name = "SECOND")]
    pub(crate) second: String,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// End with exit code 1 where something is shown to be worse.
    #[arg(long, value_name = "WHAT")]
    pub(crate) fail_on: Option<Regression>,
}

/// What a comparison may fail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Regression {
    /// A score shown to be lower, more runs that diverge, or a time shown to be more than 5 % longer.
    Regression,
}

/// Bytes, with a decimal or a binary unit.
fn size(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" => 1e3,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "tb" | "t" => 1e12,
        "kib" => f64::from(1 << 10),
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        other => return Err(format!("`{other}` is no unit; use kB, MB, GB, KiB, MiB or GiB")),
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 => Ok(number * factor),
        _ => Err("expected a number of bytes above 0, as 2000000000, 512MB or 4GiB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        let of = |text| size(text).unwrap();
        assert_eq!(
            (of("1500"), of("512MB"), of("4GiB"), of("1.5 kB")),
            (1500.0, 512e6, 4294967296.0, 1500.0)
        );
        for wrong in ["", "GiB", "-3", "0", "4 gallons", "1.2.3MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
