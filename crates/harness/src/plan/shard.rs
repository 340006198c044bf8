//! Shards: an experiment in so many parts of about equal cost, each of which a machine, an array task or a pod takes by its
//! number alone.

use super::{Experiment, Group};

/// Variables that schedulers number their tasks in, from 0 on. Slurm's and PBS's numbers are those that the array was
/// submitted with; SGE and LSF count from 1 and are left out.
pub const TASK_VARIABLES: [&str; 4] =
    ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "PBS_ARRAY_INDEX", "HQ_TASK_ID"];

/// Seconds that a cell without a prediction is taken to last.
const UNKNOWN: f64 = 1.0;

/// Part `index` of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// Reads `i/n`, counted from 0, or `env/n`, whose `i` is the first of [`TASK_VARIABLES`] that `variable` knows.
    ///
    /// # Errors
    /// A message for a person.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let form = || format!("`{text}` is no shard; expected i/n with i from 0 to n - 1, as 0/4, or env/4");
        let (index, count) = text.split_once('/').ok_or_else(form)?;
        let count: usize = count.parse().map_err(|_| form())?;
        let (index, told): (usize, String) = if index == "env" {
            let found = TASK_VARIABLES.iter().find_map(|name| Some((*name, variable(name)?)));
            let (name, value) = found.ok_or_else(|| {
                format!(
                    "`{text}` takes the number from a scheduler, and none of {} is set",
                    TASK_VARIABLES.join(", ")
                )
            })?;
            let number =
                value.trim().parse().map_err(|_| format!("{name} is `{value}`, which is no number"))?;
            (number, format!("{name} is {number}"))
        } else {
            (index.parse().map_err(|_| form())?, format!("`{text}`"))
        };
        match (index < count, count) {
            (true, _) => Ok(Shard { index, count }),
            (false, 0) => Err(form()),
            (false, _) => Err(format!("{told}, and shards of {count} are numbered from 0 to {}", count - 1)),
        }
    }

    /// All shards of so many.
    pub fn all(count: usize) -> impl Iterator<Item = Shard> {
        (0..count).map(move |index| Shard { index, count })
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl Experiment {
    /// The same experiment with the groups of one shard alone: the costliest group first, each to the shard that has least
    /// so far. A function of the configuration and of nothing else, whatever stands and in whatever order it is written.
    pub fn shard(mut self, shard: Shard) -> Self {
        let mut order: Vec<(f64, String)> =
            self.groups.iter().map(|group| (cost(group), group.id.clone())).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut loads = vec![0.0f64; shard.count];
        let mut own = Vec::new();
        for (seconds, id) in order {
            let lightest = (0..loads.len()).min_by(|a, b| loads[*a].total_cmp(&loads[*b]).then(a.cmp(b)));
            let Some(lightest) = lightest else { continue };
            loads[lightest] += seconds;
            if lightest == shard.index {
                own.push(id);
            }
        }
        self.groups.retain(|group| own.contains(&group.id));
        self
    }
}

/// Seconds of a group on one thread, as predicted.
fn cost(group: &Group) -> f64 {
    let runs = group.trials.iter().chain(&group.finals).filter(|cell| cell.beyond.is_none());
    let seconds: f64 = runs.map(|cell| cell.predicted_seconds.unwrap_or(UNKNOWN)).sum();
    // What costs nothing is shared out too.
    seconds.max(1e-3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::GroupKind;
    use seqbench_record::Labels;

    #[test]
    fn a_number_comes_from_the_text_or_from_the_scheduler() {
        let none = |_: &str| None;
        assert_eq!(Shard::parse("2/3", none).unwrap(), Shard { index: 2, count: 3 });
        let slurm = |name: &str| (name == "SLURM_ARRAY_TASK_ID").then(|| "7".to_owned());
        assert_eq!(Shard::parse("env/8", slurm).unwrap().to_string(), "7/8");
        let kubernetes = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "0".to_owned());
        assert_eq!(Shard::parse("env/8", kubernetes).unwrap().to_string(), "0/8");
        for (text, told) in [
            ("3/3", "from 0 to 2"),
            ("0/0", "no shard"),
            ("1", "no shard"),
            ("-1/2", "no shard"),
            ("a/b", "no shard"),
            ("env/4", "none of SLURM_ARRAY_TASK_ID"),
        ] {
            let error = Shard::parse(text, none).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let wrong = |_: &str| Some("x".to_owned());
        assert!(Shard::parse("env/4", wrong).unwrap_err().contains("SLURM_ARRAY_TASK_ID is `x`"));
        assert!(Shard::parse("env/4", slurm).unwrap_err().contains("SLURM_ARRAY_TASK_ID is 7"));
    }

    fn experiment(ids: &[&str]) -> Experiment {
        let group = |id: &&str| Group {
            id: (*id).to_owned(),
            kind: GroupKind::Training,
            labels: Labels {
                architecture: String::new(),
                model: String::new(),
                task: String::new(),
                coordinates: Vec::new(),
                seed: 0,
            },
            trials: Vec::new(),
            finals: Vec::new(),
        };
        Experiment {
            name: "e".into(),
            question: String::new(),
            expectation: String::new(),
            minutes: None,
            text: String::new(),
            notes: Vec::new(),
            groups: ids.iter().map(group).collect(),
        }
    }

    #[test]
    fn shards_share_out_all_groups_and_the_order_they_are_written_in_does_not_matter() {
        let ids = |experiment: Experiment| -> Vec<String> {
            experiment.groups.into_iter().map(|group| group.id).collect()
        };
        for count in [1, 2, 3, 7, 24] {
            let mut all: Vec<String> = Vec::new();
            for shard in Shard::all(count) {
                let mut own = ids(experiment(&["b", "a", "d", "c", "e"]).shard(shard));
                let mut other = ids(experiment(&["e", "d", "c", "b", "a"]).shard(shard));
                all.extend(own.clone());
                own.sort();
                other.sort();
                assert_eq!(own, other);
            }
            all.sort();
            assert_eq!(all, ["a", "b", "c", "d", "e"], "{count} shards");
        }
    }
}
