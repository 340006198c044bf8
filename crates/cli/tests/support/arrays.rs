//! Arrays in safetensors files, as another program would write and read them.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// An array with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn whole(shape: &[usize], values: &[i64]) -> Array {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Array { dtype: Dtype::I64, shape: shape.to_vec(), bytes }
}

pub(crate) fn real(shape: &[usize], values: &[f32]) -> Array {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Array { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
}

impl Array {
    /// Its values in single precision.
    pub(crate) fn values(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

/// Arrays by name, and the metadata.
pub(crate) type Content = (BTreeMap<String, Array>, Option<HashMap<String, String>>);

pub(crate) fn read(path: &Path) -> Content {
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let array = |view: TensorView<'_>| Array {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    (file.iter().map(|(name, view)| (name.to_owned(), array(view))).collect(), metadata.metadata().clone())
}

pub(crate) fn write(path: &Path, (arrays, metadata): &Content) {
    let views = arrays.iter().map(|(name, array)| {
        (name, TensorView::new(array.dtype, array.shape.clone(), &array.bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, metadata.clone()).unwrap()).unwrap();
}

/// Writes arrays without metadata.
pub(crate) fn write_arrays(path: &Path, arrays: &[(&str, Array)]) {
    let arrays = arrays.iter().map(|(name, array)| ((*name).to_owned(), array.clone())).collect();
    write(path, &(arrays, None));
}
