//! Whether the rounds of a cell can be trusted: their spread, the pace of the processor, and what others did meanwhile.

use crate::machine::{Activity, Machine};
use seqbench_record::{ConditionRow, TimingRow};
use std::collections::VecDeque;

/// Others may keep this share of all cores busy.
const MOST_FOREIGN: f64 = 0.1;
/// A fixed piece of arithmetic may take this much longer than at its fastest. Below lie the clock states of one processor, up to
/// a fifth apart and minutes long, which measuring again does not escape and which each round's pace tells; above, a core that
/// is shared.
const MOST_SLOWDOWN: f64 = 1.25;
/// The interquartile range may be this share of the median.
const MOST_SPREAD: f64 = 0.2;
/// Processor time is told in hundredths of a second: shares over less than this, in seconds, mean nothing.
const SHORTEST_WINDOW: f64 = 0.25;

/// What held while the rounds of one cell were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Noise {
    /// Cores that others kept busy.
    pub(super) foreign_cores: Option<f64>,
    /// Of as many.
    pub(super) cores: u32,
    /// Median time of the fixed arithmetic over its least.
    pub(super) slowdown: f64,
    /// Interquartile range over the median.
    pub(super) spread: f64,
}

impl Noise {
    /// The largest of all measures over its limit: above 1 the cell is noisy.
    pub(super) fn excess(&self) -> f64 {
        self.disturbance().max(self.spread / MOST_SPREAD)
    }

    /// The same of what the machine did alone: above 1 a visit is made again. The few rounds of a visit have no spread that
    /// would tell.
    pub(super) fn disturbance(&self) -> f64 {
        let foreign = self.foreign_cores.unwrap_or(0.0) / f64::from(self.cores.max(1)) / MOST_FOREIGN;
        foreign.max((self.slowdown - 1.0) / (MOST_SLOWDOWN - 1.0))
    }

    /// What disturbed either of two visits, and the spread of all their rounds.
    pub(super) fn worse(&self, other: &Noise, spread: f64) -> Noise {
        let foreign_cores = match (self.foreign_cores, other.foreign_cores) {
            (Some(own), Some(other)) => Some(own.max(other)),
            (own, other) => own.or(other),
        };
        let slowdown = self.slowdown.max(other.slowdown);
        Noise { foreign_cores, cores: self.cores.max(other.cores), slowdown, spread }
    }

    pub(super) fn rows(&self, attempts: u32) -> Vec<ConditionRow> {
        let noisy = f64::from(u8::from(self.excess() > 1.0));
        let mut rows = vec![
            ("slowdown", self.slowdown),
            ("spread", self.spread),
            ("attempts", f64::from(attempts)),
            ("noisy", noisy),
        ];
        rows.extend(self.foreign_cores.map(|cores| ("foreign_cores", cores)));
        rows.into_iter().map(|(name, value)| ConditionRow { name: name.to_owned(), value }).collect()
    }
}

/// Interquartile range of the times that count over their median; 0 for none.
pub(super) fn spread(rows: &[TimingRow]) -> f64 {
    let mut ns: Vec<f64> = rows.iter().filter(|row| row.err.is_empty()).map(|row| row.ns as f64).collect();
    ns.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (ns.len() - 1) as f64;
        let (low, part) = (place.floor() as usize, place.fract());
        ns[low] + part * (ns[(low + 1).min(ns.len() - 1)] - ns[low])
    };
    if ns.is_empty() { 0.0 } else { (at(0.75) - at(0.25)) / at(0.5).max(1.0) }
}

/// The median of the times of the fixed arithmetic, or 1 for none.
pub(super) fn slowdown(paces: &[u64], least: u64) -> f64 {
    let mut sorted = paces.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or(1.0, |median| *median as f64 / least.max(1) as f64)
}

/// Looks at the machine before and after rounds.
#[derive(Default)]
pub(super) struct Watch {
    seen: VecDeque<Activity>,
}

impl Watch {
    /// Looks, before the rounds.
    pub(super) fn look(&mut self, machine: &dyn Machine, workers: &[u32]) {
        self.seen.extend(machine.activity(workers));
        while self.seen.len() > 64 {
            self.seen.pop_front();
        }
    }

