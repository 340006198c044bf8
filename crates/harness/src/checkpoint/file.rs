//! A checkpoint as a safetensors file: every parameter under its own name, the model in the metadata under `seqbench`.

use super::Checkpoint;
use super::arrays::unreadable;
use crate::model::configured_cores;
use crate::plan::NUMERICS_VERSION;
use crate::spec::ModelSpec;
use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors};
use seqbench_core::{Error, InputKind, OutputKind, Registry, Result, Signature};
use seqbench_record::{Disk, temporary};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// Key of the metadata. There is one, because a file's bytes would depend on the order of several.
const KEY: &str = "seqbench";

/// The metadata's value, as JSON.
#[derive(Serialize, Deserialize)]
struct Header {
    version: String,
    numerics: u32,
    horizon: usize,
    model: ModelSpec,
    input: Input,
    output: Output,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Input {
    Tokens(usize),
    Features(usize),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Output {
    Classes(usize),
    Values { dim: usize, tolerance: f64 },
}

impl Header {
    fn signature(&self) -> Signature {
        let input = match self.input {
            Input::Tokens(count) => InputKind::Tokens(count),
            Input::Features(count) => InputKind::Features(count),
        };
        let output = match self.output {
            Output::Classes(count) => OutputKind::Classes(count),
            Output::Values { dim, tolerance } => OutputKind::Regression { dim, tolerance },
        };
        Signature { input, output }
    }
}

impl Checkpoint {
    /// The file. The same checkpoint gives the same bytes.
    ///
    /// # Errors
    /// A tensor cannot be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            numerics: NUMERICS_VERSION,
            horizon: self.horizon,
            model: self.model.clone(),
            input: match self.signature.input {
                InputKind::Tokens(count) => Input::Tokens(count),
                InputKind::Features(count) => Input::Features(count),
            },
            output: match self.signature.output {
                OutputKind::Classes(count) => Output::Classes(count),
                OutputKind::Regression { dim, tolerance } => Output::Values { dim, tolerance },
            },
        };
        let text = serde_json::to_string(&header).map_err(|error| Error::invalid(error.to_string()))?;
        let tensors: Vec<(String, Tensor)> = self
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), parameter.var.as_detached_tensor()))
            .collect();
        serialize(tensors, HashMap::from([(KEY.to_owned(), text)]))
    }

    /// Reads a file that [`Checkpoint::to_bytes`] or another program under the same names has written.
    ///
    /// # Errors
    /// No safetensors; no model in the metadata, or one that the registry does not know; a tensor that is missing, unknown,
    /// not single precision or of another shape.
    pub fn from_bytes(bytes: &[u8], registry: &Registry) -> Result<Self> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(KEY)).ok_or_else(|| {
            Error::invalid(format!(
                "there is no model in it: the metadata of a checkpoint has `{KEY}`, which `seqbench model init` writes"
            ))
        })?;
        let header: Header = serde_json::from_str(text)
            .map_err(|error| Error::invalid(format!("the model in its metadata cannot be read: {error}")))?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let values: usize = file.iter().map(|(_, view)| view.shape().iter().product::<usize>()).sum();
        let signature = header.signature();
        let least = least_values(&header.model, signature, registry)?;
        if least > values as f64 {
            return Err(Error::invalid(format!(
                "it holds {values} numbers, its model has {least:.0} or more"
            )));
        }
        let checkpoint = Checkpoint::fresh(header.model, signature, header.horizon, 0, registry)?;
        let known = &checkpoint.parameters;
        if let Some((name, _)) = file.iter().find(|(name, _)| known.get(name).is_none()) {
            return Err(Error::invalid(format!("its model has no parameter `{name}`")));
        }
        for parameter in known.iter() {
            let name = &parameter.name;
            let view = file
                .tensor(name)
                .map_err(|_| Error::invalid(format!("the parameter `{name}` is missing")))?;
            if view.dtype() != Dtype::F32 {
                let found = view.dtype();
                return Err(Error::invalid(format!("`{name}` is {found:?}, expected F32: single precision")));
            }
            let shape = parameter.var.dims();
            if view.shape() != shape {
                return Err(Error::shape(format!("`{name}`"), view.shape(), format!("{shape:?}")));
            }
            let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            parameter.var.set(&Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)?)?;
        }
        Ok(checkpoint)
    }
}

/// Numbers a model has at the least, about: a file that holds fewer is refused before anything of that size is allocated.
fn least_values(spec: &ModelSpec, signature: Signature, registry: &Registry) -> Result<f64> {
    let width = spec.width as f64;
    if !(1.0..=65_536.0).contains(&width) {
        return Err(Error::invalid(format!("its model has a width of {width}")));
    }
    let cores = configured_cores(spec, registry)?;
    let cores: f64 = cores.iter().map(|core| core.parameter_count(spec.width) as f64).sum();
    let (InputKind::Tokens(inputs) | InputKind::Features(inputs)) = signature.input;
    let ends = (inputs as f64 + signature.output.width() as f64) * width;
    Ok(cores + ends + spec.layers.len() as f64 * 2.0 * spec.mlp * width * width)
}

/// Tensors as a safetensors file.
///
/// # Errors
/// A tensor cannot be read.
pub(crate) fn serialize(
    tensors: Vec<(String, Tensor)>,
    metadata: HashMap<String, String>,
) -> Result<Vec<u8>> {
    let metadata = Some(metadata).filter(|map| !map.is_empty());
    safetensors::serialize(tensors, metadata).map_err(|error| Error::invalid(error.to_string()))
}

/// Writes a file that appears whole or not at all: a temporary sibling, synced and renamed.
///
/// # Errors
/// The disk refuses. The path then holds what it held before.
pub fn write_whole(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let temporary = path.with_file_name(temporary::name(&name.to_string_lossy(), std::process::id()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = disk.write_file(&temporary, bytes).and_then(|()| disk.rename(&temporary, path));
    if written.is_err() {
        // What could be written of it is of no use; that it cannot be removed either changes nothing.
        let _ = std::fs::remove_file(&temporary);
    }
    written?;
    disk.sync_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_record::FailingDisk;

    #[test]
    fn whatever_call_fails_the_old_file_or_the_new_one_is_there_and_nothing_else() {
        for call in 1..=3 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("weights.safetensors");
            std::fs::write(&path, "old").unwrap();
            let disk = FailingDisk::once(call);
            assert!(write_whole(&disk, &path, b"new and longer").is_err(), "call {call}");
            assert!(disk.fired());
            let found = std::fs::read_to_string(&path).unwrap();
            assert_eq!(found, if call < 3 { "old" } else { "new and longer" }, "call {call}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "call {call}");
        }
    }
}
