//! Two runs of the same measurements side by side: whether times repeat.

use super::{Setting, Summary, ThroughputRow, Visit};
use crate::statistics::{Interval, LEVEL, Pooled, Shift, Visited, median_interval, pool};
use serde::Serialize;

/// One row that both runs have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Repeat {
    /// The setting, as the first run has it.
    pub setting: Setting,
    /// `train`, `forward` or `decode`.
    pub mode: String,
    /// Sequence length; the context for `decode`.
    pub length: u64,
    /// Sequences at once.
    pub batch: u64,
    /// Threads.
    pub threads: u32,
    /// Median of the first run, in nanoseconds.
    pub first_ns: f64,
    /// Median of the second, in nanoseconds.
    pub second_ns: f64,
    /// The second over the first: of geometric means over visits, or else of medians.
    pub ratio: f64,
    /// Where it may lie. Where both runs say which visits their rounds were taken in: by [`Visited::interval`]. Otherwise
    /// each median within its order statistics of [`LEVEL`] or more, which sees nothing of what changes between runs; none
    /// below six rounds of either.
    pub interval: Option<Interval>,
    /// The second over the first at equal pace: each round in units of a fixed piece of arithmetic just before it. None where a
    /// run does not say.
    pub paced_ratio: Option<f64>,
    /// Where that may lie, by [`Visited::interval`].
    pub paced_interval: Option<Interval>,
    /// The same with its errors, for a test.
    pub paced_shift: Option<Shift>,
    /// Whether the interval at equal pace holds 1, or the other where there is none; none without either.
    pub covers_one: Option<bool>,
    /// Whether either row was disturbed.
    pub noisy: bool,
}

/// Every row of `a` that `b` has as well, in the order of `a`: the same model, task and coordinates, mode, length, batch and
/// threads, of whatever experiment.
pub fn repeats(a: &Summary, b: &Summary) -> Vec<Repeat> {
    let same = |own: &ThroughputRow, other: &ThroughputRow| {
        let of = |setting: &Setting| Setting { experiment: String::new(), ..setting.clone() };
        own.is_measured_as(other) && own.length == other.length && of(&own.setting) == of(&other.setting)
    };
    let pairs = a.throughput.iter().filter_map(|own| {
        let other = b.throughput.iter().find(|other| same(own, other))?;
        Some((own, other, Visits::of(own, other)))
    });
    let pairs: Vec<_> = pairs.collect();
    let plain = pool(pairs.iter().filter_map(|(_, _, visits)| visits.plain.as_ref()));
    let paced = pool(pairs.iter().filter_map(|(_, _, visits)| visits.paced.as_ref()));
    pairs.iter().filter_map(|(a, b, visits)| repeat(a, b, visits, plain, paced)).collect()
}

/// The visits of a row in both runs, as times and at equal pace.
struct Visits {
    plain: Option<Visited>,
    paced: Option<Visited>,
}

impl Visits {
    fn of(a: &ThroughputRow, b: &ThroughputRow) -> Self {
        let plain = |row: &ThroughputRow| row.visits.iter().map(|visit| visit.median_ns).collect::<Vec<_>>();
        let paced = |row: &ThroughputRow| {
            let all = row.visits.iter().map(|Visit { median_paced, .. }| *median_paced);
            all.collect::<Option<Vec<_>>>().unwrap_or_default()
        };
        Visits { plain: Visited::new(&plain(a), &plain(b)), paced: Visited::new(&paced(a), &paced(b)) }
    }
}

fn repeat(
    a: &ThroughputRow,
    b: &ThroughputRow,
    visits: &Visits,
    plain: Pooled,
    paced: Pooled,
) -> Option<Repeat> {
    let (first_ns, second_ns) = (a.median_ns.filter(|ns| *ns > 0.0)?, b.median_ns.filter(|ns| *ns > 0.0)?);
    let interval = match &visits.plain {
        Some(visited) => visited.interval(plain),
        None => of_rounds(a)
            .zip(of_rounds(b))
            .map(|(a, b)| Interval { low: b.low / a.high, high: b.high / a.low }),
    };
    let paced_shift = visits.paced.as_ref().and_then(|visited| visited.shift(paced));
    let paced_interval = paced_shift.and_then(|shift| shift.interval());
    Some(Repeat {
        setting: a.setting.clone(),
        mode: a.mode.clone(),
        length: a.length,
        batch: a.batch,
        threads: a.threads,
        first_ns,
        second_ns,
        ratio: visits.plain.as_ref().map_or(second_ns / first_ns, Visited::ratio),
        interval,
        paced_ratio: visits.paced.as_ref().map(Visited::ratio),
        paced_interval,
        paced_shift,
        covers_one: paced_interval.or(interval).map(|ends| ends.low <= 1.0 && 1.0 <= ends.high),
        noisy: a.disturbance.noisy || b.disturbance.noisy,
    })
}

