//! `seqbench run`: plans experiments, runs what is missing, then prints the tables, where the files are and what to try next.

use crate::arguments::Run;
use crate::claims;
use crate::commands::plot;
use crate::experiments::find;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;
use crate::signals;
use crate::stored::Stored;
use crate::survey::{self, Entry, Fate, Survey, Wish, lines, purpose};
use crate::terminal;
use anyhow::Context;
use seqbench_core::Registry;
use seqbench_harness::checkpoint::write_whole;
use seqbench_harness::clock::RealClock;
use seqbench_harness::machine::RealMachine;
use seqbench_harness::plan::{self, Cell, Experiment};
use seqbench_harness::run::{Filter, Options, ProcessLauncher, execute};
use seqbench_record::{CellFiles, RealDisk, Store};
use seqbench_report::claims::Claim;
use seqbench_report::table::{self, Format, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// An experiment with where its results go.
struct Planned {
    experiment: Experiment,
    filters: Vec<Filter>,
    folder: PathBuf,
    /// Claims that it decides.
    claims: BTreeMap<String, String>,
}

/// Runs what is missing of an experiment, for claims that are decided by it, and prints no table; returns its folder.
pub(crate) fn complete(
    name: &str,
    jobs: Option<u16>,
    claims: &[Claim],
    quiet: bool,
    registry: &Registry,
) -> Result<PathBuf, Failure> {
    let arguments =
        Run { experiments: vec![name.to_owned()], jobs, checkpoint_every: 60.0, ..Run::default() };
    let mut planned = plan_one(name, &arguments, registry)?;
    let own = claims.iter().filter(|claim| claim.experiment == name);
    planned.claims.extend(own.map(|claim| (claim.name.clone(), claim.hash())));
    for note in &planned.experiment.notes {
        terminal::note(&format!("note: {note}"));
    }
    let stop = signals::of_run().context("cannot listen to signals")?;
    match run_one(&planned, &arguments, quiet, &stop, false)? {
        0 => Ok(planned.folder),
        _ => Err(Failure::Incomplete),
    }
}

/// Runs every experiment named; all are planned before the first one starts.
pub(crate) fn run(arguments: &Run, quiet: bool, registry: &Registry) -> Outcome {
    if arguments.out.is_some() && arguments.experiments.len() > 1 {
        return Err(Failure::usage("error: --out takes one experiment at a time"));
    }
    let planned = arguments.experiments.iter().map(|argument| plan_one(argument, arguments, registry));
    let (mut failed, mut stop) = (0, None);
    for planned in planned.collect::<Result<Vec<_>, _>>()? {
        for note in &planned.experiment.notes {
            terminal::note(&format!("note: {note}"));
        }
        if planned.experiment.groups.is_empty() {
            let shard = arguments.shard.map_or_else(String::new, |shard| shard.to_string());
            terminal::note(&format!("note: there are fewer groups than shards, and none for {shard}"));
        } else if arguments.dry_run {
            let Planned { experiment, filters, folder, .. } = &planned;
            dry_run(experiment, filters, &Store::open(folder), arguments)?;
        } else {
            let listening = match stop.take() {
                Some(listening) => listening,
                None => signals::of_run().context("cannot listen to signals")?,
            };
            failed += run_one(&planned, arguments, quiet, stop.insert(listening), true)?;
        }
    }
    if failed > 0 { Err(Failure::Incomplete) } else { Ok(()) }
}

/// What an argument means: a results folder, which holds what was run there, or an experiment.
fn plan_one(argument: &str, arguments: &Run, registry: &Registry) -> Result<Planned, Failure> {
    let path = Path::new(argument);
    let stored = if path.is_dir() { Stored::read(path)? } else { None };
    let (experiment, folder) = match stored {
        Some(stored) => (stored.plan(&arguments.set, registry)?, path.to_owned()),
        None => {
            let source = find(argument)?;
            let experiment = plan::plan(&source.name, &source.path, &source.text, registry, &arguments.set)
                .map_err(|error| Failure::Usage(error.to_string()))?;
            let folder = Path::new("runs").join(&experiment.name);
            (experiment, folder)
        }
    };
    let filters: Result<Vec<Filter>, String> =
        arguments.only.iter().map(|text| Filter::parse(text, experiment.cells())).collect();
    let filters = filters.map_err(|message| Failure::usage(format!("error: --only: {message}")))?;
    if !chosen(&experiment, &filters).any(|_| true) {
        return Err(Failure::usage(format!(
            "error: --only {} leaves no cell",
            arguments.only.join(" --only ")
        )));
    }
    let experiment = match arguments.shard {
        Some(shard) => experiment.shard(shard),
        None => experiment,
    };
    let claims = claims::hashes(&claims::built_in()?, &experiment.name);
    Ok(Planned { experiment, filters, folder: arguments.out.clone().unwrap_or(folder), claims })
}

fn chosen<'a>(experiment: &'a Experiment, filters: &'a [Filter]) -> impl Iterator<Item = &'a Cell> {
    experiment.cells().filter(|cell| filters.iter().all(|filter| filter.lets(cell)))
}

/// Lists every cell with how it stands, then counts them and says how long the missing ones will take.
fn dry_run(experiment: &Experiment, filters: &[Filter], store: &Store, arguments: &Run) -> Outcome {
    let wish = Wish { only: filters, fresh: arguments.fresh, retry_failed: arguments.retry_failed };
    let survey = Survey::of(experiment, store, wish)?;
    for Entry { cell, state, .. } in &survey.entries {
        let labels = &cell.labels;
        let coordinates: String =
            labels.coordinates.iter().map(|own| format!(" {}={}", own.key, own.value)).collect();
        let predicted =
            cell.predicted_seconds.map_or(String::new(), |seconds| format!("  about {seconds:.1} s"));
        let read = terminal::print(&format!(
            "{}  {:8} {:6} {} {}{coordinates} seed={}{predicted}",
            cell.id,
            state.name(),
            purpose(cell.purpose),
            labels.model,
            labels.task,
            labels.seed
        ));
        if !read {
            return Ok(());
        }
    }
    terminal::print(&dry_end(&survey, jobs(arguments)));
    survey.damage.iter().for_each(|damage| terminal::note(&format!("warning: {damage}")));
    Ok(())
}

/// The last lines of a dry run.
fn dry_end(survey: &Survey<'_>, jobs: usize) -> String {
    let forecast = survey.forecast();
    let running = survey.number(Fate::Runs);
    let mut said = lines(&survey.counts());
    let mut end = format!("{}, {running} to run", survey::cells(survey.entries.len()));
    let too_long = survey.number(Fate::Skipped);
    if too_long > 0 {
        end.push_str(&format!(", {too_long} to skip as too long"));
    }
    if running > 0 {
        let (core, clock) = (survey::time(forecast.corrected), survey::time(forecast.with_jobs(jobs)));
        let at_once = if jobs == 1 { "one job".to_owned() } else { format!("{jobs} jobs") };
        end.push_str(&format!(": roughly {core} of one core, {clock} with {at_once}"));
        end.push_str(&format!(" ({})", forecast.basis()));
    }
    said.push(end);
    said.join("\n")
}

fn jobs(arguments: &Run) -> usize {
    arguments.jobs.map_or_else(cores, usize::from)
}

/// Runs one experiment, and where `shows` prints its tables; returns how many of its cells failed.
fn run_one(
    planned: &Planned,
    arguments: &Run,
    quiet: bool,
    stop: &Arc<AtomicBool>,
    shows: bool,
) -> Result<usize, Failure> {
    let Planned { experiment, filters, folder, claims } = planned;
    let store = Store::open(folder);
    if let Some(damage) = store.pack_damage().context("cannot read the results")? {
        // Before everything in it runs again beside it.
        terminal::note(&format!("warning: {damage}"));
    }
    let launcher = ProcessLauncher::current(["worker"]).context("cannot find this program")?;
    let options = Options {
        jobs: jobs(arguments),
        only: filters.clone(),
        fresh: arguments.fresh,
        retry_failed: arguments.retry_failed,
        steal: arguments.steal,
        checkpoint_seconds: arguments.checkpoint_every,
        claims: claims.clone(),
        stop: Arc::clone(stop),
    };
    if !quiet && !experiment.question.is_empty() {
        terminal::note(&experiment.question);
    }
    let outcome = {
        let mut progress = Progress::new(quiet);
        execute(
            experiment,
            &store,
            &launcher,
            &options,
            &RealClock::new(),
            &RealMachine::new(),
            &mut progress,
        )
        .with_context(|| format!("cannot keep results in {}", folder.display()))?
    };
    if outcome.stopped {
        terminal::note(&format!(
            "stopped; what stands is in {}, and the same command goes on",
            folder.display()
        ));
        return Err(Failure::Stopped);
    }
    let cells = cells_of(experiment, &store)?;
    let files = write_report(&cells, folder)?;
    if shows {
        print_end(experiment, &cells, &files, folder, quiet);
    }
    if outcome.elsewhere > 0 {
        let number = survey::cells(outcome.elsewhere);
        terminal::note(&format!("{number} left to another process that runs on this folder now"));
    }
    if outcome.failed > 0 {
        terminal::note(&format!(
            "{} cells failed; their `reason` says why (try them again with --retry-failed)",
            outcome.failed
        ));
    }
    Ok(outcome.failed)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The cells of this plan; what an earlier version of the experiment left in the folder stays there and is not shown.
pub(super) fn cells_of(experiment: &Experiment, store: &Store) -> Result<Vec<CellFiles>, Failure> {
    let planned: BTreeSet<&str> = experiment.cells().map(|cell| cell.id.as_str()).collect();
    let scan = store.scan().context("cannot read the results back")?;
    for damage in &scan.damaged {
        terminal::note(&format!("warning: {damage}"));
    }
    Ok(scan.cells.into_iter().filter(|files| planned.contains(files.cell.id.as_str())).collect())
}

/// Writes tables (CSV and Markdown) and figures beside the cells.
pub(super) fn write_report(cells: &[CellFiles], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let tables = folder.join("tables");
    std::fs::create_dir_all(&tables).with_context(|| format!("cannot create {}", tables.display()))?;
    for table in table::tables(cells) {
        for (format, extension) in [(Format::Csv, "csv"), (Format::Md, "md")] {
            let path = tables.join(format!("{}.{extension}", table.name));
            write_whole(&RealDisk, &path, table.render(format).as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    plot::draw(cells, &folder.join("plots"))
}

fn print_end(experiment: &Experiment, cells: &[CellFiles], figures: &[PathBuf], folder: &Path, quiet: bool) {
    let tables: Vec<Table> = table::digest(cells);
    let text: Vec<String> = tables.iter().map(|table| table.render(Format::Text)).collect();
    terminal::print(text.join("\n").trim_end());
    if quiet {
        return;
    }
    let folder = folder.display();
    let drawn = if figures.len() == 1 { "figure" } else { "figures" };
    terminal::note(&format!(
        "\nAll cells, the full tables and {} {drawn} are in {folder} (cells/, tables/, plots/).",
        figures.len()
    ));
    if !experiment.expectation.is_empty() {
        terminal::note(&format!("Expected before it ran: {}", experiment.expectation));
    }
    terminal::note(&format!(
        "Next: `table {folder}` prints the full tables, `list experiments` what else there is to run."
    ));
}