    /// Looks again, and tells how many cores of how many others kept busy since `begin`, the last look before the rounds,
    /// or since an earlier one where that is too short a time to tell.
    pub(super) fn foreign(&mut self, machine: &dyn Machine, workers: &[u32]) -> Option<(f64, u32)> {
        let now = machine.activity(workers)?;
        let found = self.seen.iter().rev().find(|then| now.at - then.at >= SHORTEST_WINDOW).map(|then| {
            let others = (now.everybody - then.everybody) - (now.own - then.own);
            (others.max(0.0) / (now.at - then.at), now.cores)
        });
        self.seen.push_back(now);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::UnknownMachine;

    struct Script(std::sync::Mutex<VecDeque<Activity>>);

    impl Machine for Script {
        fn peak_gflops(&self, _: u32) -> Option<f64> {
            None
        }
        fn bandwidth_gb(&self, _: u32) -> Option<f64> {
            None
        }
        fn activity(&self, _: &[u32]) -> Option<Activity> {
            self.0.lock().unwrap().pop_front()
        }
        fn available_bytes(&self) -> Option<u64> {
            None
        }
    }

    fn activity(at: f64, everybody: f64, own: f64) -> Activity {
        Activity { at, everybody, own, cores: 4 }
    }

    #[test]
    fn others_are_what_is_not_ones_own() {
        let script = [(0.0, 100.0, 10.0), (2.0, 105.0, 12.0), (2.1, 105.2, 12.1), (3.0, 106.0, 12.9)];
        let script = script.map(|(at, all, own)| activity(at, all, own));
        let machine = Script(std::sync::Mutex::new(script.into()));
        let mut watch = Watch::default();
        watch.look(&machine, &[]);
        assert_eq!(watch.foreign(&machine, &[]), Some((1.5, 4)));
        // A tenth of a second tells nothing: the time since the look before it counts too.
        watch.look(&machine, &[]);
        let (cores, _) = watch.foreign(&machine, &[]).unwrap();
        assert!((cores - 0.0).abs() < 1e-9, "{cores}");
        assert_eq!(Watch::default().foreign(&UnknownMachine, &[]), None);
        assert_eq!(watch.foreign(&machine, &[]), None);
    }

    #[test]
    fn each_cause_alone_makes_a_cell_noisy() {
        let quiet = Noise { foreign_cores: Some(0.1), cores: 2, slowdown: 1.02, spread: 0.05 };
        assert!(quiet.excess() < 1.0);
        let noisy = [
            Noise { foreign_cores: Some(0.25), ..quiet.clone() },
            Noise { slowdown: 1.3, ..quiet.clone() },
            Noise { spread: 0.3, ..quiet.clone() },
        ];
        assert!(noisy.iter().all(|noise| noise.excess() > 1.0));
        assert!(noisy[0].disturbance() > 1.0 && noisy[1].disturbance() > 1.0 && noisy[2].disturbance() < 1.0);
        // On many cores the same load is little.
        assert!(Noise { foreign_cores: Some(0.25), cores: 64, ..quiet.clone() }.excess() < 1.0);
        let value =
            |noise: &Noise, name: &str| noise.rows(2).iter().find(|row| row.name == name).unwrap().value;
        assert_eq!(
            (value(&quiet, "noisy"), value(&noisy[0], "noisy"), value(&quiet, "attempts")),
            (0.0, 1.0, 2.0)
        );
    }

    #[test]
    fn spread_and_slowdown_are_of_the_middle_rounds() {
        let row = |ns, err: &str| TimingRow {
            mode: "train".into(),
            length: 1,
            batch: 1,
            threads: 1,
            round: 0,
            ns,
            checksum: String::new(),
            err: err.into(),
            visit: None,
            pace_ns: None,
        };
        let rows: Vec<_> = [100, 110, 90, 104, 96].map(|ns| row(ns, "")).into();
        assert!((spread(&rows) - 0.08).abs() < 1e-12);
        assert_eq!(spread(&[row(7, "wrong")]), 0.0);
        assert_eq!(slowdown(&[30, 20, 22], 20), 1.1);
        assert_eq!(slowdown(&[], 20), 1.0);
    }
}
