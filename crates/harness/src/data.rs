//! Batches of a task for one cell: fresh samples of a generated task, epochs of a finite one. Every batch is a pure
//! function of (seed, purpose, index), so it does not matter when, where or whether others were made before.

use crate::spec::{Answers, CurriculumSpec, TrainSpec};
use seqbench_core::{Batch, Instance, Purpose, Split, Stream, Targets};

/// Sequences an evaluation looks at together. Part of no result: kernels are independent across the batch.
pub const EVALUATION_BATCH: usize = 64;

/// The data of one cell.
pub struct Data<'a> {
    instance: &'a Instance,
    seed: u64,
    epoch: Option<(u64, Vec<usize>)>,
}

impl<'a> Data<'a> {
    /// The data of a task under a seed.
    pub fn new(instance: &'a Instance, seed: u64) -> Self {
        Data { instance, seed, epoch: None }
    }

    /// The training batch of optimizer step `step`. A generated task draws its length first, one for the batch; a finite
    /// one goes through its training set in a new order each epoch, batches running on across the border.
    pub fn training_batch(&mut self, step: u64, train: &TrainSpec) -> Batch {
        let mut batch = self.task_batch(step, train);
        if train.answers == Answers::Shuffled {
            shuffle_answers(&mut batch, &mut Stream::new(self.seed, Purpose::Shuffle, step));
        }
        batch
    }

    fn task_batch(&mut self, step: u64, train: &TrainSpec) -> Batch {
        let batch = train.batch;
        match self.instance {
            Instance::Generated(task) => {
                let mut rng = Stream::new(self.seed, Purpose::Train, step);
                let mut length = task.training_length(&mut rng);
                if let Some(curriculum) = &train.curriculum {
                    length = grown(curriculum, length, task.nominal_length(), step, train.steps);
                }
                task.sample(&mut rng, batch, length)
            }
            Instance::Finite(task) => {
                let n = task.len(Split::Train) as u64;
                let first = step * batch as u64;
                let indices: Vec<usize> =
                    (first..first + batch as u64).map(|i| self.shuffled(i, n)).collect();
                task.batch(Split::Train, &indices)
            }
        }
    }

    fn shuffled(&mut self, position: u64, n: u64) -> usize {
        let (epoch, within) = (position / n.max(1), position % n.max(1));
        if self.epoch.as_ref().is_none_or(|(cached, _)| *cached != epoch) {
            let mut order: Vec<usize> = (0..n as usize).collect();
            Stream::new(self.seed, Purpose::Order, epoch).shuffle(&mut order);
            self.epoch = Some((epoch, order));
        }
        self.epoch.as_ref().map_or(0, |(_, order)| order[within as usize])
    }

    /// Lengths a final evaluation covers; the primary one is [`Instance::nominal_length`].
    pub fn evaluation_lengths(&self) -> Vec<usize> {
        match self.instance {
            Instance::Generated(task) => task.evaluation_lengths(),
            Instance::Finite(task) => vec![task.steps()],
        }
    }

    /// Batches of an evaluation: `samples` fresh sequences of a generated task at a nominal length, from the split's own
    /// stream, or at most `limit` examples of a finite split.
    pub fn evaluation(
        &self,
        split: Split,
        length: usize,
        samples: usize,
        limit: Option<usize>,
    ) -> Box<dyn Iterator<Item = Batch> + '_> {
        match self.instance {
            Instance::Generated(task) => {
                let purpose = match split {
                    Split::Train => Purpose::Train,
                    Split::Validation => Purpose::Validation,
                    Split::Test => Purpose::Test,
                };
                let seed = self.seed;
                Box::new((0..samples.div_ceil(EVALUATION_BATCH)).map(move |i| {
                    let index = ((length as u64) << 32) | i as u64;
                    let count = EVALUATION_BATCH.min(samples - i * EVALUATION_BATCH);
                    task.sample(&mut Stream::new(seed, purpose, index), count, length)
                }))
            }
            Instance::Finite(task) => {
                let all: Vec<usize> = (0..task.len(split).min(limit.unwrap_or(usize::MAX))).collect();
                let chunks: Vec<Vec<usize>> = all.chunks(EVALUATION_BATCH).map(<[usize]>::to_vec).collect();
                Box::new(chunks.into_iter().map(move |indices| task.batch(split, &indices)))
            }
        }
    }

    /// A batch for a gradient probe: fresh samples at the nominal length, or the first validation examples.
    pub fn probe_batch(&self, samples: usize) -> Batch {
        match self.instance {
            Instance::Generated(task) => {
                task.sample(&mut Stream::new(self.seed, Purpose::Probe, 0), samples, task.nominal_length())
            }
            Instance::Finite(task) => {
                let indices: Vec<usize> = (0..samples.min(task.len(Split::Validation))).collect();
                task.batch(Split::Validation, &indices)
            }
        }
    }
}

