//! Published numbers beside ours: one row a published number. What takes sentences stands in the notes.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, estimate, integer, number_value, word},
    number,
};
use crate::published::{Agreement, Beside, Expected, OurMetric, Published, Source, beside};
use crate::statistics::{Estimate, LEVEL};
use crate::summary::Summary;

/// One row for every published number, in the order of their file.
pub fn published_table(published: &Published, summary: &Summary) -> Table {
    let rows = beside(published, summary);
    let source = |row: &Beside<'_>| published.source(row.result);
    let text = |name, show, field: &'static str, of: for<'r> fn(&Beside<'r>) -> &'r str| {
        column(name, Align::Left, show, &[field], move |row: &Beside<'_>| word(of(row)))
    };
    let columns = vec![
        text("id", Show::Never, "id", |row| &row.result.id),
        text("task", Show::Always, "task", |row| &row.result.task),
        column("model", Align::Left, Show::Always, &["model", "architecture"], |row: &Beside<'_>| {
            let architecture = row.result.ours.as_ref().map(|ours| ours.architecture.clone());
            let values =
                vec![Value::Text(row.result.model.clone()), architecture.map_or(Value::Missing, Value::Text)];
            Cell { text: row.result.model.clone(), values }
        }),
        column(
            "published",
            Align::Left,
            Show::Always,
            &["published", "published_metric", "setting", "value", "at_least", "at_most"],
            printed,
        ),
        column("ours", Align::Right, Show::Always, &["mean", "mean_low", "mean_high"], |row: &Beside<'_>| {
            estimate(&value(row), number::accuracy)
        }),
        column("n", Align::Right, Show::Always, &["n"], |row: &Beside<'_>| integer(value(row).n as u64)),
        text("reproduced", Show::Always, "reproduced", |row| row.agreement.name()),
        column("source", Align::Left, Show::Always, &["source", "at", "arxiv"], move |row: &Beside<'_>| {
            cited(source(row), &row.result.at)
        }),
        column(
            "our setting",
            Align::Left,
            Show::Always,
            &["experiment", "coordinates", "metric", "length"],
            our_setting,
        )
        .secondary(),
        text("reported", Show::Never, "reported", |row| row.result.reported.name()),
        text("certainty", Show::Never, "certainty", |row| row.result.certainty.name()),
        text("checked", Show::Never, "checked", |row| &row.result.checked),
        column("protocol", Align::Left, Show::Never, &["protocol"], move |row: &Beside<'_>| {
            word(source(row).map_or("", |source| &source.protocol))
        }),
        column("differences", Align::Left, Show::Never, &["differences"], move |row: &Beside<'_>| {
            let general = source(row).map_or(&[][..], |source| &source.differences);
            word(&[general, &row.result.differences].concat().join("; "))
        }),
        text("why", Show::Never, "why", |row| row.result.why.as_deref().unwrap_or_default()),
    ];
    let notes = notes(published, &rows);
    build::table("published", "Published numbers beside ours".into(), notes, &rows, columns)
}

/// Our value; without seeds where there is none.
fn value(row: &Beside<'_>) -> Estimate {
    row.ours.as_ref().map(|ours| ours.value.clone()).unwrap_or_default()
}

fn printed(row: &Beside<'_>) -> Cell {
    let of = |kind: fn(Expected) -> Option<f64>| number_value(row.result.expected.and_then(kind));
    let values = vec![
        Value::Text(row.result.printed.clone()),
        Value::Text(row.result.metric.clone()),
        Value::Text(row.result.setting.clone()),
        of(|expected| if let Expected::Value(share) = expected { Some(share) } else { None }),
        of(|expected| if let Expected::AtLeast(share) = expected { Some(share) } else { None }),
        of(|expected| if let Expected::AtMost(share) = expected { Some(share) } else { None }),
    ];
    // One paper has a model at several lengths: the number alone would not tell them apart.
    Cell { text: format!("{} ({})", row.result.printed, row.result.setting), values }
}

