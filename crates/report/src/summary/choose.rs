//! What a summary says of the question which model to take for a length, a memory and a batch.

use super::{Reach, Scaling, Setting, Summary, ThroughputRow, setting::last_word};
use serde::Serialize;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Wish {
    /// Length of the sequences, in steps; the context of a decoded token.
    pub length: u64,
    /// Memory there is for one process, in bytes.
    pub memory_bytes: f64,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
}

impl Wish {
    /// A wish for one sequence on one thread.
    pub fn new(length: u64, memory_bytes: f64) -> Self {
        Self { length, memory_bytes, batch: 1, threads: 1 }
    }
}

/// A number, and whether it goes beyond what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// The number.
    pub value: f64,
    /// Whether it is extrapolated in length, scaled from another batch, or predicted by formulas: `~`.
    pub estimated: bool,
}

/// What the accuracy cells of a summary say of a model on one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ability {
    /// The task, with the coordinates that are not swept.
    pub task: String,
    /// The coordinate swept and the reach in it at 80 % of the seeds, where one is swept.
    pub reach: Option<(String, Reach)>,
    /// Whether that reach is the wished length or more; none where the coordinate is not in steps, or the sweep ended before.
    pub reaches_length: Option<bool>,
    /// The metric and its mean over seeds, where nothing is swept.
    pub score: Option<(String, f64)>,
}

/// One model under a [`Wish`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The setting of its timed cells.
    pub setting: Setting,
    /// Peak memory of the process in training, in bytes.
    pub training_bytes: Option<Guess>,
    /// Whether that fits; none where it is not known.
    pub training_fits: Option<bool>,
    /// Memory of the process with the state of every sequence, in bytes.
    pub decoding_bytes: Option<Guess>,
    /// Whether that fits; none where it is not known.
    pub decoding_fits: Option<bool>,
    /// Time of a training step, in nanoseconds.
    pub train_ns: Option<Guess>,
    /// Time of a forward pass, in nanoseconds.
    pub forward_ns: Option<Guess>,
    /// Time of one decoded token a sequence, in nanoseconds.
    pub decode_ns: Option<Guess>,
    /// What it reaches, by task.
    pub abilities: Vec<Ability>,
}

/// Every timed model: those of which training and decoding fit first, then those of which it is not known, then the others,
/// each by the time of a training step.
///
/// Between measured lengths values lie on straight lines of log–log; beyond, they follow the fitted exponent (below the
/// shortest, of a state and of a curve that still bends, the nearest two lengths). What was measured at another batch is scaled in proportion, its fixed
/// part with it. Another number of threads says nothing.
pub fn choose(summary: &Summary, wish: &Wish) -> Vec<Choice> {
    let mut settings: Vec<&Setting> = Vec::new();
    for row in &summary.throughput {
        if !settings.contains(&&row.setting) {
            settings.push(&row.setting);
        }
    }
    let mut choices: Vec<Choice> =
        settings.into_iter().map(|setting| choice(summary, setting, wish)).collect();
    let time = |own: &Choice| own.train_ns.map_or(f64::INFINITY, |guess| guess.value);
    choices.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| time(a).total_cmp(&time(b))));
    choices
}

fn rank(choice: &Choice) -> u8 {
    match (choice.training_fits, choice.decoding_fits) {
        (Some(true), Some(true)) => 0,
        (Some(false), _) | (_, Some(false)) => 2,
        _ => 1,
    }
}

fn choice(summary: &Summary, setting: &Setting, wish: &Wish) -> Choice {
    let rows: Vec<&ThroughputRow> = summary
        .throughput
        .iter()
        .filter(|row| row.setting == *setting && row.threads == wish.threads)
        .collect();
    let time =
        |mode: &str| at_batch(&rows, mode, wish, &summary.scalings, |row| Some((row.sound_ns()?, false)));
    let memory = |row: &ThroughputRow| match row.above_bytes() {
        Some(measured) => Some((measured, false)),
        None => Some((row.predicted_bytes?, true)),
    };
    let resident = |mode: &str| {
        let baselines = rows.iter().filter(|row| row.mode == mode).filter_map(|row| row.baseline_bytes);
        baselines.max().unwrap_or(0) as f64
    };
    let beside = |guess: Guess, bytes: f64| Guess { value: guess.value + bytes, ..guess };
    let training_bytes = at_batch(&rows, "train", wish, &summary.memory_scalings, memory)
        .map(|above| beside(above, resident("train")));
    let decoding_bytes = state(&rows, wish).map(|state| beside(state, resident("decode")));
    let fits = |guess: Option<Guess>| guess.map(|guess| guess.value <= wish.memory_bytes);
    Choice {
        setting: setting.clone(),
        training_fits: fits(training_bytes),
        training_bytes,
        decoding_fits: fits(decoding_bytes),
        decoding_bytes,
        train_ns: time("train"),
        forward_ns: time("forward"),
        decode_ns: time("decode"),
        abilities: abilities(summary, setting, wish),
    }
}

