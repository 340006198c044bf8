//! Progress of a run: a bar with the time left on a terminal, a line a cell elsewhere, nothing when asked to be quiet.

use crate::terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use seqbench_harness::run::{Event, Observer};
use std::io::IsTerminal;
use std::time::Duration;

/// What is shown while an experiment runs.
pub(crate) enum Progress {
    /// Nothing.
    Quiet,
    /// A line for each finished cell.
    Lines {
        /// Cells finished.
        done: usize,
        /// Cells to finish.
        all: usize,
    },
    /// A bar, redrawn in place.
    Bar(ProgressBar),
}

impl Progress {
    /// What suits the error stream.
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet {
            return Progress::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Progress::Lines { done: 0, all: 0 };
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} cells, {prefix}{wide_msg}") {
            bar.set_style(style);
        }
        Progress::Bar(bar)
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>, left: Option<Duration>) {
        match self {
            Progress::Quiet => {}
            Progress::Lines { done, all } => match event {
                Event::Planned { missing, reused } => {
                    *all = *missing;
                    terminal::note(&format!("{missing} cells to run, {reused} stand already"));
                }
                Event::Finished { line, .. } => {
                    *done += 1;
                    terminal::note(&format!("[{done}/{all}] {line}"));
                }
                Event::Selected { group, rate, .. } => {
                    terminal::note(&format!("{}: selected learning rate {rate}", group.labels.model));
                }
                Event::Started { .. } | Event::Progress { .. } | Event::Round { .. } => {}
            },
            Progress::Bar(bar) => {
                if let Some(left) = left {
                    bar.set_prefix(format!("{} left  ", span(left)));
                }
                match event {
                    Event::Planned { missing, .. } => bar.set_length(*missing as u64),
                    Event::Started { cell, .. } => bar.set_message(name(&cell.labels)),
                    Event::Progress { cell, step, steps, note } => {
                        bar.set_message(format!("{}: step {step}/{steps}, {note}", name(&cell.labels)));
                    }
                    Event::Finished { line, .. } => {
                        bar.inc(1);
                        bar.println(line);
                    }
                    Event::Selected { group, rate, .. } => {
                        bar.println(format!("{}: selected learning rate {rate}", group.labels.model));
                    }
                    Event::Round { done, total, .. } => {
                        bar.set_message(format!("timing, pass {done}/{total}"))
                    }
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Progress::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn name(labels: &seqbench_record::Labels) -> String {
    let coordinates = labels.coordinates.iter().map(|own| format!(" {}={}", own.key, own.value));
    format!("{} {}{} seed={}", labels.model, labels.task, coordinates.collect::<String>(), labels.seed)
}

/// A duration as a person says it.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_the_largest_fitting_units() {
        assert_eq!(span(Duration::from_secs(59)), "59 s");
        assert_eq!(span(Duration::from_secs(61)), "1 min 01 s");
        assert_eq!(span(Duration::from_secs(3660)), "1 h 01 min");
    }
}
