//! `images`: classify an image that is read pixel by pixel.
//!
//! # Source
//! Le, Jaitly & Hinton 2015, *A Simple Way to Initialize Recurrent Networks of Rectified Linear Units* (sequential
//! and permuted MNIST). The embedded digits: Alpaydin & Kaynak 1998, UCI Machine Learning Repository, CC BY 4.0.
//!
//! # Definition
//! The pixels of an H × W image, row by row from the top left, one a step; the answer, at the last step, is the
//! class. With `permuted` one fixed permutation, the same for every image, split, seed and run, reorders the pixels:
//! neighbours lose each other, and local shortcuts with them. `source = "digits"` is the embedded set: 1,797 digits of
//! 8 × 8, split by index after one fixed shuffle into 1,197 for training, 200 for validation and 400 for test.
//! `source = "idx"` reads a pair of files in MNIST's format, plain or gzipped: with a test pair beside it a random
//! tenth of the training pair is for validation, without one a fifth is for test and a tenth for validation.
//!
//! # Shapes
//! Features `[batch, H·W, 1]` in 0..1 (grey level over the largest: 16 for the digits, 255 for IDX), targets
//! `[batch, H·W]` of as many classes as the largest label says, meaningful at the last step alone.
//!
//! # Example
//! An image of 2 × 2 with levels `0 255 / 51 0` and label 1: `0 1 0.2 0` → `· · · 1`.
//!
//! # Lag
//! H·W − 1: the whole image is the evidence.
//!
//! # Chance
//! Accuracy 1/classes; `majority` always answers the most frequent class of training.
//!
//! # Oracle
//! None: the labels are people's.
//!
//! # Deviations
//! Pixels are scaled to 0..1 and not standardised. The permutation is our own; published ones differ from each other.
//!
//! # Errors
//! `source = "idx"` without both files of a pair, paths beside `source = "digits"`, files that are missing, damaged or
//! too large, fewer than ten images, fewer than two classes, test images of another size.

use crate::checks::MAX_STEPS;
use crate::digits;
use crate::idx::{self, Source};
use seqbench_core::{
    Batch, Error, Evidence, Finite, InputData, InputKind, Inputs, Instance, OutputKind, Purpose, Reference,
    Result, Scored, Signature, Split, Stream, Targets, Task, TaskInfo,
};
use serde::{Deserialize, Serialize};

/// The registry entry.
pub struct Images;

/// Settings of `images`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the images come from.
    pub source: Origin,
    /// Whether one fixed permutation reorders the pixels.
    pub permuted: bool,
    /// IDX file of images; a relative path starts at the working directory.
    pub path_images: Option<String>,
    /// IDX file of their labels.
    pub path_labels: Option<String>,
    /// IDX file of test images; without it the test split is cut from the images above.
    pub path_test_images: Option<String>,
    /// IDX file of the test images' labels.
    pub path_test_labels: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            source: Origin::Digits,
            permuted: false,
            path_images: None,
            path_labels: None,
            path_test_images: None,
            path_test_labels: None,
        }
    }
}

/// Origin of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The embedded digits.
    Digits,
    /// Files given by `path_images` and its like.
    Idx,
}

/// Images of one size with their labels.
pub(crate) struct Pictures {
    /// H.
    pub(crate) height: usize,
    /// W.
    pub(crate) width: usize,
    /// The largest grey level.
    pub(crate) white: u8,
    /// Grey levels, `[count, height, width]`.
    pub(crate) pixels: Vec<u8>,
    /// Classes, `[count]`.
    pub(crate) labels: Vec<u8>,
}

impl Task for Images {
    type Config = Config;

    fn info(&self) -> &'static TaskInfo {
        &TaskInfo {
            name: "images",
            title: "Images, pixel by pixel",
            summary: "Classify an image whose pixels come one a step.",
            separates: "Real input: collecting weak evidence that is spread over the whole sequence.",
            citation: "Le, Jaitly & Hinton 2015; digits: Alpaydin & Kaynak 1998, UCI Machine Learning Repository",
            deviations: &["Pixels are scaled to 0..1, not standardised.", "The permutation is our own."],
            length_key: None,
            documentation: include_str!("images.rs"),
        }
    }

    fn build(&self, config: &Config) -> Result<Instance> {
        Ok(Instance::Finite(Box::new(Loaded::new(config)?)))
    }
}

/// The pictures of a configuration, in three parts.
struct Loaded {
    steps: usize,
    classes: usize,
    white: f32,
    /// Grey levels in the order of the steps, `[count, steps]`.
    pixels: Vec<u8>,
    labels: Vec<u8>,
    train: Vec<usize>,
    validation: Vec<usize>,
    test: Vec<usize>,
}

