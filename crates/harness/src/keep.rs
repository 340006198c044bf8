//! Checkpoints inside a cell: an unfinished training run on disk, from which it goes on to the same bits. A checkpoint is
//! one safetensors file (weights, moments, and in the metadata everything else), written whole or not at all, with a digest
//! over all of it; one that does not hold what it should is set aside and never read as data.

use crate::checkpoint::{serialize, write_whole};
use crate::plan::NUMERICS_VERSION;
use crate::run::{Encoded, Findings};
use crate::train::Trainer;
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use seqbench_core::{Error, Result};
use seqbench_kernels::optimizer::Moments;
use seqbench_record::{Disk, Provenance, digest, provenance};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Key of the metadata.
const KEY: &str = "seqbench-unfinished";

/// Where an unfinished cell is kept, how often, and whether it is to stop.
pub struct Keeper {
    disk: Arc<dyn Disk>,
    path: Option<PathBuf>,
    every: Duration,
    last: Instant,
    stop: Arc<AtomicBool>,
}

impl Keeper {
    /// Keeps nothing, and never stops.
    pub fn none() -> Self {
        Keeper {
            disk: Arc::new(seqbench_record::RealDisk),
            path: None,
            every: Duration::MAX,
            last: Instant::now(),
            stop: Arc::default(),
        }
    }

    /// Keeps a checkpoint in this file every so often, and a last one when `stop` is set.
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf, every: Duration, stop: Arc<AtomicBool>) -> Self {
        Keeper { disk, path: Some(path), every, last: Instant::now(), stop }
    }

    /// Whether the run is to stop.
    pub(crate) fn stops(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Whether a checkpoint is to be written now.
    pub(crate) fn is_due(&self) -> bool {
        self.path.is_some() && (self.stops() || self.last.elapsed() >= self.every)
    }

    /// The checkpoint there is, if it is of this run. What is damaged is set aside under another name, and said.
    pub(crate) fn load(&self, run: &str, say: &mut dyn FnMut(String)) -> Option<Unfinished> {
        let path = self.path.as_deref()?;
        let bytes = match self.disk.read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                say(format!("cannot read {}: {error}; beginning anew", path.display()));
                return None;
            }
        };
        match Unfinished::from_bytes(&bytes) {
            Ok(unfinished) if unfinished.state.run == run && unfinished.state.made_by == made_by() => {
                Some(unfinished)
            }
            Ok(_) => {
                say(format!("{} is of another program or rate; beginning anew", path.display()));
                None
            }
            Err(error) => {
                let aside = path.with_extension("damaged");
                let moved = self.disk.rename(path, &aside);
                let where_to = moved
                    .map_or_else(|error| error.to_string(), |()| format!("set aside as {}", aside.display()));
                say(format!("{} is damaged: {error}; {where_to}; beginning anew", path.display()));
                None
            }
        }
    }

    /// Writes a checkpoint.
    ///
    /// # Errors
    /// The disk refuses; the last one stands then.
    pub(crate) fn keep(&mut self, unfinished: &Unfinished) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let bytes = unfinished.to_bytes()?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let written =
            self.disk.create_dir_all(folder).and_then(|()| write_whole(self.disk.as_ref(), path, &bytes));
        self.last = Instant::now();
        written.map_err(|error| {
            Error::invalid(format!("cannot keep a checkpoint in {}: {error}", path.display()))
        })
    }
}

/// A training run after some of its steps.
pub(crate) struct Unfinished {
    weights: Vec<(String, Tensor)>,
    moments: Moments,
    pub(crate) state: State,
}

/// Everything but the numbers of the model and its optimizer. Random streams are counted from the step, and have no state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Of which run: the cell and its rate.
    pub(crate) run: String,
    /// By which program, on which instructions: another would go on to other bits.
    made_by: String,
    /// Updates each parameter has had.
    updates: Vec<u64>,
    /// How far its training is.
    pub(crate) progress: TrainingProgress,
    /// What it has found.
    found: Encoded,
}

/// How far a training is, beside the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingProgress {
    /// Steps taken.
    pub(crate) taken: u64,
    /// The next point of the curve.
    pub(crate) next_point: u64,
    /// Steps that were clipped.
    pub(crate) clipped: u64,
    /// Steps that were applied.
    pub(crate) applied: u64,
    /// Sums since the last point.
    pub(crate) window: Window,
    /// Seconds of optimizer steps.
    pub(crate) seconds: f64,
}

/// Sums since the last point of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) n: u64,
    pub(crate) loss: f64,
    pub(crate) before: f64,
    pub(crate) after: f64,
}

