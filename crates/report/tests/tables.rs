//! Tables of hand-made cells, in every output form.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod read;

use cells::*;
use read::{field, named};
use seqbench_record::{CellFiles, MemoryRow, ProfileRow, Provenance, TimingRow};
use seqbench_report::table::*;
use serde_json::json;

fn quick() -> Vec<CellFiles> {
    let mut cells = Vec::new();
    for (model, reach) in [("lstm", 100), ("rnn relu", 10), ("ssm", 30), ("transformer", 100)] {
        for lag in [10, 30, 100] {
            for seed in 0..3 {
                let accuracy = if lag <= reach { 0.98 + 0.01 * seed as f64 } else { 0.13 };
                let mut files = solved_at(model, lag, seed, accuracy);
                files.scores.push(score("exact_match", lag, accuracy / 2.0));
                if lag <= reach {
                    files.cell.facts.insert("steps_to_solve".into(), 500.0 + 100.0 * seed as f64);
                }
                files.profiles = [0, 1, 2, 4, 8].map(|d| profile(d, -0.05 * d as f64, true)).into();
                cells.push(files);
            }
        }
        let rows = [64, 256, 1024]
            .into_iter()
            .flat_map(|length| {
                (0..5)
                    .map(move |round| timing("train", length, 32, round, length * 10_000 + u64::from(round)))
            })
            .collect();
        let mut files = timed(model, &[], rows);
        files.memory = vec![MemoryRow {
            mode: "train".into(),
            length: 64,
            batch: 32,
            peak_bytes: 123_400_000,
            baseline_bytes: 1,
        }];
        files.cell.facts.insert("state_bytes".into(), 2048.0);
        cells.push(files);
    }
    cells.push(diverged_at("rnn relu", 100, 3));
    cells
}

#[test]
fn every_table_that_has_a_row_and_no_other() {
    let names = |cells: &[CellFiles]| tables(cells).into_iter().map(|table| table.name).collect::<Vec<_>>();
    assert_eq!(names(&quick()), ["accuracy", "reach", "gradients", "throughput", "scaling", "crossovers"]);
    assert_eq!(names(&[]), Vec::<String>::new());
    let deterministic: Vec<_> = tables(&quick()).iter().map(Table::is_deterministic).collect();
    assert_eq!(deterministic, [true, true, true, false, false, false]);
}

#[test]
fn cells_fit_their_columns_and_texts_the_terminal() {
    for table in tables(&quick()) {
        for row in &table.rows {
            assert_eq!(row.len(), table.columns.len(), "{}", table.name);
            for (cell, column) in row.iter().zip(&table.columns) {
                assert_eq!(cell.values.len(), column.fields.len(), "{} {}", table.name, column.name);
            }
        }
        let text = table.render(Format::Text);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(TEXT_WIDTH), "{widest}\n{text}");
        let mut fields: Vec<_> = table.columns.iter().flat_map(|column| &column.fields).collect();
        let all = fields.len();
        fields.sort();
        fields.dedup();
        assert_eq!(fields.len(), all, "{}: field names are unique", table.name);
    }
}

