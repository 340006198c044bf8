//! Experiments that somebody has spoilt at random: read, or refused with a place; no panic, and no plan that takes for ever.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use seqbench_harness::plan::plan;
use std::time::{Duration, Instant};
use support::{Draws, TINY};

const WORDS: [&str; 40] = [
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    ",",
    ".",
    "\n",
    "#",
    "-",
    "_",
    "0",
    "-1",
    "1e400",
    "nan",
    "inf",
    "1e-400",
    "99999999999999999999",
    "4294967296",
    "9007199254740993",
    "0x10",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "\"\"",
    "é",
    "\u{0}",
    "\u{feff}",
    "[[model]]\n",
    "[sweep]\n",
    "kind = \"lstm\"\n",
    "seeds = 1000000000\n",
    "width = 70000\n",
    "1979-05-27",
];

/// Spoils a text in one to four places.
fn spoil(text: &str, draws: &mut Draws) -> String {
    let mut text = text.to_owned();
    for _ in 0..=draws.below(4) {
        let place = |draws: &mut Draws, text: &str| {
            let mut at = draws.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let (a, b) = (place(draws, &text), place(draws, &text));
        let (from, to) = (a.min(b), a.max(b));
        match draws.below(6) {
            0 => text.insert_str(a, draws.of(&WORDS)),
            // What goes is short, or little would be left.
            1 => text.replace_range(from..place_near(&text, from, to), ""),
            2 => text.replace_range(from..place_near(&text, from, to), draws.of(&WORDS)),
            3 => {
                let mut lines: Vec<&str> = text.lines().collect();
                let (i, j) = (draws.below(lines.len().max(1)), draws.below(lines.len().max(1)));
                if !lines.is_empty() {
                    lines.swap(i, j);
                }
                text = lines.join("\n");
            }
            4 => {
                let lines: Vec<&str> = text.lines().collect();
                let again = lines.get(draws.below(lines.len().max(1))).copied().unwrap_or_default();
                text = format!("{text}\n{again}\n");
            }
            // A number becomes another.
            _ => {
                let digits: Vec<usize> =
                    text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
                if !digits.is_empty() {
                    let at = digits[draws.below(digits.len())];
                    text.replace_range(
                        at..=at,
                        draws.of(&["0", "9", "-3", "1e9", "0.5", "\"7\"", "[1, 2]", "1e-9"]),
                    );
                }
            }
        }
    }
    text
}

/// The end of a stretch of at most eight bytes.
fn place_near(text: &str, from: usize, to: usize) -> usize {
    let mut end = to.min(from + 8);
    while !text.is_char_boundary(end) {
        end += 1;
    }
    end
}

#[test]
fn spoilt_experiments_are_read_or_refused_with_a_place() {
    let registry = seqbench::builtin();
    let texts = [
        TINY,
        include_str!("../../../experiments/smoke.toml"),
        "[[model]]\nkind = \"mamba\"\n[task]\nkind = \"parity\"\n[match]\nparameters = 5000\n[train]\nlr = { select = [1e-3], trials = 1 }\n",
    ];
    let mut draws = Draws(1);
    let (mut read, mut slowest) = (0, Duration::ZERO);
    const CASES: usize = 20_000;
    for case in 0..CASES {
        // The second has every model and task, the third is searched for its width: both are planned more slowly.
        let of = match case % 20 {
            0 => 1,
            1 => 2,
            _ => 0,
        };
        let text = spoil(texts[of], &mut draws);
        let start = Instant::now();
        match plan("x", "x.toml", &text, &registry, &[]) {
            Ok(_) => read += 1,
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("x.toml:"), "case {case} is refused without a place: {said}\n{text}");
            }
        }
        slowest = slowest.max(start.elapsed());
        assert!(slowest < Duration::from_secs(20), "case {case} takes {slowest:?}:\n{text}");
    }
    // Some spoiling spoils nothing; most does.
    assert!((CASES / 100..CASES / 2).contains(&read), "{read} of {CASES} are read");
}