/// What decides the bits beside the configuration.
fn made_by() -> String {
    let made = provenance(seqbench_kernels::isa::active().name(), 1, 0.0);
    let Provenance { version, revision, compiler, isa, .. } = made;
    format!("{version} {revision} {compiler} {isa} numerics {NUMERICS_VERSION}")
}

impl Unfinished {
    /// A run as it is now.
    ///
    /// # Errors
    /// A row does not become text.
    pub(crate) fn new(
        run: &str,
        trainer: &Trainer,
        progress: TrainingProgress,
        found: &Findings,
    ) -> Result<Self> {
        let weights = trainer.parameters().iter();
        let weights = weights.map(|own| (own.name.clone(), own.var.as_detached_tensor())).collect();
        let moments = trainer.moments().clone();
        let found = found.clone().encode(Provenance::default()).map_err(Error::invalid)?;
        let state = State {
            run: run.to_owned(),
            made_by: made_by(),
            updates: moments.steps.clone(),
            progress,
            found,
        };
        Ok(Unfinished { weights, moments, state })
    }

    /// Puts weights and moments into a trainer of the same run, and returns what had been found.
    ///
    /// # Errors
    /// They are those of another model.
    pub(crate) fn restore(self, trainer: &mut Trainer) -> Result<Findings> {
        trainer.restore(&self.weights, self.moments)?;
        let (found, _) = self.state.found.decode().map_err(Error::invalid)?;
        Ok(found)
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut tensors: Vec<(String, Tensor)> =
            self.weights.iter().map(|(name, tensor)| (format!("weights/{name}"), tensor.clone())).collect();
        for (kind, all) in [("first", &self.moments.first), ("second", &self.moments.second)] {
            for (at, values) in all.iter().enumerate() {
                tensors.push((format!("{kind}/{at}"), Tensor::new(values.as_slice(), &Device::Cpu)?));
            }
        }
        let state = serde_json::to_string(&self.state).map_err(|error| Error::invalid(error.to_string()))?;
        let sealed = |digest: &str| {
            serialize(tensors.clone(), HashMap::from([(KEY.to_owned(), format!("{digest}{state}"))]))
        };
        // Over the file with zeros in its own place.
        let seal = digest(&sealed(ZEROS)?);
        sealed(&seal)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let unreadable = |what: String| Error::invalid(what);
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| unreadable(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(KEY));
        let text = text.filter(|text| text.is_char_boundary(ZEROS.len()) && text.len() > ZEROS.len());
        let (seal, state) = text
            .map(|text| text.split_at(ZEROS.len()))
            .ok_or_else(|| unreadable("there is no run in it".into()))?;
        if digest(&unsealed(bytes, seal)?) != seal {
            return Err(unreadable("it differs from its digest".into()));
        }
        let state: State = serde_json::from_str(state).map_err(|error| unreadable(error.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.to_string()))?;
        let mut weights = Vec::new();
        let mut moments = Moments {
            steps: state.updates.clone(),
            first: vec![Vec::new(); state.updates.len()],
            second: vec![Vec::new(); state.updates.len()],
        };
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(unreadable(format!("`{name}` is not single precision")));
            }
            let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let numbers: Vec<f32> = numbers.collect();
            let (kind, rest) = name.split_once('/').unwrap_or((name, ""));
            let place = |all: &mut Vec<Vec<f32>>, numbers| {
                let at: usize = rest.parse().map_err(|_| unreadable(format!("`{name}` is unknown")))?;
                *all.get_mut(at).ok_or_else(|| unreadable(format!("`{name}` is unknown")))? = numbers;
                Ok::<(), Error>(())
            };
            match kind {
                "weights" => {
                    weights.push((rest.to_owned(), Tensor::from_vec(numbers, view.shape(), &Device::Cpu)?))
                }
                "first" => place(&mut moments.first, numbers)?,
                "second" => place(&mut moments.second, numbers)?,
                _ => return Err(unreadable(format!("`{name}` is unknown"))),
            }
        }
        Ok(Unfinished { weights, moments, state })
    }
}

/// As long as a digest.
const ZEROS: &str = "0000000000000000";

/// The bytes with zeros for the digest, which stands once in the header.
fn unsealed(bytes: &[u8], seal: &str) -> Result<Vec<u8>> {
    let mut copy = bytes.to_vec();
    let at = copy.windows(seal.len()).position(|window| window == seal.as_bytes());
    let at = at.ok_or_else(|| Error::invalid("its digest is missing"))?;
    copy[at..at + seal.len()].copy_from_slice(ZEROS.as_bytes());
    Ok(copy)
}