#[test]
fn accuracy_in_text_for_people() {
    let text = named(&quick(), "accuracy").render(Format::Text);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "Accuracy on copying");
    let line = |model: &str, lag: &str| {
        let cells = |line: &&str| -> Vec<String> {
            line.split(['│', '┆'])
                .map(|cell| cell.trim().to_string())
                .filter(|cell| !cell.is_empty())
                .collect()
        };
        lines.iter().map(cells).find(|cells| cells.len() > 2 && cells[0] == model && cells[1] == lag).unwrap()
    };
    // Three seeds 0.98, 0.99, 1.00: half width 4.3027·0.01/√3.
    assert_eq!(
        line("lstm", "100"),
        ["lstm", "100", "0.990 ± 0.025", "3/3 (44–100 %)", "0.495", "600", "12.3 k", "–"]
    );
    assert_eq!(
        line("rnn relu", "100"),
        ["rnn relu", "100", "0.130 ± 0.000", "0/4 (0–49 %)", "0.065", "–", "12.3 k", "1"],
        "`1 diverged` wraps between its words"
    );
    assert!(named(&quick(), "accuracy").render(Format::Md).contains("| – | 12.3 k | 1 diverged |"));
    for expected in [
        "95 % t interval",
        "Wilson",
        "Chance: 0.125.",
        "Solved: accuracy ≥ 0.95",
        "A diverged run counts as unsolved and has no value in the mean",
        "Budget: 3000 optimizer steps a run.",
    ] {
        assert!(text.replace('\n', " ").contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn chance_has_a_column_where_it_differs() {
    let mut other = solved_at("lstm", 30, 0, 0.5);
    other.cell.references[0].value = 0.5;
    let text = named(&[solved_at("lstm", 10, 0, 0.5), other], "accuracy").render(Format::Md);
    assert!(text.contains("| chance |") && !text.contains("Chance:"), "{text}");
}

#[test]
fn a_table_that_cannot_keep_its_words_whole_still_fits() {
    let cells: Vec<_> = (0..3)
        .map(|i| {
            let long = format!("a-model-with-a-name-far-longer-than-any-terminal-has-room-for-{i}");
            let mut files = solved_at(&long, 10, 0, 0.5);
            files.cell.labels.task = format!("a-task-with-a-long-name-as-well-{i}");
            files
        })
        .collect();
    let text = named(&cells, "accuracy").render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
}

#[test]
fn provenance_stands_below_the_numbers_and_the_machine_below_the_timed_ones() {
    let mut cells = quick();
    for files in &mut cells {
        files.cell.provenance = Provenance {
            version: "0.1.0".into(),
            revision: "0123456789ab-dirty".into(),
            isa: "avx2".into(),
            processor: "EPYC".into(),
            ..Provenance::default()
        };
    }
    let note = |name: &str| named(&cells, name).notes.pop().unwrap();
    assert_eq!(note("accuracy"), "Made with seqbench 0.1.0 0123456789ab-dirty, avx2.");
    assert!(note("throughput").contains("EPYC"));
}

#[test]
fn one_seed_shows_its_mean_alone() {
    let table = named(&[solved_at("lstm", 30, 0, 0.5)], "accuracy");
    let text = table.render(Format::Md);
    assert!(text.contains("| 0.500 | 0/1 (0–79 %) |"), "{text}");
    assert_eq!(field(&table, "mean_low"), [Value::Missing]);
    assert!(!text.contains("not done") && !text.contains("exact match"), "empty columns stay out of sight");
}

#[test]
fn csv_holds_every_field_in_full_precision() {
    let text = named(&quick(), "accuracy").render(Format::Csv);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 12);
    let get = |row: &csv::StringRecord, name: &str| {
        row.get(header.iter().position(|field| field == name).unwrap()).unwrap().to_string()
    };
    assert_eq!(get(&rows[3], "mean").parse::<f64>().unwrap(), (0.98 + 0.99 + 1.0) / 3.0);
    assert_eq!(
        ["task", "model", "architecture", "lag", "n", "solved", "solved_of", "steps", "chance", "group"]
            .map(|name| get(&rows[2], name)),
        ["copying", "rnn relu", "rnn", "100", "3", "0", "4", "3000", "0.125", "rnn relu-lag100"]
    );
    assert_eq!(
        [get(&rows[2], "diverged"), get(&rows[2], "failed"), get(&rows[3], "diverged")],
        ["1", "0", ""]
    );
}

#[test]
fn json_holds_the_same_fields_and_names_what_it_cannot_hold() {
    let mut cells = quick();
    let mut zero = cell("dead", 0, &[("lag", json!(10))]);
    zero.profiles = [0, 5].map(|d| profile(d, if d == 0 { 0.0 } else { f64::NEG_INFINITY }, true)).into();
    cells.push(zero);
    for table in tables(&cells) {
        let parsed: serde_json::Value = serde_json::from_str(&table.render(Format::Json)).unwrap();
        let rows = parsed["rows"].as_array().unwrap();
        assert_eq!(rows.len(), table.rows.len());
        let fields = table.columns.iter().map(|column| column.fields.len()).sum::<usize>();
        assert!(rows.iter().all(|row| row.as_object().unwrap().len() == fields), "{}", table.name);
        assert_eq!(parsed["name"], table.name.as_str());
    }
    let gradients = named(&cells, "gradients").render(Format::Json);
    let parsed: serde_json::Value = serde_json::from_str(&gradients).unwrap();
    let dead = parsed["rows"].as_array().unwrap().iter().find(|row| row["model"] == "dead").unwrap();
    assert_eq!((&dead["log10_relative"], &dead["verdict"]), (&json!("-inf"), &json!(null)));
    assert_eq!(parsed["units"]["half_life_steps"], "steps");
}

#[test]
fn reach_shows_what_is_censored() {
    let table = named(&quick(), "reach");
    let text = table.render(Format::Md);
    assert!(text.contains("| lstm | ≥ 100 | ≥ 100 | ≥ 100 | 10: 3/3, 30: 3/3, 100: 3/3 | 3000 |"), "{text}");
    assert!(text.contains("| rnn relu | 10 | 10 | 10 | 10: 3/3, 30: 0/3, 100: 0/4 | 3000 |"), "{text}");
    assert!(text.contains("### Reach in lag on copying"), "{text}");
    assert_eq!(field(&table, "reach_all_censored")[..2], [Value::Flag(false), Value::Flag(true)]);
    let never = named(&[solved_at("rnn", 10, 0, 0.1)], "reach").render(Format::Md);
    assert!(
        never.contains("| rnn | < 10 | < 10 | < 10 |")
            || never.contains("| rnn | \\< 10 | \\< 10 | \\< 10 |"),
        "{never}"
    );
}

#[test]
fn gradients_show_decay_verdict_and_the_furthest_trusted_distance() {
    let text = named(&quick(), "gradients").render(Format::Md);
    assert!(
        text.contains("| lstm | 10 | -0.0500 ± 0.0000 | 6.02 | -0.400 @ 8 | 0.891 | vanishing |"),
        "{text}"
    );
    assert!(!text.contains("stage |"), "what all rows share has no column: {text}");
    assert!(text.contains("All rows: stage init, layer 0, of input, n 3, memory ≥ 8."), "{text}");
}

#[test]
fn throughput_and_growth() {
    let text = named(&quick(), "throughput").render(Format::Md);
    assert!(
        text.contains("| lstm | train | 64 | 640 µs | 640–640 µs | 3.20 M | 123 MB | 2.05 kB |"),
        "{text}"
    );
    assert!(text.contains("All rows: batch 32, threads 1, rounds 5."), "{text}");
    let growth = named(&quick(), "scaling");
    assert!(growth.render(Format::Md).contains("| lstm | train | 1.00 | 64–1024 | 3 of 3 |"));

    let wrong = vec![
        timing("train", 64, 1, 0, 1000),
        TimingRow { err: "checksum differs".into(), ..timing("train", 64, 1, 1, 9) },
    ];
    let text = named(&[timed("lstm", &[], wrong)], "throughput").render(Format::Md);
    assert!(text.contains("1 rounds are left out") && text.contains("| wrong |"), "{text}");
}

#[test]
fn a_growth_of_four_lengths_has_its_standard_error() {
    let times = [(64, 1000), (128, 2000), (256, 5000), (512, 8000)];
    let growth = named(&[timed("lstm", &[], rounds("train", 1, &times))], "scaling");
    // In octaves: x −1.5 … 1.5, y = log2 of 1, 2, 5, 8.
    let y = [1f64, 2.0, 5.0, 8.0].map(f64::log2);
    let slope = (-1.5 * y[0] - 0.5 * y[1] + 0.5 * y[2] + 1.5 * y[3]) / 5.0;
    let centre = y.iter().sum::<f64>() / 4.0;
    let left: f64 = (0..4).map(|i| (y[i] - centre - slope * (i as f64 - 1.5)).powi(2)).sum();
    // Student's t of two degrees of freedom at 97.5 %.
    let half = 4.302_652_729_9 * (left / 2.0 / 5.0).sqrt();
    let expected = format!("| lstm | train | {slope:.2} ± {half:.2} | 64–512 | 4 of 4 |");
    let text = growth.render(Format::Md);
    assert!(text.contains(&expected) && text.contains("t interval"), "{expected} {text}");
    let two = rounds("train", 1, &[(64, 1), (128, 2)]);
    assert!(tables(&[timed("lstm", &[], two)]).iter().all(|table| table.name != "scaling"));
}

#[test]
fn what_has_no_room_is_named_and_no_number_breaks() {
    let mut cells = Vec::new();
    for model in ["transformer positions=none", "lstm"] {
        for seed in 0..3 {
            let mut files = solved_at(model, 100, seed, 0.5);
            for (stage, wrt, layer) in [("init", "input", 0), ("end", "state", 1)] {
                files.profiles.extend([0, 1, 2, 50, 100].map(|d| ProfileRow {
                    stage: stage.into(),
                    wrt: wrt.into(),
                    layer,
                    ..profile(d, -(0.01 + 0.001 * seed as f64) * d as f64, true)
                }));
            }
            cells.push(files);
        }
    }
    let table = named(&cells, "gradients");
    let text = table.render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    assert!(
        text.replace('\n', " ").contains("For want of room without log10 at furthest, gain/step"),
        "{text}"
    );
    assert_eq!(text.matches("-0.0110 ± 0.0025").count(), 4, "{text}");
    assert_eq!(text.matches("vanishing │").count(), 4, "{text}");
    let md = table.render(Format::Md);
    assert!(md.contains("gain/step") && md.contains("furthest"), "{md}");
}

#[test]
fn extrapolation_has_a_column_where_it_was_evaluated() {
    let mut files = solved_at("lstm", 8, 0, 1.0);
    files.cell.facts.insert("primary_length".into(), 8.0);
    files.scores.extend([score("accuracy", 9, 0.5), score("accuracy", 12, 0.75)]);
    let table = named(&[files], "accuracy");
    assert_eq!(field(&table, "extrapolation"), [Value::Number(0.625)]);
    assert_eq!(field(&table, "extrapolation_lengths"), [Value::Integer(2)]);
    let text = table.render(Format::Md);
    assert!(text.contains("| lstm | 8 | 1.000 | 0.625 | 1/1"), "{text}");
    assert!(text.contains("beyond the one trained for, 2 lengths from 9 to 12."), "{text}");
    assert!(!named(&quick(), "accuracy").render(Format::Md).to_lowercase().contains("extrapolation"));
}

fn digested(cells: &[CellFiles], name: &str) -> Table {
    digest(cells).into_iter().find(|table| table.name == name).unwrap()
}

#[test]
fn the_digest_turns_sweeps_and_lengths_into_columns() {
    let names: Vec<_> = digest(&quick()).into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["accuracy", "gradients", "throughput"]);
    let accuracy = digested(&quick(), "accuracy");
    let md = accuracy.render(Format::Md);
    assert!(md.contains("| model | lag 10 | lag 30 | lag 100 | reach (all seeds) |"), "{md}");
    assert!(
        md.contains("| lstm | 0.990 ± 0.025 (3/3) | 0.990 ± 0.025 (3/3) | 0.990 ± 0.025 (3/3) | ≥ 100 |"),
        "{md}"
    );
    // A diverged run is one of the four that did not solve it, and none of the three in the mean.
    assert!(md.contains("0.130 ± 0.000 of 3 (0/4) | 10 |") && md.contains("1 runs diverged"), "{md}");
    assert!(md.contains("Chance: 0.125.") && md.contains("accuracy ≥ 0.95 in 3000 steps"), "{md}");
    assert_eq!(field(&accuracy, "solved_of_100")[0], Value::Integer(4));

    let md = digested(&quick(), "gradients").render(Format::Md);
    assert!(md.contains("| lstm | -0.0500 ± 0.0000 | vanishing (6.02) |"), "{md}");
    assert!(md.contains("at lag 100, layer 0") && md.contains("All rows: stage init, n 3."), "{md}");
    let md = digested(&quick(), "throughput").render(Format::Md);
    assert!(md.contains("| lstm | train | 640 µs | 2.56 ms | 10.2 ms | 1.00 | 2.05 kB |"), "{md}");
    assert!(md.contains("Median of 5 rounds") && md.contains("fitted to 3 lengths"), "{md}");
}