impl Loaded {
    fn new(config: &Config) -> Result<Self> {
        let (mut pictures, test) = match config.source {
            Origin::Digits => {
                config.refuse_paths()?;
                (digits::load()?, None)
            }
            Origin::Idx => config.read()?,
        };
        let count = pictures.labels.len();
        if count < 10 {
            return Err(Error::invalid(format!(
                "`path_images` holds {count} images, too few for three splits; give 10 or more"
            )));
        }
        let steps = pictures.height.saturating_mul(pictures.width);
        if steps > MAX_STEPS {
            return Err(Error::invalid(format!(
                "`path_images` holds images of {steps} pixels; give images of {MAX_STEPS} or less"
            )));
        }
        let mut order: Vec<usize> = (0..count).collect();
        Stream::named(0, Purpose::Fixture, "images.split").shuffle(&mut order);
        let (tested, validated) = match (config.source, &test) {
            (Origin::Digits, _) => (400, 200),
            (Origin::Idx, None) => (count / 5, count / 10),
            (Origin::Idx, Some(_)) => (0, count / 10),
        };
        let train = order.split_off(tested + validated);
        let validation = order.split_off(tested);
        if let Some(test) = test {
            order = (count..count + test.labels.len()).collect();
            pictures.pixels.extend(test.pixels);
            pictures.labels.extend(test.labels);
        }
        let classes = pictures.labels.iter().max().map_or(0, |label| usize::from(*label) + 1);
        if classes < 2 {
            return Err(Error::invalid("`path_labels` holds one class only; give labels of two or more"));
        }
        if config.permuted {
            permute(&mut pictures.pixels, steps);
        }
        Ok(Loaded {
            steps,
            classes,
            white: f32::from(pictures.white),
            pixels: pictures.pixels,
            labels: pictures.labels,
            train,
            validation,
            test: order,
        })
    }

    fn examples(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// How often each class occurs in a split.
    fn histogram(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for example in self.examples(split) {
            counts[usize::from(self.labels[*example])] += 1;
        }
        counts
    }
}

impl Config {
    fn refuse_paths(&self) -> Result<()> {
        let paths = [
            ("path_images", &self.path_images),
            ("path_labels", &self.path_labels),
            ("path_test_images", &self.path_test_images),
            ("path_test_labels", &self.path_test_labels),
        ];
        match paths.into_iter().find(|(_, path)| path.is_some()) {
            Some((key, _)) => Err(Error::invalid(format!(
                "`{key}` is read with source = \"idx\" alone; set that, or leave the path out"
            ))),
            None => Ok(()),
        }
    }

    /// The pair of training and, where it is given, of test.
    fn read(&self) -> Result<(Pictures, Option<Pictures>)> {
        let keys = ["path_images", "path_labels"];
        let Some([images, labels]) = pair(keys, [&self.path_images, &self.path_labels])? else {
            let message = "`source` = \"idx\" needs path_images and path_labels, a pair of IDX files";
            return Err(Error::invalid(message));
        };
        let pictures = idx::load(images, labels)?;
        let keys = ["path_test_images", "path_test_labels"];
        let Some([images, labels]) = pair(keys, [&self.path_test_images, &self.path_test_labels])? else {
            return Ok((pictures, None));
        };
        let test = idx::load(images, labels)?;
        if (test.height, test.width) != (pictures.height, pictures.width) {
            return Err(Error::invalid(format!(
                "`path_test_images` holds images of {} × {}, but `path_images` of {} × {}; give the two parts of \
                 one set",
                test.height, test.width, pictures.height, pictures.width
            )));
        }
        Ok((pictures, Some(test)))
    }
}

/// Both files of a pair, or none.
fn pair<'a>(keys: [&'a str; 2], paths: [&'a Option<String>; 2]) -> Result<Option<[Source<'a>; 2]>> {
    let alone = |there: &str, missing: &str| {
        Err(Error::invalid(format!("`{there}` needs {missing} beside it; images and labels come in pairs")))
    };
    match paths {
        [Some(images), Some(labels)] => {
            let [images_key, labels_key] = keys;
            Ok(Some([Source { key: images_key, path: images }, Source { key: labels_key, path: labels }]))
        }
        [Some(_), None] => alone(keys[0], keys[1]),
        [None, Some(_)] => alone(keys[1], keys[0]),
        [None, None] => Ok(None),
    }
}

