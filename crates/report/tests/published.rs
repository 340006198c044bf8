//! Published numbers: the file that comes with the program, refusals, and what stands beside what.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;

use cells::*;
use seqbench_record::{CellFiles, Store};
use seqbench_report::published::*;
use seqbench_report::summary::summarise;
use seqbench_report::table::{Column, Format, TEXT_WIDTH, Table, Value, published_table};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HEAD: &str = r#"tolerance = 0.05

[source.a]
authors = "Adams, Baker"
cited = "Adams & Baker 1999"
year = 1999
title = "On copying"
venue = "Journal"
arxiv = "9901.00001"
protocol = "A million steps."
differences = ["a thousand steps here"]
"#;

const RESULT: &str = r#"
[[result]]
id = "one"
source = "a"
at = "Table 1"
task = "copying"
model = "LSTM of theirs"
metric = "accuracy"
printed = "90.0 %"
value = 0.9
reported = "mean"
setting = "T = 10"
certainty = "text"
checked = "full text"
ours = { experiment = "quick", architecture = "lstm", metric = "accuracy", coordinates = { lag = 10 } }
why = "Fewer steps."
"#;

fn file() -> String {
    format!("{HEAD}{RESULT}")
}

fn built_in() -> Published {
    parse("experiments/published.toml", BUILT_IN).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> PublishedError {
    parse("x.toml", text).unwrap_err()
}

/// Refused at the line that holds `place`, saying `said`, with a remedy.
#[track_caller]
fn is_refused(text: &str, place: &str, said: &str) {
    let error = refused(text);
    let line = text.lines().position(|line| line.contains(place)).unwrap() + 1;
    assert_eq!((error.file.as_str(), error.line), ("x.toml", line), "{error}");
    assert!(error.message.contains(said), "{error}");
    assert!(error.to_string().contains(&format!("x.toml:{line}: ")) && !error.help.is_empty(), "{error}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn field(table: &Table, name: &str) -> Vec<Value> {
    let place = |column: &Column| column.fields.iter().position(|field| field == name);
    let (i, j) = table.columns.iter().enumerate().find_map(|(i, c)| Some((i, place(c)?))).unwrap();
    table.rows.iter().map(|row| row[i].values[j].clone()).collect()
}

fn shown(table: &Table, name: &str) -> Vec<String> {
    let place = table.columns.iter().position(|column| column.name == name).unwrap();
    table.rows.iter().map(|row| row[place].text.clone()).collect()
}

/// Three seeds at lag 10.
fn runs(accuracies: [f64; 3]) -> Vec<CellFiles> {
    (0..3).map(|seed| solved_at("lstm", 10, seed, accuracies[seed as usize])).collect()
}

fn reproduced(text: &str, cells: &[CellFiles]) -> Agreement {
    let published = parse("x.toml", text).unwrap();
    let summary = summarise(cells);
    beside(&published, &summary)[0].agreement
}

#[test]
fn ours_agrees_differs_or_was_not_measured() {
    let text = file();
    assert_eq!(reproduced(&text, &runs([0.89, 0.90, 0.91])), Agreement::Yes);
    assert_eq!(reproduced(&text, &runs([0.80, 0.90, 1.00])), Agreement::Partly);
    assert_eq!(reproduced(&text, &runs([0.50, 0.51, 0.52])), Agreement::No);
    assert_eq!(reproduced(&text, &[]), Agreement::NotTried);
    let another_lag: Vec<_> = (0..3).map(|seed| solved_at("lstm", 30, seed, 0.9)).collect();
    assert_eq!(reproduced(&text, &another_lag), Agreement::NotTried);
    let another_model: Vec<_> = (0..3).map(|seed| solved_at("rnn", 10, seed, 0.9)).collect();
    assert_eq!(reproduced(&text, &another_model), Agreement::NotTried);
    assert_eq!(reproduced(&text.replace("quick", "slow"), &runs([0.9; 3])), Agreement::NotTried);
    assert_eq!(reproduced(&text.replace("\"copying\"", "\"adding\""), &runs([0.9; 3])), Agreement::NotTried);
}

#[test]
fn the_wider_the_tolerance_the_more_agrees() {
    let cells = runs([0.79, 0.80, 0.81]);
    assert_eq!(reproduced(&file(), &cells), Agreement::No);
    assert_eq!(reproduced(&file().replace("tolerance = 0.05", "tolerance = 0.15"), &cells), Agreement::Yes);
}

#[test]
fn a_selector_that_fits_two_settings_is_named_and_compares_nothing() {
    let text = file().replace(", coordinates = { lag = 10 }", "");
    let mut cells = runs([0.9; 3]);
    assert_eq!(reproduced(&text, &cells), Agreement::Yes);
    cells.extend((0..3).map(|seed| solved_at("lstm", 30, seed, 0.9)));
    let (published, summary) = (parse("x.toml", &text).unwrap(), summarise(&cells));
    let row = &beside(&published, &summary)[0];
    assert_eq!((row.fitting, row.agreement, &row.ours), (2, Agreement::NotTried, &None));
    let notes = published_table(&published, &summary).notes.join("\n");
    assert!(notes.contains("2 settings fit `one`"), "{notes}");
}

#[test]
fn coordinates_go_by_their_key_or_its_last_word() {
    let swept = |seed| {
        let mut files = cell("lstm", seed, &[("task.permuted", json!(true))]);
        files.scores.push(score("accuracy", 10, 0.9));
        files
    };
    let cells: Vec<_> = (0..3).map(swept).collect();
    for (key, expected) in [
        ("permuted = true", Agreement::Yes),
        ("\"task.permuted\" = true", Agreement::Yes),
        ("permuted = false", Agreement::NotTried),
        ("mute = true", Agreement::NotTried),
    ] {
        assert_eq!(reproduced(&file().replace("lag = 10", key), &cells), expected, "{key}");
    }
}

#[test]
fn length_and_metric_choose_the_number() {
    let of = |ours: &str| {
        let seed = |seed| extrapolating("lstm", "copying", (8, 1.0), &[(12, 0.6), (16, 0.4)], seed);
        let mut cells: Vec<_> = (0..3).map(seed).collect();
        for files in &mut cells {
            files.scores.push(score("exact_match", 8, 0.3));
        }
        let text = file().replace("metric = \"accuracy\", coordinates = { lag = 10 }", ours);
        let (published, summary) = (parse("x.toml", &text).unwrap(), summarise(&cells));
        beside(&published, &summary)[0].ours.as_ref().map(|own| (1e6 * own.value.mean.unwrap()).round() / 1e6)
    };
    assert_eq!(of("metric = \"accuracy\""), Some(1.0));
    assert_eq!(of("metric = \"accuracy\", length = 8"), Some(1.0));
    assert_eq!(of("metric = \"accuracy\", length = 16"), Some(0.4));
    assert_eq!(of("metric = \"accuracy\", length = 17"), None);
    assert_eq!(of("metric = \"extrapolation\""), Some(0.5));
    assert_eq!(of("metric = \"exact_match\""), Some(0.3));
}

#[test]
fn a_wrong_key_is_refused_with_its_line() {
    is_refused(&file().replace("printed =", "printd ="), "printd", "printd");
    is_refused(&file().replace("venue =", "venu ="), "venu ", "venu");
    is_refused(&file().replace("tolerance = 0.05", "tolerance = 0.05\nfit = 1"), "fit = 1", "fit");
    is_refused(&file().replace("coordinates =", "coordinate ="), "coordinate ", "coordinate");
    // A verdict is computed, not written.
    is_refused(&file().replace("why =", "reproduced = \"yes\"\nwhy ="), "reproduced", "reproduced");
}

#[test]
fn what_says_nothing_or_two_things_is_refused_with_its_line() {
    is_refused(&file().replace("value = 0.9", "value = 90.0"), "value = 90.0", "no share");
    is_refused(&file().replace("value = 0.9", "value = 0.9\nat_least = 0.8"), "at_least", "two numbers");
    is_refused(&file().replace("value = 0.9", "value = 0.95"), "value = 0.95", "90.0 %");
    is_refused(&file().replace("tolerance = 0.05", "tolerance = 0.0"), "tolerance", "tolerance");
    is_refused(&file().replace("tolerance = 0.05", "tolerance = nan"), "tolerance", "tolerance");
    is_refused(&file().replace("source = \"a\"", "source = \"b\""), "source = \"b\"", "no source `b`");
    is_refused(&file().replace("\"full text\"", "\" \""), "checked", "`checked` is empty");
    is_refused(&file().replace("value = 0.9\n", ""), "ours", "nothing to compare");
    is_refused(
        &file()
            .replace("lag = 10 }", "lag = 10 }, length = 8")
            .replace("metric = \"accuracy\", c", "metric = \"exact_match\", c"),
        "ours",
        "length",
    );
    is_refused(&file().replace("reported = \"mean\"", "reported = \"median\""), "median", "median");
    is_refused(&file().replace("setting = \"T = 10\"", "setting = T"), "setting", "");
    let twice = format!("{}{}", file(), RESULT);
    assert_eq!(refused(&twice).line, file().lines().count() + 3, "{}", refused(&twice));
    let without: String = file()
        .lines()
        .filter(|line| !line.starts_with("ours") && !line.starts_with("why"))
        .map(|line| format!("{line}\n"))
        .collect();
    is_refused(&without, "id = \"one\"", "nothing of ours");
    assert_eq!(
        reproduced(&format!("{without}why = \"no such model\"\n"), &runs([0.9; 3])),
        Agreement::NotTried
    );
}

#[test]
fn the_table_shows_the_numbers_and_tells_the_rest_in_notes() {
    let published = parse("x.toml", &file()).unwrap();
    let table = published_table(&published, &summarise(&runs([0.50, 0.51, 0.52])));
    assert_eq!((table.name.as_str(), table.rows.len(), table.is_deterministic()), ("published", 1, true));
    assert_eq!(shown(&table, "published"), ["90.0 % (T = 10)"]);
    assert_eq!(shown(&table, "ours"), ["0.510 ± 0.025"]);
    assert_eq!(shown(&table, "reproduced"), ["no"]);
    assert_eq!(shown(&table, "source"), ["Adams & Baker 1999, Table 1"]);
    assert_eq!(shown(&table, "our setting"), ["quick, lag=10"]);
    let text = |text: &str| vec![Value::Text(text.into())];
    assert_eq!(field(&table, "architecture"), text("lstm"));
    assert_eq!(field(&table, "differences"), text("a thousand steps here"));
    assert_eq!(field(&table, "value"), [Value::Number(0.9)]);
    assert_eq!(
        (field(&table, "at_least"), field(&table, "n")),
        (vec![Value::Missing], vec![Value::Integer(3)])
    );
    let notes = table.notes.join("\n");
    assert!(notes.contains("0 yes, 0 partly, 1 no, 0 not tried"), "{notes}");
    assert!(
        notes.contains("arXiv 9901.00001. A million steps. Differences: a thousand steps here."),
        "{notes}"
    );
    assert!(
        notes.contains("copying, LSTM of theirs (Adams & Baker 1999, Table 1), no: Fewer steps."),
        "{notes}"
    );
    // What needs no explanation gets none.
    let notes = published_table(&published, &summarise(&runs([0.9; 3]))).notes.join("\n");
    assert!(notes.contains("1 yes") && !notes.contains("Fewer steps."), "{notes}");
}

#[test]
fn every_form_holds_every_row_and_text_fits_the_terminal() {
    let published = built_in();
    let table = published_table(&published, &summarise(&[]));
    assert_eq!(table.rows.len(), published.results.len());
    for row in &table.rows {
        let fields: Vec<usize> = row.iter().map(|cell| cell.values.len()).collect();
        assert_eq!(fields, table.columns.iter().map(|column| column.fields.len()).collect::<Vec<_>>());
    }
    let text = table.render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    let csv = table.render(Format::Csv);
    let ids: Vec<String> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(|row| row.unwrap()[0].to_string()).collect();
    assert_eq!(ids, published.results.iter().map(|result| result.id.clone()).collect::<Vec<_>>());
    for format in [Format::Md, Format::Latex] {
        let rendered = table.render(format);
        assert!(rendered.contains("Delétang et al. 2023, Table 2"), "{rendered}");
    }
    let json: serde_json::Value = serde_json::from_str(&table.render(Format::Json)).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), published.results.len());
    assert!(table.rows.iter().all(|row| row.iter().any(|cell| cell.text == "not tried")));
}