/// A quantity of a mode at the wished length, from the measured batch nearest to the wished one.
fn at_batch(
    rows: &[&ThroughputRow],
    mode: &str,
    wish: &Wish,
    scalings: &[Scaling],
    quantity: impl Fn(&ThroughputRow) -> Option<(f64, bool)>,
) -> Option<Guess> {
    let known: Vec<(&ThroughputRow, (f64, bool))> =
        rows.iter().filter(|row| row.mode == mode).filter_map(|row| Some((*row, quantity(row)?))).collect();
    let far = |batch: u64| (batch as f64 / wish.batch as f64).ln().abs();
    let nearest = known.iter().map(|(row, _)| row.batch).min_by(|a, b| far(*a).total_cmp(&far(*b)))?;
    let curve: Vec<_> = known.into_iter().filter(|(row, _)| row.batch == nearest).collect();
    let points: Vec<(f64, f64)> = curve.iter().map(|(row, (value, _))| (row.length as f64, *value)).collect();
    let exponent = scalings.iter().find(|own| own.is_of(curve[0].0)).map(|own| own.growth.onward());
    let guess = at_length(&points, wish.length as f64, exponent)?;
    let predicted = curve.iter().any(|(_, (_, predicted))| *predicted);
    Some(Guess {
        value: guess.value * wish.batch as f64 / nearest as f64,
        estimated: guess.estimated || predicted || nearest != wish.batch,
    })
}

/// The state of all sequences at the wished length; by the nearest two lengths outside those counted.
fn state(rows: &[&ThroughputRow], wish: &Wish) -> Option<Guess> {
    let mut points: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((row.length as f64, row.state_bytes?))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.total_cmp(&b.1)));
    points.dedup_by_key(|point| point.0);
    let exponent = match points[..] {
        [.., before, last] => Some(slope(before, last)),
        _ => None,
    };
    let guess = at_length(&points, wish.length as f64, exponent)?;
    Some(Guess { value: guess.value * wish.batch as f64, ..guess })
}

/// On straight lines of log–log through points of rising length, and beyond the last by the exponent.
fn at_length(points: &[(f64, f64)], length: f64, exponent: Option<f64>) -> Option<Guess> {
    let from = |(at, value): (f64, f64), slope: f64| value * (length / at).powf(slope);
    let (first, last) = (*points.first()?, *points.last()?);
    if let Some(exact) = points.iter().find(|point| point.0 == length) {
        return Some(Guess { value: exact.1, estimated: false });
    }
    if length > last.0 {
        return Some(Guess { value: from(last, exponent?), estimated: true });
    }
    let after = points.iter().position(|point| point.0 > length)?;
    let estimated = after == 0;
    let near = if estimated { (first, *points.get(1)?) } else { (points[after - 1], points[after]) };
    Some(Guess { value: from(near.0, slope(near.0, near.1)), estimated })
}

fn slope(a: (f64, f64), b: (f64, f64)) -> f64 {
    (b.1 / a.1).ln() / (b.0 / a.0).ln()
}

