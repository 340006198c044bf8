//! The table of a choice, from cells of a whole experiment.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod passes;
mod read;

use cells::solved_at;
use passes::experiment;
use read::field;
use seqbench_report::summary::{Wish, choose, summarise};
use seqbench_report::table::{Format, TEXT_WIDTH, Value, choose_table};

#[test]
fn a_choice_says_what_fits_how_long_it_takes_and_what_it_reaches() {
    let mut cells = experiment(&[1]);
    for (lag, accuracy) in [(100, 1.0), (30_000, 1.0)] {
        cells.extend((0..5).map(|seed| solved_at("lstm", lag, seed, accuracy)));
    }
    let wish = Wish { batch: 8, ..Wish::new(20_000, 4e9) };
    let choices = choose(&summarise(&cells), &wish);
    let table = choose_table(&choices, &wish);
    assert_eq!(table.title, "Length 20000, batch 8, 1 thread, 4.00 GB of memory");
    let text = table.render(Format::Text);
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(TEXT_WIDTH)), "{text}");
    // The cheapest first; attention, whose training takes 8 · 20 000² bytes and more, fits too.
    assert_eq!(field(&table, "model")[0], Value::Text("rnn".into()));
    assert_eq!(field(&table, "training_fits")[5], Value::Flag(true));
    let tight = choose(&summarise(&cells), &Wish { memory_bytes: 1.5e9, ..wish });
    let last = tight.last().unwrap();
    assert_eq!((last.setting.model.as_str(), last.training_fits), ("transformer", Some(false)));
    let md = table.render(Format::Md);
    assert!(md.contains("copying lag ≥ 30000 ✓"), "{md}");
    for (row, column) in table.rows.iter().flat_map(|row| row.iter().zip(&table.columns)) {
        assert_eq!(row.values.len(), column.fields.len(), "{}", column.name);
    }
    assert!(!table.is_deterministic());
}