#[test]
fn the_digest_fits_a_terminal_and_ignores_the_order_of_cells() {
    let mut cells = quick();
    let straight = digest(&cells);
    cells.reverse();
    assert_eq!(digest(&cells), straight);
    for table in &straight {
        for (row, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
            assert_eq!(row.values.len(), column.fields.len(), "{} {}", table.name, column.name);
        }
        let text = table.render(Format::Text);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    }
    assert_eq!(digest(&[]), []);
}

#[test]
fn the_digest_takes_the_long_table_where_columns_do_not_do() {
    let many: Vec<_> = (1..=7).map(|lag| solved_at("lstm", lag, 0, 1.0)).collect();
    assert_eq!(digested(&many, "accuracy").rows.len(), 7);
    assert_eq!(digest(&many)[1].name, "reach");
    let mut plain = solved_at("lstm", 1, 0, 1.0);
    plain.cell.labels.coordinates.clear();
    assert_eq!(digest(&[plain.clone()]), vec![named(&[plain.clone()], "accuracy")]);
    // Two settings under one label have no one place in a pivot.
    let mut other = solved_at("lstm", 1, 0, 0.2);
    other.cell.group = "other".into();
    other.cell.id = "other".into();
    let table = digested(&[solved_at("lstm", 1, 0, 1.0), other], "accuracy");
    assert_eq!(table.rows.len(), 2);
    assert!(table.notes.iter().any(|note| note.starts_with("Beware: 2 settings")), "{:?}", table.notes);
}