/// What the model of that name and architecture reaches, in the order of the summary.
fn abilities(summary: &Summary, setting: &Setting, wish: &Wish) -> Vec<Ability> {
    let own =
        |other: &Setting| (&other.architecture, &other.model) == (&setting.architecture, &setting.model);
    let name =
        |setting: &Setting| [setting.task.clone(), setting.coordinates_text()].join(" ").trim().to_string();
    let reached = summary.reaches.iter().filter(|reach| own(&reach.setting)).map(|reach| {
        let in_steps = matches!(last_word(&reach.key), "lag" | "length" | "delay" | "distance");
        let far = reach.eighty.value.is_some_and(|value| value >= wish.length as f64);
        let decided = far || !reach.eighty.censored;
        Ability {
            task: name(&reach.setting),
            reach: Some((last_word(&reach.key).into(), reach.eighty)),
            reaches_length: (in_steps && decided).then_some(far),
            score: None,
        }
    });
    let swept = |group: &Setting| group.sweep().is_some();
    let scored =
        summary.accuracy.iter().filter(|group| own(&group.setting) && !swept(&group.setting)).map(|group| {
            Ability {
                task: name(&group.setting),
                reach: None,
                reaches_length: None,
                score: group.value.mean.map(|mean| (group.metric.clone(), mean)),
            }
        });
    reached.chain(scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Success;
    use crate::summary::scaling::{memory_scalings, scalings};
    use crate::summary::{ReachPoint, Reaches};

    const LENGTHS: [u64; 4] = [128, 256, 512, 1024];

    fn setting(model: &str) -> Setting {
        Setting { model: model.into(), architecture: model.into(), ..Setting::default() }
    }

    /// Rows of both modes: time and memory of training by formulas, a state that grows or not.
    fn rows(
        model: &str,
        ns: fn(f64) -> f64,
        bytes: fn(f64) -> f64,
        state: fn(f64) -> f64,
    ) -> Vec<ThroughputRow> {
        let row = |mode: &str, length: u64| {
            let l = length as f64;
            let train = mode == "train";
            ThroughputRow {
                setting: setting(model),
                mode: mode.into(),
                length,
                batch: 4,
                threads: 1,
                rounds: 9,
                median_ns: Some(if train { ns(l) } else { ns(l) / l }),
                peak_bytes: train.then(|| 1_000_000 + bytes(l) as u64),
                baseline_bytes: train.then_some(1_000_000),
                state_bytes: (!train).then(|| state(l)),
                ..ThroughputRow::default()
            }
        };
        ["train", "decode"].iter().flat_map(|mode| LENGTHS.map(|length| row(mode, length))).collect()
    }

    fn summary() -> Summary {
        let linear = rows("rnn", |l| 1000.0 * l, |l| 10_000.0 * l, |_| 64.0);
        let quadratic = rows("transformer", |l| l * l, |l| 100.0 * l * l, |l| 512.0 * l);
        let throughput = [linear, quadratic].concat();
        let point = |value| ReachPoint { value, solved: Success::new(5, 5) };
        let reach = |value| Reach { value: Some(value), censored: false };
        Summary {
            scalings: scalings(&throughput),
            memory_scalings: memory_scalings(&throughput),
            throughput,
            reaches: vec![Reaches {
                setting: Setting { task: "copying".into(), ..setting("rnn") },
                key: "task.lag".into(),
                points: vec![point(100.0)],
                any: reach(300.0),
                eighty: reach(100.0),
                all: reach(30.0),
                steps: None,
            }],
            ..Summary::default()
        }
    }

    fn near(guess: Option<Guess>, value: f64, estimated: bool) {
        let guess = guess.unwrap();
        assert!(
            (guess.value / value - 1.0).abs() < 1e-6 && guess.estimated == estimated,
            "{guess:?} {value}"
        );
    }

    #[test]
    fn what_was_measured_is_taken_as_it_is_and_between_on_a_straight_line() {
        let wish = Wish { batch: 4, ..Wish::new(512, 30e6) };
        let [first, second] = &choose(&summary(), &wish)[..] else { panic!("two models") };
        // 512² ns against 512 000 ns; 26 MB against 5 MB, both beside 1 MB.
        assert_eq!((first.setting.model.as_str(), second.setting.model.as_str()), ("transformer", "rnn"));
        near(first.train_ns, 262_144.0, false);
        near(first.training_bytes, 1e6 + 26_214_400.0, false);
        near(first.decoding_bytes, 4.0 * 512.0 * 512.0, false);
        assert_eq!((first.training_fits, first.forward_ns), (Some(true), None));
        let between = choose(&summary(), &Wish { length: 362, ..wish });
        near(between[0].train_ns, 362.0 * 362.0, false);
    }

    #[test]
    fn beyond_it_goes_by_the_exponent_and_what_does_not_fit_comes_last() {
        let wish = Wish { batch: 4, ..Wish::new(4096, 100e6) };
        let [first, second] = &choose(&summary(), &wish)[..] else { panic!("two models") };
        assert_eq!(first.setting.model, "rnn");
        near(first.train_ns, 4_096_000.0, true);
        near(first.decoding_bytes, 256.0, true);
        near(second.train_ns, 4096.0 * 4096.0, true);
        near(second.training_bytes, 1e6 + 100.0 * 4096.0 * 4096.0, true);
        assert_eq!((second.training_fits, second.decoding_fits), (Some(false), Some(true)));
        near(choose(&summary(), &Wish { length: 64, ..wish })[0].train_ns, 4096.0, true);
    }

    #[test]
    fn another_batch_is_scaled_and_another_number_of_threads_says_nothing() {
        let wish = Wish { batch: 8, ..Wish::new(512, 1e12) };
        let found = choose(&summary(), &wish);
        near(found[0].train_ns, 2.0 * 262_144.0, true);
        near(found[0].training_bytes, 1e6 + 2.0 * 26_214_400.0, true);
        let none = choose(&summary(), &Wish { threads: 2, ..wish });
        assert!(none.iter().all(|own| own.train_ns.is_none() && own.training_fits.is_none()), "{none:?}");
    }

    #[test]
    fn reaches_are_set_against_the_length() {
        let of = |length| {
            let found = choose(&summary(), &Wish::new(length, 1e12));
            let rnn = found.into_iter().find(|own| own.setting.model == "rnn").unwrap();
            rnn.abilities.into_iter().next().unwrap()
        };
        assert_eq!(of(100).reaches_length, Some(true));
        assert_eq!(of(101).reaches_length, Some(false));
        assert_eq!((of(1).task.as_str(), of(1).reach.unwrap().0.as_str()), ("copying", "lag"));
    }
}
