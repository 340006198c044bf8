//! `text`: say the next byte of a text.
//!
//! # Source
//! Graves 2013, *Generating Sequences With Recurrent Neural Networks* (prediction of a file's bytes, scored in bits a
//! byte). The embedded text: *The Jargon File* 4.4.7, edited by E. S. Raymond, public domain.
//!
//! # Definition
//! The bytes of a file, split by position: the first 80 % for training, then 10 % for validation and 10 % for test.
//! `path` is a file of one's own; without it 512,000 bytes of the Jargon File, which come with the program. A training
//! example is a window of `length` + 1 bytes, and there is one at every position, so that an epoch begins once at each
//! byte. Validation and test are cut into windows one after another, each byte but a part's first being asked for once;
//! the last window is what is left. Every window begins without a context. The answer at every step is the next byte,
//! and every step is scored. The primary metric is `bits_per_byte`, the mean loss in nats over ln 2.
//!
//! # Shapes
//! Symbols `[batch, length]` of 256, targets `[batch, length]` of 256 classes, meaningful at every step of a sequence.
//!
//! # Example
//! `length` = 4 and the bytes `abcdef`: `a b c d` → `b c d e`.
//!
//! # Lag
//! The step itself: every byte of the window so far is evidence. Accuracy against lag is accuracy against the length of
//! the context.
//!
//! # Chance
//! `unigram`, in bits per byte: the test part's cross-entropy under the frequencies of the training part's bytes, one
//! added to the count of each of the 256. `entropy`: the entropy of the test part's own frequencies, the floor of every
//! predictor that looks at no context. `chance`: accuracy of always saying training's most frequent byte, and the loss
//! in nats of `unigram`.
//!
//! # Oracle
//! None: nobody knows how a text goes on.
//!
//! # Deviations
//! A window begins without a context, where the source carries its state through the file; its first bytes are guessed
//! and cost more. Compare bits per byte at one `length` alone.
//!
//! # Errors
//! `length` of 0 or beyond what fits a machine; a file that is missing, a directory, empty, shorter than
//! 10 · (`length` + 1) bytes or larger than 256 MiB.

use crate::checks::{self, MAX_STEPS};
use crate::files;
use flate2::read::GzDecoder;
use seqbench_core::{
    Batch, Error, Evidence, Finite, InputData, InputKind, Inputs, Instance, OutputKind, Reference, Result,
    Scored, Signature, Split, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// Values a byte has.
const BYTES: usize = 256;

/// Bytes a file may hold at most: 256 MiB. An epoch's order has a number for each of them.
const MAX_FILE: u64 = 1 << 28;

/// Bytes of the embedded text.
const EMBEDDED: usize = 512_000;

/// The embedded text, compressed; see `fixtures/README.md`.
static PACKED: &[u8] = include_bytes!("../fixtures/jargon.txt.gz");

/// The registry entry.
pub struct Text;

/// Settings of `text`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File to read; a relative path starts at the working directory. Without it the embedded text.
    pub path: Option<String>,
    /// Bytes of a window, which is the longest context.
    pub length: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config { path: None, length: 128 }
    }
}

impl Task for Text {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "text",
            title: "Text, byte by byte",
            summary: "Say the next byte of a text.",
            separates: "Real language: how much of a long context is used to predict what comes next.",
            citation: "Graves 2013; text: The Jargon File 4.4.7, ed. E. S. Raymond, public domain",
            documentation: include_str!("text.rs"),
            deviations: &["Every window begins without a context."],
            length_key: Some("length"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        Ok(Instance::Finite(Box::new(Loaded::new(config)?)))
    }
}

/// The bytes of a configuration, in three parts.
struct Loaded {
    length: usize,
    bytes: Vec<u8>,
    /// First byte of the validation part, and of the test part.
    borders: [usize; 2],
}

impl Loaded {
    fn new(config: &Config) -> Result<Self> {
        checks::at_least("length", config.length, 1, "there would be no byte to predict from")?;
        checks::at_most("length", config.length, MAX_STEPS)?;
        let bytes = match &config.path {
            Some(path) => files::read("path", path, MAX_FILE)?,
            None => embedded()?,
        };
        // A window and the byte behind its end, in the smallest of the parts.
        let needed = 10 * (config.length + 1);
        if bytes.len() < needed {
            let (held, length) = (bytes.len(), config.length);
            return Err(Error::invalid(match &config.path {
                Some(path) => format!(
                    "`path`: {path}: holds {held} bytes, but windows of `length` = {length} need {needed}; give a \
                     longer file or a smaller `length`"
                ),
                None => format!(
                    "`length` = {length} is too large for the embedded text of {held} bytes; use {} or less, or \
                     give the `path` of a longer file",
                    held / 10 - 1
                ),
            }));
        }
        let tenth = bytes.len() / 10;
        let borders = [bytes.len() - 2 * tenth, bytes.len() - tenth];
        Ok(Loaded { length: config.length, bytes, borders })
    }