#[test]
fn several_tasks_metrics_and_experiments_have_columns_of_their_own() {
    let mut other = solved_at("lstm", 10, 0, 1.0);
    other.cell.labels.task = "adding".into();
    other.cell.experiment = "slow".into();
    other.scores = vec![score("mse", 10, 0.001234)];
    let text = named(&[solved_at("lstm", 10, 0, 1.0), other], "accuracy").render(Format::Md);
    assert!(text.contains("### Score\n"), "{text}");
    assert!(text.contains("| experiment | task | model | lag | metric | value | solved |"), "{text}");
    assert!(text.contains("| slow | adding | lstm | 10 | mse | 0.00123 | – |"), "{text}");
}

/// A table with everything that an output form has to escape.
fn awkward() -> Table {
    let words = ["a|b, \"c\"\n50 % & #1 <_x_> \\ {~^} [z]", "±≥µ–∝"];
    let cell = |text: &str| Cell { text: text.into(), values: vec![Value::Text(text.into())] };
    let column = |name: &str, align, shown| Column {
        name: name.into(),
        unit: (name == "b_c").then(|| "ns".into()),
        align,
        shown,
        secondary: false,
        fields: vec![name.into()],
    };
    Table {
        name: "awkward".into(),
        title: "R&D".into(),
        notes: vec!["100 % sure.".into()],
        columns: vec![
            column("a", Align::Left, true),
            column("b_c", Align::Right, true),
            column("hidden", Align::Left, false),
        ],
        rows: vec![vec![cell(words[0]), cell(words[1]), cell("h")]],
    }
}