/// Reorders every row of `[count, steps]` by the one permutation of that many steps.
fn permute(pixels: &mut [u8], steps: usize) {
    let mut order: Vec<usize> = (0..steps).collect();
    Stream::named(0, Purpose::Fixture, "images.permutation").shuffle(&mut order);
    let mut row = vec![0; steps];
    for picture in pixels.chunks_exact_mut(steps) {
        row.copy_from_slice(picture);
        for (pixel, from) in picture.iter_mut().zip(&order) {
            *pixel = row[*from];
        }
    }
}

impl Finite for Loaded {
    fn signature(&self) -> Signature {
        Signature { input: InputKind::Features(1), output: OutputKind::Classes(self.classes) }
    }

    fn len(&self, split: Split) -> usize {
        self.examples(split).len()
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn batch(&self, split: Split, indices: &[usize]) -> Batch {
        let (batch, time) = (indices.len(), self.steps);
        let examples = self.examples(split);
        let mut values = Vec::with_capacity(batch * time);
        let mut classes = vec![0; batch * time];
        let mut loss_mask = vec![false; batch * time];
        let mut scored = Vec::with_capacity(batch);
        let last = time - 1;
        for (row, index) in indices.iter().enumerate() {
            let example = examples[*index];
            let pixels = &self.pixels[example * time..(example + 1) * time];
            values.extend(pixels.iter().map(|pixel| f32::from(*pixel) / self.white));
            classes[row * time + last] = u32::from(self.labels[example]);
            loss_mask[row * time + last] = true;
            scored.push(Scored {
                row: row as u32,
                step: last as u32,
                lag: last as u32,
                evidence: Evidence::Span(0..time as u32),
            });
        }
        Batch {
            inputs: Inputs { batch, time, data: InputData::Features { dim: 1, values } },
            targets: Targets::Classes(classes),
            loss_mask,
            scored,
            lengths: vec![time; batch],
        }
    }

    fn references(&self) -> Vec<Reference> {
        let trained = self.histogram(Split::Train);
        // The smallest of equally frequent classes.
        let majority = (0..self.classes).rev().max_by_key(|class| trained[*class]).unwrap_or(0);
        let hits = self.histogram(Split::Test)[majority] as f64;
        let classes = self.classes as f64;
        vec![
            Reference { name: "chance", metric: "accuracy", value: 1.0 / classes },
            Reference {
                name: "majority",
                metric: "accuracy",
                value: hits / self.len(Split::Test).max(1) as f64,
            },
            Reference { name: "chance", metric: "loss_nats", value: libm::log(classes) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequences::golden;

    fn digits_of(permuted: bool) -> Loaded {
        Loaded::new(&Config { permuted, ..Config::default() }).unwrap()
    }

    #[test]
    fn the_digits_are_split_into_disjoint_parts_that_hold_every_image() {
        let digits = digits_of(false);
        let sizes = [Split::Train, Split::Validation, Split::Test].map(|split| digits.len(split));
        assert_eq!(sizes, [1197, 200, 400]);
        let mut all = [&digits.train[..], &digits.validation, &digits.test].concat();
        all.sort_unstable();
        assert_eq!(all, (0..digits::COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn one_permutation_reorders_every_split() {
        let (plain, permuted) = (digits_of(false), digits_of(true));
        let mut markers: Vec<u8> = (0..64).collect();
        permute(&mut markers, 64);
        let mut sorted = markers.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<u8>>());
        assert_ne!(sorted, markers);
        for split in [Split::Train, Split::Validation, Split::Test] {
            let indices: Vec<usize> = (0..plain.len(split)).collect();
            let (plain, permuted) = (plain.batch(split, &indices), permuted.batch(split, &indices));
            assert_eq!(plain.targets, permuted.targets);
            let (InputData::Features { values: plain, .. }, InputData::Features { values: permuted, .. }) =
                (plain.inputs.data, permuted.inputs.data)
            else {
                panic!("features")
            };
            for (plain, permuted) in plain.chunks(64).zip(permuted.chunks(64)) {
                assert!(
                    markers.iter().zip(permuted).all(|(from, pixel)| plain[usize::from(*from)] == *pixel)
                );
                assert!(plain.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
            }
        }
    }

    #[test]
    fn the_first_examples_never_change() {
        assert_eq!(
            golden::first_examples(&digits_of(false)),
            [
                "311b2f951ae79c6a1a360c828f2b31579167a623ab40540ae3f59067766a2798",
                "13c8e411fbb58bf972a92a6f956905d0116f5d51ec91de4327589f8996062ef9"
            ]
        );
        assert_eq!(
            golden::first_examples(&digits_of(true)),
            [
                "a673662b78ea1372c7e736637ac829300ba4f214611f75aefb5156a2553196c9",
                "8701d24666568196d2227204d7075e98e2205e99446300f8348a5ca510941773"
            ]
        );
    }
}
