//! The crossover table, from hand-made rounds with known answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cells;
mod read;

use cells::{timed, timing};
use read::{field, named};
use seqbench_report::table::{Format, Value};

#[test]
fn two_models_meet_where_their_times_do() {
    let of = |model: &str, time: fn(u64) -> u64| {
        let rows = [32, 128].iter().flat_map(|length| {
            (0..9).map(|round| timing("decode", *length, 8, round, time(*length))).collect::<Vec<_>>()
        });
        timed(model, &[], rows.collect())
    };
    let table = named(&[of("rnn", |_| 64_000), of("lstm", |length| 1000 * length)], "crossovers");
    let text = table.render(Format::Text);
    assert!(text.contains("64 (64–64)"), "{text}");
    // In the order of the architectures: one at 32 and the other at 128 is the faster.
    assert_eq!(field(&table, "model"), [Value::Text("rnn".into())]);
    assert_eq!(field(&table, "faster_below"), [Value::Text("lstm".into())]);
    assert_eq!(field(&table, "faster_above"), [Value::Text("rnn".into())]);
    let apart = named(&[of("rnn", |_| 1), of("lstm", |_| 2)], "crossovers");
    assert_eq!(field(&apart, "length"), [Value::Missing]);
}