#[test]
fn every_paper_is_used_and_every_number_was_read_somewhere() {
    let published = built_in();
    let used: BTreeSet<&str> = published.results.iter().map(|result| result.source.as_str()).collect();
    assert_eq!(used, published.sources.keys().map(String::as_str).collect());
    for result in &published.results {
        assert!(result.id.starts_with(&result.source), "{}", result.id);
        // A share to compare with stands where something of ours does, and nowhere else.
        assert_eq!(result.ours.is_some(), result.expected.is_some(), "{}", result.id);
    }
    for source in published.sources.values() {
        assert!(source.cited.ends_with(&source.year.to_string()), "{}", source.cited);
        assert!(!source.differences.is_empty(), "{}", source.cited);
    }
}

/// The tables of a key that holds one or a list of them.
fn tables_of<'a>(file: &'a toml::Table, key: &str) -> Vec<&'a toml::Table> {
    match file.get(key) {
        Some(toml::Value::Table(one)) => vec![one],
        Some(toml::Value::Array(many)) => many.iter().filter_map(toml::Value::as_table).collect(),
        _ => Vec::new(),
    }
}

/// Every value that an experiment gives a key, in its sweep or in a task.
fn values_of(file: &toml::Table, key: &str) -> Vec<serde_json::Value> {
    let swept = file.get("sweep").and_then(toml::Value::as_table);
    let nested = swept.and_then(|sweep| sweep.get("task")).and_then(toml::Value::as_table);
    let swept =
        [swept, nested].into_iter().flatten().filter_map(|table| table.get(key)?.as_array()).flatten();
    let stated = tables_of(file, "task").into_iter().filter_map(|task| task.get(key));
    swept.chain(stated).map(|value| serde_json::to_value(value).unwrap()).collect()
}