fn cited(source: Option<&Source>, at: &str) -> Cell {
    let cited = source.map_or(String::new(), |source| source.cited.clone());
    let arxiv = source.and_then(|source| source.arxiv.clone()).map_or(Value::Missing, Value::Text);
    Cell { text: format!("{cited}, {at}"), values: vec![Value::Text(cited), Value::Text(at.into()), arxiv] }
}

/// `adding-vs-length, length=100`.
fn our_setting(row: &Beside<'_>) -> Cell {
    let Some(ours) = &row.result.ours else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 4] };
    };
    let coordinates: Vec<String> = ours
        .coordinates
        .iter()
        .map(|(key, value)| format!("{key}={}", crate::summary::spelled(value)))
        .collect();
    let coordinates = coordinates.join(" ");
    let mut words = vec![ours.experiment.clone()];
    words.extend((!coordinates.is_empty()).then(|| coordinates.clone()));
    words.extend((ours.metric != OurMetric::Accuracy).then(|| ours.metric.name().replace('_', " ")));
    words.extend(ours.length.map(|length| format!("at length {length}")));
    let values = vec![
        Value::Text(ours.experiment.clone()),
        if coordinates.is_empty() { Value::Missing } else { Value::Text(coordinates) },
        Value::Text(ours.metric.name().into()),
        ours.length.map_or(Value::Missing, Value::Integer),
    ];
    Cell { text: words.join(", "), values }
}

fn notes(published: &Published, rows: &[Beside<'_>]) -> Vec<String> {
    let count = |agreement| rows.iter().filter(|row| row.agreement == agreement).count();
    let mut notes = vec![
        format!(
            "Ours: mean over n seeds ± half the {} % t interval. Reproduced, as computed: yes, the whole interval lies within {} \
             of the published number (or on the right side of its bound); no, it lies outside; partly, neither is shown, or \
             one of our seeds matches what is the best of theirs.",
            100.0 * LEVEL,
            published.tolerance
        ),
        format!(
            "Of {} numbers: {} yes, {} partly, {} no, {} not tried. The sizes, budgets and often the lengths differ, as said \
             below: a yes says that the same holds here, a no is no verdict on the paper.",
            rows.len(),
            count(Agreement::Yes),
            count(Agreement::Partly),
            count(Agreement::No),
            count(Agreement::NotTried)
        ),
    ];
    let used = |key: &str| rows.iter().any(|row| row.result.source == key);
    notes
        .extend(published.sources.iter().filter(|(key, _)| used(key)).map(|(_, source)| source_note(source)));
    let differing = rows.iter().filter(|row| row.agreement != Agreement::Yes);
    let mut reasons: Vec<String> = differing.filter_map(|row| reason(published, row)).collect();
    reasons.dedup();
    notes.extend(reasons);
    notes.extend(rows.iter().filter(|row| row.fitting > 1).map(|row| {
        format!("Beware: {} settings fit `{}`, which must name a coordinate.", row.fitting, row.result.id)
    }));
    notes
}

/// Why a number was not reproduced, as the file explains it.
fn reason(published: &Published, row: &Beside<'_>) -> Option<String> {
    let (result, agreement) = (row.result, row.agreement.name());
    let cited = published.source(result).map_or("", |source| &source.cited);
    let why = result.why.as_ref()?;
    Some(format!("{}, {} ({cited}, {}), {agreement}: {why}", result.task, result.model, result.at))
}

fn source_note(source: &Source) -> String {
    let arxiv = source.arxiv.as_ref().map(|number| format!(", arXiv {number}")).unwrap_or_default();
    format!(
        "{}: {}. {} ({}){arxiv}. {} Differences: {}.",
        source.cited,
        source.authors,
        source.title,
        source.venue,
        source.protocol,
        source.differences.join("; ")
    )
}