    fn part(&self, split: Split) -> &[u8] {
        let [validation, test] = self.borders;
        match split {
            Split::Train => &self.bytes[..validation],
            Split::Validation => &self.bytes[validation..test],
            Split::Test => &self.bytes[test..],
        }
    }

    /// The bytes of an example and the one behind them.
    fn window(&self, split: Split, index: usize) -> &[u8] {
        let part = self.part(split);
        let start = if split == Split::Train { index } else { index * self.length };
        &part[start..(start + self.length + 1).min(part.len())]
    }

    /// How often each byte is an answer of a split; of training all bytes count.
    fn histogram(&self, split: Split) -> Vec<f64> {
        let answers = match split {
            Split::Train => self.part(split),
            Split::Validation | Split::Test => &self.part(split)[1..],
        };
        let mut counts = vec![0.0; BYTES];
        answers.iter().for_each(|byte| counts[usize::from(*byte)] += 1.0);
        counts
    }
}

/// The text that comes with the program.
fn embedded() -> Result<Vec<u8>> {
    let damaged = || Error::invalid("the text embedded in this program is damaged; build it again");
    let mut bytes = Vec::new();
    GzDecoder::new(PACKED).read_to_end(&mut bytes).map_err(|_| damaged())?;
    if bytes.len() != EMBEDDED {
        return Err(damaged());
    }
    Ok(bytes)
}

/// Mean bits a byte of `asked` costs under frequencies proportional to `told`, which are above zero wherever `asked` are.
fn cross_entropy(asked: &[f64], told: &[f64]) -> f64 {
    let (asks, tells): (f64, f64) = (asked.iter().sum(), told.iter().sum());
    let occurring = asked.iter().zip(told).filter(|(asked, _)| **asked > 0.0);
    occurring.map(|(asked, told)| asked / asks * libm::log2(tells / told)).sum()
}