#[test]
fn every_number_of_ours_names_an_experiment_with_that_model_task_and_place() {
    for result in built_in().results {
        let Some(ours) = &result.ours else { continue };
        let path = root().join(format!("experiments/{}.toml", ours.experiment));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", result.id));
        let file: toml::Table = text.parse().unwrap();
        let kinds = |key| {
            tables_of(&file, key).iter().map(|table| table["kind"].as_str().unwrap()).collect::<Vec<_>>()
        };
        assert!(kinds("model").contains(&ours.architecture.as_str()), "{}", result.id);
        assert!(kinds("task").contains(&result.task.as_str()), "{}", result.id);
        for (key, value) in &ours.coordinates {
            assert!(values_of(&file, key).contains(value), "{}: {key} is never {value}", result.id);
        }
        let task = *tables_of(&file, "task")
            .iter()
            .find(|task| task["kind"].as_str() == Some(&result.task))
            .unwrap();
        let number = |key: &str| task.get(key).and_then(toml::Value::as_integer);
        assert!(ours.metric != OurMetric::Extrapolation || number("test_length").is_some(), "{}", result.id);
        if let Some(length) = ours.length {
            let longest = number("test_length").or(number("length")).unwrap();
            assert!(length as i64 <= longest, "{}: length {length}", result.id);
        }
    }
}

