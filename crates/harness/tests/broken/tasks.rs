//! Two small tasks that keep every contract, and the same with one thing wrong.

use seqbench_core::{
    Batch, Evidence, Finite, Generated, InputData, InputKind, Inputs, Instance, OutputKind, Reference,
    Result, Scored, Signature, Split, Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    #[default]
    Nothing,
    OtherTarget,
    OtherLag,
    OtherEvidence,
    TooMuchEvidence,
    BeyondTheVocabulary,
    LongerThanItSays,
    IgnoresItsStream,
    OwnGenerator,
    OneStreamForAll,
    Biased,
    ChanceTooHigh,
    NoChance,
    TrainsLonger,
    EvaluatesElsewhere,
    EmptySplit,
    SharedExample,
    ForgetsItsIndex,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub wrong: Wrong,
    pub lag: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { wrong: Wrong::Nothing, lag: 24 }
    }
}

static INFO: TaskInfo = TaskInfo {
    name: "echo",
    title: "Echo",
    summary: "Say the first symbol again.",
    separates: "nothing",
    citation: "none, 2026",
    deviations: &[],
    length_key: Some("lag"),
    documentation: "",
};
static COIN: TaskInfo = TaskInfo { name: "coin", length_key: None, ..INFO };
static LAX: TaskInfo = TaskInfo { name: "Lax task", length_key: Some("length"), ..INFO };

/// The first of `lag + 1` bits is to be said at the end.
pub struct Echo;
/// The same over a fixed set: example `i` spells out a number of its own.
pub struct Coin;
/// Reads whatever it is given, and is named as nothing should be.
pub struct Lax;

impl Task for Echo {
    type Config = Config;
    fn info(&self) -> &'static TaskInfo {
        &INFO
    }
    fn build(&self, config: &Config) -> Result<Instance> {
        Ok(Instance::Generated(Box::new(config.clone())))
    }
}

impl Task for Coin {
    type Config = Config;
    fn info(&self) -> &'static TaskInfo {
        &COIN
    }
    fn build(&self, config: &Config) -> Result<Instance> {
        Ok(Instance::Finite(Box::new(config.clone())))
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaxConfig {
    pub lag: usize,
}

impl Task for Lax {
    type Config = LaxConfig;
    fn info(&self) -> &'static TaskInfo {
        &LAX
    }
    fn build(&self, _: &LaxConfig) -> Result<Instance> {
        Ok(Instance::Generated(Box::new(Config::default())))
    }
}

static DRAWN: AtomicU64 = AtomicU64::new(0);

impl Config {
    fn batch(&self, batch: usize, time: usize, tokens: Vec<u32>) -> Batch {
        let inputs = Inputs { batch, time, data: InputData::Tokens(tokens) };
        let mut targets = Generated::oracle(self, &inputs, &vec![time; batch]);
        if let (Wrong::OtherTarget, Targets::Classes(classes)) = (self.wrong, &mut targets) {
            classes.iter_mut().for_each(|class| *class = 1 - *class);
        }
        let last = time as u32 - 1;
        let (evidence, lag) = match self.wrong {
            Wrong::OtherLag => (Evidence::Steps(vec![0]), last - 1),
            Wrong::OtherEvidence => (Evidence::Steps(vec![1]), last - 1),
            Wrong::TooMuchEvidence => (Evidence::Span(0..last), last),
            _ => (Evidence::Steps(vec![0]), last),
        };
        let scored = |row: usize| Scored { row: row as u32, step: last, lag, evidence: evidence.clone() };
        Batch {
            targets,
            loss_mask: (0..batch * time).map(|at| at % time == time - 1).collect(),
            scored: (0..batch).map(scored).collect(),
            lengths: vec![time; batch],
            inputs,
        }
    }

    fn chance(&self) -> Vec<Reference> {
        let value = if self.wrong == Wrong::ChanceTooHigh { 0.7 } else { 0.5 };
        match self.wrong {
            Wrong::NoChance => vec![Reference { name: "majority", metric: "accuracy", value }],
            _ => vec![Reference { name: "chance", metric: "accuracy", value }],
        }
    }

    fn kinds(&self) -> Signature {
        let vocabulary = if self.wrong == Wrong::BeyondTheVocabulary { 1 } else { 2 };
        Signature { input: InputKind::Tokens(vocabulary), output: OutputKind::Classes(2) }
    }
}

impl Generated for Config {
    fn signature(&self) -> Signature {
        self.kinds()
    }
    fn nominal_length(&self) -> usize {
        self.lag
    }
    fn training_length(&self, _: &mut Stream) -> usize {
        self.lag + usize::from(self.wrong == Wrong::TrainsLonger)
    }
    fn evaluation_lengths(&self) -> Vec<usize> {
        vec![self.lag + usize::from(self.wrong == Wrong::EvaluatesElsewhere)]
    }
    fn steps(&self, length: usize) -> usize {
        length + usize::from(self.wrong != Wrong::LongerThanItSays)
    }
    fn sample(&self, rng: &mut Stream, batch: usize, length: usize) -> Batch {
        let time = length + 1;
        let offset = match self.wrong {
            Wrong::OwnGenerator => DRAWN.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        let mut fixed = Stream::new(offset, seqbench_core::Purpose::Fixture, 0);
        let rng = match self.wrong {
            Wrong::IgnoresItsStream | Wrong::OwnGenerator => &mut fixed,
            _ => rng,
        };
        let mut tokens: Vec<u32> = (0..batch * time).map(|_| rng.below(2) as u32).collect();
        if self.wrong == Wrong::Biased {
            (0..batch).filter(|row| row % 5 != 0).for_each(|row| tokens[row * time] = 0);
        }
        if self.wrong == Wrong::OneStreamForAll {
            // One row of the stream's own, and otherwise always the same ones.
            let mut rows = (time..batch * time).map(|_| fixed.below(2) as u32);
            tokens.iter_mut().skip(time).for_each(|token| *token = rows.next().unwrap_or(0));
        }
        self.batch(batch, time, tokens)
    }
    fn oracle(&self, inputs: &Inputs, _: &[usize]) -> Targets {
        let InputData::Tokens(tokens) = &inputs.data else { return Targets::Classes(Vec::new()) };
        Targets::Classes((0..tokens.len()).map(|at| tokens[at / inputs.time * inputs.time]).collect())
    }
    fn references(&self, _: usize) -> Vec<Reference> {
        self.chance()
    }
}

impl Finite for Config {
    fn signature(&self) -> Signature {
        self.kinds()
    }
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => 21,
            Split::Validation if self.wrong == Wrong::EmptySplit => 0,
            Split::Validation | Split::Test => 12,
        }
    }
    fn steps(&self) -> usize {
        8
    }
    fn batch(&self, split: Split, indices: &[usize]) -> Batch {
        let first = match split {
            Split::Train => 0,
            Split::Validation => 21,
            Split::Test if self.wrong == Wrong::SharedExample => 32,
            Split::Test => 33,
        };
        // The lowest bit alternates, so both classes are about as frequent.
        let bits = |(row, index): (usize, &usize)| {
            let number = first + if self.wrong == Wrong::ForgetsItsIndex { row } else { *index };
            (0..8).map(move |bit| (number >> bit & 1) as u32)
        };
        Config::batch(self, indices.len(), 8, indices.iter().enumerate().flat_map(bits).collect())
    }
    fn references(&self) -> Vec<Reference> {
        self.chance()
    }
}