impl Finite for Loaded {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Tokens(BYTES), output: OutputKind::Classes(BYTES) }
    }

    fn len(&self, split: Split) -> usize {
        let part = self.part(split).len();
        match split {
            Split::Train => part - self.length,
            Split::Validation | Split::Test => (part - 1).div_ceil(self.length),
        }
    }

    fn steps(&self) -> usize {
        self.length
    }

    fn batch(&self, split: Split, indices: &[usize]) -> Batch {
        let windows: Vec<&[u8]> = indices.iter().map(|index| self.window(split, *index)).collect();
        let lengths: Vec<usize> = windows.iter().map(|window| window.len() - 1).collect();
        let (batch, time) = (windows.len(), lengths.iter().copied().max().unwrap_or(0));
        let mut tokens = vec![0; batch * time];
        let mut classes = vec![0; batch * time];
        let mut loss_mask = vec![false; batch * time];
        let mut scored = Vec::with_capacity(lengths.iter().sum());
        for (row, window) in windows.iter().enumerate() {
            for (step, pair) in window.windows(2).enumerate() {
                let at = row * time + step;
                tokens[at] = u32::from(pair[0]);
                classes[at] = u32::from(pair[1]);
                loss_mask[at] = true;
                scored.push(Scored {
                    row: row as u32,
                    step: step as u32,
                    lag: step as u32,
                    evidence: Evidence::Span(0..step as u32 + 1),
                });
            }
        }
        Batch {
            inputs: Inputs { batch, time, data: InputData::Tokens(tokens) },
            targets: Targets::Classes(classes),
            loss_mask,
            scored,
            lengths,
        }
    }

    fn metric(&self) -> &'static str {
        "bits_per_byte"
    }

    fn references(&self) -> Vec<Reference> {
        let (trained, tested) = (self.histogram(Split::Train), self.histogram(Split::Test));
        let smoothed: Vec<f64> = trained.iter().map(|count| count + 1.0).collect();
        let unigram = cross_entropy(&tested, &smoothed);
        // The smallest of equally frequent bytes.
        let frequent = (0..BYTES).rev().max_by(|a, b| trained[*a].total_cmp(&trained[*b])).unwrap_or(0);
        let chance = tested[frequent] / tested.iter().sum::<f64>();
        vec![
            Reference { name: "unigram", metric: "bits_per_byte", value: unigram },
            Reference { name: "entropy", metric: "bits_per_byte", value: cross_entropy(&tested, &tested) },
            Reference { name: "chance", metric: "accuracy", value: chance },
            Reference { name: "chance", metric: "loss_nats", value: unigram * std::f64::consts::LN_2 },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;
    use sha2::{Digest, Sha256};

    fn of(bytes: Vec<u8>, length: usize) -> Loaded {
        let tenth = bytes.len() / 10;
        Loaded { length, borders: [bytes.len() - 2 * tenth, bytes.len() - tenth], bytes }
    }

    #[test]
    fn the_fixture_is_the_text_its_readme_describes() {
        let digest = |bytes: &[u8]| -> String {
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let readme = include_str!("../fixtures/README.md");
        let text = embedded().unwrap();
        for digest in [digest(PACKED), digest(&text)] {
            assert!(readme.contains(&digest), "{digest}");
        }
        assert_eq!((PACKED.len(), text.len()), (206_875, EMBEDDED));
        assert!(text.starts_with(b"   :C: n.\n\n   1. The third letter of the English alphabet."));
    }

    #[test]
    fn windows_begin_at_every_byte_of_training_and_follow_each_other_elsewhere() {
        // 64 bytes of training, 8 of validation, 8 of test; windows of 3.
        let task = of((0..80).collect(), 3);
        let [train, validation, test] = [Split::Train, Split::Validation, Split::Test];
        assert_eq!([train, validation, test].map(|split| task.len(split)), [61, 3, 3]);
        assert_eq!(task.window(train, 0), [0, 1, 2, 3]);
        assert_eq!(task.window(train, 60), [60, 61, 62, 63]);
        assert_eq!(task.window(test, 0), [72, 73, 74, 75]);
        assert_eq!(task.window(test, 2), [78, 79]);
        let batch = task.batch(validation, &[2, 0]);
        assert_eq!(batch.fault(), None);
        assert_eq!((&batch.lengths[..], batch.inputs.time), (&[1, 3][..], 3));
        assert_eq!(batch.inputs.data, InputData::Tokens(vec![70, 0, 0, 64, 65, 66]));
        assert_eq!(batch.targets, Targets::Classes(vec![71, 0, 0, 65, 66, 67]));
        assert_eq!(batch.scored_steps(), batch.loss_steps());
        assert_eq!(batch.scored.iter().map(|scored| scored.lag).collect::<Vec<_>>(), [0, 0, 1, 2]);
    }

    #[test]
    fn every_byte_but_a_parts_first_is_asked_for_once() {
        for length in 1..8 {
            let task = of((0..100).collect(), length);
            for split in [Split::Validation, Split::Test] {
                let answers = (0..task.len(split)).flat_map(|index| task.window(split, index)[1..].to_vec());
                assert_eq!(answers.collect::<Vec<_>>(), task.part(split)[1..], "{length}");
            }
        }
    }

    #[test]
    fn references_are_those_of_frequencies_counted_by_hand() {
        // Training: 12 a and 4 b; test: its first byte is no answer, so one a and one b are.
        let task = of([vec![b'a'; 12], vec![b'b'; 4], b"bbb".to_vec(), b"aab".to_vec()].concat(), 1);
        // A tenth of 22 is 2: the parts are 18, 2 and 2 bytes.
        assert_eq!((task.part(Split::Train).len(), task.part(Split::Test)), (18, &b"ab"[..]));
        let references = task.references();
        let value = |at: usize| references[at].value;
        // One answer, b, of which training has 6 in 18; one is added to each of 256.
        assert!((value(0) - libm::log2(274.0 / 7.0)).abs() < 1e-12);
        assert_eq!((value(1), value(2)), (0.0, 0.0));
        assert!((value(3) - value(0) * std::f64::consts::LN_2).abs() < 1e-12);
        assert!(
            (cross_entropy(&[1.0, 1.0], &[1.0, 3.0]) - (2.0 + libm::log2(4.0 / 3.0)) / 2.0).abs() < 1e-12
        );
    }

    #[test]
    fn the_first_examples_never_change() {
        assert_eq!(
            golden::first_examples(&Loaded::new(&Config::default()).unwrap()),
            [
                "2ba38b2e981a5abf6e02a65e7d16229dadb341b3cfbb1b9084de8a1ae38024d4",
                "2b951cb7c356bee703e831461d7aceba242dc917ae811c09b8a19ebe1d4043c3"
            ]
        );
    }
}