/// Cells of the committed results of an experiment.
fn committed(experiment: &str) -> Vec<CellFiles> {
    let machines = std::fs::read_dir(root().join("results").join(experiment)).unwrap();
    machines.flat_map(|machine| Store::open(machine.unwrap().path()).cells().unwrap()).collect()
}

#[test]
fn in_the_committed_results_each_stands_beside_one_setting_and_every_difference_is_explained() {
    let published = built_in();
    let experiments: BTreeSet<&str> = published
        .results
        .iter()
        .filter_map(|result| Some(result.ours.as_ref()?.experiment.as_str()))
        .collect();
    let cells: Vec<CellFiles> = experiments.into_iter().flat_map(committed).collect();
    let summary = summarise(&cells);
    let rows = beside(&published, &summary);
    for row in &rows {
        let id = &row.result.id;
        assert_eq!(row.fitting, usize::from(row.result.ours.is_some()), "{id}");
        assert_eq!(row.agreement == Agreement::NotTried, row.result.ours.is_none(), "{id}");
        let is_explained = row.agreement == Agreement::Yes || row.result.why.is_some();
        assert!(is_explained, "{id}: {} and no `why`", row.agreement.name());
    }
    let table = published_table(&published, &summary);
    let text = table.render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    let found = |agreement| rows.iter().any(|row| row.agreement == agreement);
    assert!(
        found(Agreement::Yes) && found(Agreement::No),
        "a comparison that always ends the same compares nothing"
    );
}