#[test]
fn csv_escapes() {
    let text = awkward().render(Format::Csv);
    assert_eq!(text, "a,b_c,hidden\n\"a|b, \"\"c\"\"\n50 % & #1 <_x_> \\ {~^} [z]\",±≥µ–∝,h\n");
    let rows: Vec<_> =
        csv::Reader::from_reader(text.as_bytes()).into_records().map(|row| row.unwrap()).collect();
    assert_eq!(rows[0].get(0), Some("a|b, \"c\"\n50 % & #1 <_x_> \\ {~^} [z]"));
}

#[test]
fn json_escapes() {
    let parsed: serde_json::Value = serde_json::from_str(&awkward().render(Format::Json)).unwrap();
    assert_eq!(parsed["rows"][0]["a"], "a|b, \"c\"\n50 % & #1 <_x_> \\ {~^} [z]");
    assert_eq!((&parsed["rows"][0]["hidden"], &parsed["units"]), (&json!("h"), &json!({"b_c": "ns"})));
}

#[test]
fn latex_escapes() {
    assert_eq!(
        awkward().render(Format::Latex),
        r"\begin{table}
  \centering
  \caption{R\&D}
  \label{tab:awkward}
  \begin{tabular}{lr}
    \toprule
    a & b\_c (ns) \\
    \midrule
    a|b, ''c'' 50 \% \& \#1 $<$\_x\_$>$ \textbackslash{} \{\textasciitilde{}\textasciicircum{}\} {[}z{]} & $\pm$$\geq$$\mu$--$\propto$ \\
    \bottomrule
  \end{tabular}

  \smallskip
  \footnotesize 100 \% sure.
\end{table}
"
    );
}

#[test]
fn markdown_escapes() {
    assert_eq!(
        awkward().render(Format::Md),
        r#"### R&D

| a | b\_c (ns) |
| :--- | ---: |
| a\|b, "c" 50 % & #1 \<\_x\_> \\ {\~^} \[z\] | ±≥µ–∝ |

100 % sure.
"#
    );
}

#[test]
fn plain_values_are_shortest_and_read_back() {
    for (value, expected) in [
        (Value::Number(0.1), "0.1"),
        (Value::Number(3.0), "3"),
        (Value::Number(1e-7), "1e-7"),
        (Value::Number(-2.5e300), "-2.5e300"),
        (Value::Number(f64::NEG_INFINITY), "-inf"),
        (Value::Number(f64::NAN), "NaN"),
        (Value::Integer(u64::MAX), "18446744073709551615"),
        (Value::Flag(true), "true"),
        (Value::Missing, ""),
    ] {
        assert_eq!(value.plain(), expected);
    }
}