/// Where a row's median may lie, as far as its rounds tell.
fn of_rounds(row: &ThroughputRow) -> Option<Interval> {
    let ns: Vec<f64> = row.ns.iter().map(|ns| *ns as f64).collect();
    median_interval(&ns, LEVEL).filter(|ends| ends.low > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::median;

    /// Nine rounds about a time, with noise of 3 % that depends on the draw alone.
    fn run(draw: u64, time: f64) -> Summary {
        let mut state = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        // A sum of twelve is close to normal.
        let mut noise = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let ns: Vec<u64> = (0..9).map(|_| (time * (1.0 + 0.03 * noise())).round() as u64).collect();
        let times: Vec<f64> = ns.iter().map(|ns| *ns as f64).collect();
        let row = ThroughputRow {
            setting: Setting { model: "rnn".into(), experiment: format!("run {draw}"), ..Setting::default() },
            mode: "train".into(),
            length: 64,
            batch: 8,
            threads: 1,
            rounds: ns.len(),
            median_ns: median(&times),
            ns,
            ..ThroughputRow::default()
        };
        Summary { throughput: vec![row], ..Summary::default() }
    }

    #[test]
    fn the_same_repeats_and_what_is_a_fifth_slower_does_not() {
        let (mut same, mut slower) = (0, 0);
        for draw in 0..200 {
            let (a, b) = (run(2 * draw + 1, 1e6), run(2 * draw + 2, 1e6));
            same += usize::from(repeats(&a, &b)[0].covers_one == Some(true));
            let slow = &repeats(&a, &run(2 * draw + 2, 1.2e6))[0];
            slower += usize::from(slow.covers_one == Some(false) && slow.ratio > 1.0);
        }
        assert!(same >= 180, "{same} of 200");
        assert!(slower >= 180, "{slower} of 200");
    }

    /// The same rounds in three visits, of which the machine runs each at its own pace.
    fn visited(draw: u64, time: f64, paces: [f64; 3]) -> Summary {
        let mut summary = run(draw, time);
        let row = &mut summary.throughput[0];
        let visit = |(rounds, pace): (&[u64], f64)| Visit {
            median_ns: pace * median(&rounds.iter().map(|ns| *ns as f64).collect::<Vec<_>>()).unwrap(),
            median_paced: Some(median(&rounds.iter().map(|ns| *ns as f64).collect::<Vec<_>>()).unwrap()),
        };
        row.visits = row.ns.chunks(3).zip(paces).map(visit).collect();
        summary
    }

    #[test]
    fn a_machine_that_changed_its_pace_is_no_slower_model() {
        let (fast, slow) = (visited(1, 1e6, [1.0; 3]), visited(2, 1e6, [1.2; 3]));
        let found = repeats(&fast, &slow).remove(0);
        let ends = found.interval.unwrap();
        assert!(found.ratio > 1.15 && ends.low > 1.0, "{found:?}");
        assert!(
            (found.paced_ratio.unwrap() - 1.0).abs() < 0.05 && found.covers_one == Some(true),
            "{found:?}"
        );
        let slower = repeats(&fast, &visited(2, 1.3e6, [1.0; 3])).remove(0);
        assert_eq!(slower.covers_one, Some(false), "{slower:?}");
    }

    #[test]
    fn visits_are_what_is_observed_not_their_rounds() {
        // Clock states a sixth apart: rounds within a visit agree to 3 %, which says nothing about the next visit.
        let (mut held, mut narrow) = (0, 0);
        for draw in 0..200u64 {
            let state =
                |bit: u64| if (draw.wrapping_mul(0x9e37_79b9) >> (bit + 8)) & 1 == 1 { 1.17 } else { 1.0 };
            let mut both =
                [[0, 1, 2], [3, 4, 5]].map(|bits| visited(2 * draw + bits[0], 1e6, bits.map(state)));
            both.iter_mut()
                .flat_map(|run| &mut run.throughput[0].visits)
                .for_each(|visit| visit.median_paced = None);
            let found = repeats(&both[0], &both[1]).remove(0);
            held += usize::from(found.covers_one == Some(true));
            narrow += usize::from(found.paced_ratio.is_some());
        }
        assert!(held >= 180 && narrow == 0, "{held} of 200");
    }

    #[test]
    fn only_what_both_have_is_compared() {
        let a = run(1, 1e6);
        let mut other = run(2, 1e6);
        other.throughput[0].batch = 4;
        assert_eq!(repeats(&a, &other), []);
        let mut few = run(2, 1e6);
        few.throughput[0].ns.truncate(5);
        let found = repeats(&a, &few).remove(0);
        assert_eq!((found.interval, found.covers_one), (None, None));
        few.throughput[0].median_ns = None;
        assert_eq!(repeats(&a, &few), []);
    }
}
