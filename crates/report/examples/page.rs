//! A page from folders of results, to look at: `cargo run -p seqbench-report --example page -- OUT FOLDER…`.

use seqbench_record::{CellFiles, Store};
use seqbench_report::claims::{Decision, Outcome, Side};
use seqbench_report::page::{Chapter, Page, html};
use seqbench_report::statistics::{Interval, SeedValue};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("no file to write to")?;
    let folders: Vec<String> = arguments.collect();
    let mut read = Vec::new();
    for folder in &folders {
        let store = Store::open(folder);
        let toml = store.experiment()?.unwrap_or_default();
        read.push((store.cells()?, toml));
    }
    let chapters = folders.iter().zip(&read).map(|(folder, (cells, toml))| chapter(folder, cells, toml));
    let page = Page {
        title: "How far back can each sequence architecture learn to look, and what does it cost?".into(),
        chapters: chapters.collect(),
        decisions: decisions(&read.iter().flat_map(|(cells, _)| cells.clone()).collect::<Vec<_>>()),
        ..Page::default()
    };
    std::fs::write(out, html(&page))?;
    Ok(())
}

fn chapter<'a>(folder: &str, cells: &'a [CellFiles], toml: &str) -> Chapter<'a> {
    // Enough for the committed files, which state both on one line.
    let stated = |key: &str| {
        let line = toml.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map(|line| line.trim_end_matches('"').to_owned()).unwrap_or_default()
    };
    Chapter {
        name: cells.first().map(|files| files.cell.experiment.clone()).unwrap_or_default(),
        question: stated("question"),
        expectation: stated("expectation"),
        folder: folder.trim_end_matches('/').to_owned(),
        cells,
        experiment_toml: Some(toml.to_owned()),
    }
}

/// One made-up decision an outcome, with seeds from the cells, so that there is something to look at.
fn decisions(cells: &[CellFiles]) -> Vec<Decision> {
    let side = |model: &str| {
        let own = cells.iter().filter(|files| files.cell.labels.model == model);
        let scored = own.filter_map(|files| {
            let row = files.scores.iter().find(|row| row.split == "test" && row.metric == "accuracy")?;
            Some((SeedValue { seed: files.cell.labels.seed, value: row.value }, files.cell.id.clone()))
        });
        let (values, cells) = scored.take(8).unzip();
        Side { name: format!("{model}, test accuracy"), values, cells }
    };
    [
        (Outcome::Supported, 0.3, "made up: an LSTM remembers farther than an RNN"),
        (Outcome::Refuted, 0.05, "made up: an RNN remembers farther than an LSTM"),
        (Outcome::Inconclusive, 0.0, "made up: a state-space model remembers farther than a transformer"),
        (Outcome::Open, 2.0, "made up: whatever is asked next"),
    ]
    .map(|(outcome, margin, claim)| Decision {
        name: format!("made-up-{margin}"),
        claim: claim.into(),
        source: "A made-up lecture (2026), https://example.org/lecture.pdf, slide 12.".into(),
        experiment: "quick".into(),
        outcome,
        test: format!("mean test accuracy: lstm above rnn by more than {margin}"),
        sides: if outcome == Outcome::Open { Vec::new() } else { vec![side("lstm"), side("rnn")] },
        effect: Some(0.41),
        interval: Some(Interval { low: 0.21, high: 0.61 }),
        unit: String::new(),
        margin,
        confidence: 0.95,
        p: Some(0.0079),
        adjusted: Some(0.032),
        seeds_needed: (outcome == Outcome::Inconclusive).then_some(12),
        notes: vec!["Made up by the example, of real seeds.".into()],
    })
    .into()
}
