//! The table of a choice: which models fit, how long they take, and what they reach.

use super::{
    Align, Cell, Table, Value,
    build::{self, Show, column, number_value, word},
    number,
};
use crate::summary::{Ability, Choice, Guess, Setting, Wish, metric_name};

/// One row a model, in the order of [`choose`](crate::summary::choose).
pub fn choose_table(choices: &[Choice], wish: &Wish) -> Table {
    let settings: Vec<&Setting> = choices.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Choice| &row.setting);
    columns.extend([
        memory("training", "training", |row| (row.training_bytes, row.training_fits)),
        memory("decoding", "decoding", |row| (row.decoding_bytes, row.decoding_fits)),
        time("step", "train_ns", |row| row.train_ns),
        time("forward", "forward_ns", |row| row.forward_ns),
        time("token", "decode_ns", |row| row.decode_ns),
        column("reaches", Align::Left, Show::Filled, &["reaches"], |row: &Choice| {
            let words: Vec<String> = row.abilities.iter().map(ability).collect();
            word(&words.join("; "))
        }),
    ]);
    let notes = vec![
        "Whether training and decoding fit, and in what: the process before the pass with what was measured above it, or with \
         the state of every sequence. Step, forward, token: a training step, a forward pass, one decoded token."
            .into(),
        "~: beyond the lengths measured, by the fitted exponent (where a curve still bends, by its last two lengths); in proportion from another batch; or predicted. –: not known."
            .into(),
        "Reach at 80 % of the seeds, ✓ where it is the length asked for or more, ✗ where not; else the mean over seeds.".into(),
    ];
    let threads = if wish.threads == 1 { "thread" } else { "threads" };
    let title = format!(
        "Length {}, batch {}, {} {threads}, {} of memory",
        wish.length,
        wish.batch,
        wish.threads,
        number::bytes(wish.memory_bytes)
    );
    build::table("choose", title, notes, choices, columns)
}

fn memory<'a>(
    name: &str,
    field: &str,
    of: fn(&Choice) -> (Option<Guess>, Option<bool>),
) -> build::Build<'a, Choice> {
    let fields = ["bytes", "estimated", "fits"].map(|own| format!("{field}_{own}"));
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    column(name, Align::Right, Show::Always, &fields, move |row: &Choice| {
        let (guess, fits) = of(row);
        let verdict = match fits {
            Some(true) => "fits: ",
            Some(false) => "no: ",
            None => "",
        };
        let mut cell = guessed(guess, number::bytes);
        cell.text = format!("{verdict}{}", cell.text);
        cell.values.push(fits.map_or(Value::Missing, Value::Flag));
        cell
    })
}

fn time<'a>(name: &str, field: &str, of: fn(&Choice) -> Option<Guess>) -> build::Build<'a, Choice> {
    let estimated = format!("{field}_estimated");
    column(name, Align::Right, Show::Filled, &[field, &estimated], move |row: &Choice| {
        guessed(of(row), number::duration)
    })
}

/// `12.3 ms`, `~ 12.3 ms`, with fields value and whether it is estimated.
fn guessed(guess: Option<Guess>, text: impl Fn(f64) -> String) -> Cell {
    let mark = if guess.is_some_and(|guess| guess.estimated) { "~ " } else { "" };
    Cell {
        text: guess.map_or("–".into(), |guess| format!("{mark}{}", text(guess.value))),
        values: vec![
            number_value(guess.map(|guess| guess.value)),
            guess.map_or(Value::Missing, |guess| Value::Flag(guess.estimated)),
        ],
    }
}

/// `copying lag ≥ 100 ✓`, `digits accuracy 0.950`.
fn ability(own: &Ability) -> String {
    let plain = |x: f64| Value::Number(x).plain();
    let what = match (&own.reach, &own.score) {
        (Some((key, reach)), _) => match (reach.value, reach.censored) {
            (Some(value), true) => format!("{key} ≥ {}", plain(value)),
            (Some(value), false) => format!("{key} {}", plain(value)),
            (None, _) => format!("no {key}"),
        },
        (None, Some((metric, mean))) => format!("{} {}", metric_name(metric), number::short(*mean)),
        (None, None) => "–".into(),
    };
    let verdict = match own.reaches_length {
        Some(true) => " ✓",
        Some(false) => " ✗",
        None => "",
    };
    format!("{} {what}{verdict}", own.task)
}
