//! The command line, as a library: [`main_with`] gives any registry the whole of `seqbench`, so that a crate with an
//! architecture of its own needs no fork. The only crate that prints or exits.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

/// (name, text) of files of a folder that come with the program.
macro_rules! embedded {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../", $folder, "/", $name, ".toml")))),*]
    };
}

mod arguments;
mod check;
mod claims;
mod commands;
mod experiments;
mod failure;
pub mod pages;
mod progress;
mod signals;
mod single;
mod stored;
mod survey;
mod terminal;

pub use seqbench_core::Registry;
pub use seqbench_harness::memory::KeepBig;
pub use seqbench_models::builtin as builtin_models;
pub use seqbench_tasks::builtin as builtin_tasks;

use arguments::{Arguments, Command};
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

/// The registry of the built-in architectures and tasks, to which one adds one's own.
pub fn builtin() -> Registry {
    Registry::new(&builtin_models(), &builtin_tasks())
}

/// Runs the command line over a registry and returns the exit code.
///
/// Child processes run the current program again, so whatever the registry holds, they hold too.
pub fn main_with(registry: Registry) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to clap, and none to a person.
            let code = if error.use_stderr() { 2 } else { 0 };
            // A closed pipe leaves nobody to tell.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour);
    log.with_env_filter(level).without_time().init();
    if let Err(message) = seqbench_harness::instruction_set() {
        return failure::Failure::usage(format!("error: {message}")).report();
    }
    let outcome = match &arguments.command {
        Command::List(list) => commands::list::run(list, &registry),
        Command::Run(run) => commands::run::run(run, arguments.quiet, &registry),
        Command::Status(status) => commands::status::run(status, &registry),
        Command::Merge(merge) => commands::merge::run(merge, &registry),
        Command::Check(check) => commands::check::run(check, &registry),
        Command::Pack(pack) => commands::pack::run(pack),
        Command::Clean(clean) => commands::clean::run(clean, &registry),
        Command::Slurm(slurm) => commands::slurm::run(slurm, &registry),
        Command::Table(table) => commands::table::run(table, &registry),
        Command::Plot(plot) => commands::plot::run(plot),
        Command::Verify(verify) => commands::verify::run(verify, &registry),
        Command::Calibrate(calibrate) => commands::calibrate::run(calibrate),
        Command::Cost(cost) => commands::cost::run(cost, &registry),
        Command::Choose(choose) => commands::choose::run(choose),
        Command::Report(report) => commands::report::run(report, &registry),
        Command::Claims(claims) => commands::claims::run(claims, arguments.quiet, &registry),
        Command::Compare(compare) => commands::compare::run(compare),
        Command::Bench(bench) => commands::bench::run(bench, &registry),
        Command::Model(model) => commands::model::run(model, &registry),
        Command::Completions(completions) => commands::completions::run(completions),
        Command::Man => commands::completions::man(),
        Command::Worker => commands::worker::run(&registry),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