/// The length of a batch under a curriculum, given the length the task drew and its longest.
fn grown(curriculum: &CurriculumSpec, drawn: usize, longest: usize, step: u64, steps: u64) -> usize {
    let from = curriculum.from.min(longest) as f64;
    let done = (step as f64 / (curriculum.until * steps as f64)).min(1.0);
    let limit = from + (longest as f64 - from) * done;
    (drawn as f64 * limit / longest.max(1) as f64).ceil().clamp(1.0, drawn as f64) as usize
}

/// Deals the answers of all steps in the loss out anew among these steps, each to another row: they are moved round by a
/// random number of places, of whole rows where all have as many, so that an answer keeps its place among the answers of a
/// row. A permutation without that rule would leave one answer in `batch` where it belongs, from which everything could
/// still be learnt.
fn shuffle_answers(batch: &mut Batch, rng: &mut Stream) {
    let time = batch.inputs.time;
    let steps = batch.loss_steps();
    let counts: Vec<usize> = steps.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    if steps.len() < 2 * most {
        return;
    }
    let places = match counts.iter().all(|count| *count == most) {
        true => most * rng.between(1, counts.len() - 1),
        false => rng.between(most, steps.len() - most),
    };
    let at: Vec<usize> = steps.into_iter().map(|(row, step)| row * time + step).collect();
    let mut from = at.clone();
    from.rotate_left(places);
    match &mut batch.targets {
        Targets::Classes(classes) => {
            let dealt: Vec<u32> = from.iter().map(|from| classes[*from]).collect();
            at.iter().zip(dealt).for_each(|(at, class)| classes[*at] = class);
        }
        Targets::Values { dim, values } => {
            let dealt: Vec<Vec<f32>> =
                from.iter().map(|from| values[from * *dim..(from + 1) * *dim].to_vec()).collect();
            for (at, answer) in at.iter().zip(dealt) {
                values[at * *dim..(at + 1) * *dim].copy_from_slice(&answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::{InputData, Inputs};

    #[test]
    fn a_curriculum_grows_to_the_tasks_own_lengths_and_scales_what_is_drawn() {
        let curriculum = CurriculumSpec { from: 10, until: 0.5 };
        let at = |drawn, step| grown(&curriculum, drawn, 100, step, 1000);
        assert_eq!([at(100, 0), at(50, 0), at(1, 0)], [10, 5, 1]);
        // Half-way to step 500 the limit is 55.
        assert_eq!([at(100, 250), at(100, 500), at(37, 999)], [55, 100, 37]);
        let beyond = CurriculumSpec { from: 1000, until: 1.0 };
        assert_eq!(grown(&beyond, 100, 100, 0, 1000), 100);
    }

    #[test]
    fn shuffling_moves_every_answer_in_the_loss_to_another_row_and_loses_none() {
        let mut batch = Batch {
            inputs: Inputs { batch: 4, time: 3, data: InputData::Tokens(vec![0; 12]) },
            targets: Targets::Classes((0..12).collect()),
            loss_mask: (0..12).map(|at| at % 3 == 2).collect(),
            scored: Vec::new(),
            lengths: vec![3; 4],
        };
        for index in 0..20 {
            let before = batch.clone();
            shuffle_answers(&mut batch, &mut Stream::new(1, Purpose::Shuffle, index));
            let (Targets::Classes(old), Targets::Classes(new)) = (&before.targets, &batch.targets) else {
                panic!("classes")
            };
            assert!((0..12).all(|at| batch.loss_mask[at] == (old[at] != new[at])), "{old:?} {new:?}");
            let mut sorted = new.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..12).collect::<Vec<_>>());
        }
        // Rows with as many answers each give them away whole: the first of one becomes the first of another.
        batch.loss_mask = (0..12).map(|at| at % 3 > 0).collect();
        batch.targets = Targets::Classes((0..12).map(|at| at % 3).collect());
        let before = batch.clone();
        shuffle_answers(&mut batch, &mut Stream::new(1, Purpose::Shuffle, 3));
        assert_eq!(batch, before);
        batch.targets = Targets::Values { dim: 2, values: (0..24u8).map(f32::from).collect() };
        shuffle_answers(&mut batch, &mut Stream::new(1, Purpose::Shuffle, 3));
        let Targets::Values { values, .. } = &batch.targets else { panic!("values") };
        assert!(values.chunks(2).all(|pair| pair[1] == pair[0] + 1.0), "{values:?}");
    }
}
