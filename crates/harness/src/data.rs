//! Batches of a task for one cell: fresh samples of a generated task, epochs of a finite one. Every batch is a pure
//! function of (seed, purpose, index), so it does not matter when, where or whether others were made before.

use seqbench_core::{Batch, Instance, Purpose, Split, Stream};

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
    pub fn training_batch(&mut self, step: u64, batch: usize) -> Batch {
        match self.instance {
            Instance::Generated(task) => {
                let mut rng = Stream::new(self.seed, Purpose::Train, step);
                let length = task.training_length(&mut rng);
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
