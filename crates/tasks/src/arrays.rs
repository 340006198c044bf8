//! Arrays by name from a file of NumPy's (`.npz`) or of safetensors, as whole numbers or real ones.
//!
//! What a file says of itself is a claim: nothing is allocated from it, and every size is held against the bytes that
//! are there.

use crate::npy;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::result::Result;

/// Values that the arrays of one file may hold together: 2²⁷, twenty times MNIST's.
pub(crate) const MAX_VALUES: usize = 1 << 27;

/// An array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    /// Sizes.
    pub(crate) shape: Vec<usize>,
    /// As many values as the sizes' product.
    pub(crate) values: Values,
}

/// Values of an array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    /// Whole numbers and truth values.
    Integers(Vec<i64>),
    /// Real numbers, rounded to single precision.
    Reals(Vec<f32>),
}

/// Kind of the elements in a file, little-endian; the number is their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    Signed(usize),
    Unsigned(usize),
    /// IEEE 754 of 2, 4 or 8 bytes.
    Float(usize),
    /// The upper half of a single.
    Brain,
}

impl Element {
    /// Bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Element::Bool => 1,
            Element::Brain => 2,
            Element::Signed(size) | Element::Unsigned(size) | Element::Float(size) => size,
        }
    }

    /// The values of these bytes.
    fn values(self, bytes: &[u8]) -> Result<Values, String> {
        let cells = bytes.chunks_exact(self.size());
        match self {
            Element::Float(_) | Element::Brain => {
                Ok(Values::Reals(cells.map(|cell| self.real(cell)).collect()))
            }
            Element::Bool | Element::Signed(_) | Element::Unsigned(_) => {
                let integers: Option<Vec<i64>> = cells.map(|cell| self.integer(cell)).collect();
                let beyond = "holds a number beyond 9,223,372,036,854,775,807; give smaller ones";
                Ok(Values::Integers(integers.ok_or(beyond)?))
            }
        }
    }

    fn integer(self, cell: &[u8]) -> Option<i64> {
        let bits = cell.iter().rev().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        match self {
            Element::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                Some((bits << unused) as i64 >> unused)
            }
            _ => i64::try_from(bits).ok(),
        }
    }

    fn real(self, cell: &[u8]) -> f32 {
        match (self, cell) {
            (Element::Brain, [a, b]) => f32::from_bits(u32::from(u16::from_le_bytes([*a, *b])) << 16),
            (_, [a, b]) => half(u16::from_le_bytes([*a, *b])),
            (_, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]),
            (_, [a, b, c, d, e, f, g, h]) => f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as f32,
            _ => f32::NAN,
        }
    }
}

/// Half precision: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3ff);
    let power = |exponent: u32| f32::from_bits((exponent + 127 - 25) << 23);
    let size = match u32::from(bits >> 10 & 31) {
        0 => fraction * power(1),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (fraction + 1024.0) * power(exponent),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// How many bytes an array of this shape has, if it and what was read before stay within [`MAX_VALUES`].
pub(crate) fn claimed(shape: &[usize], element: Element, before: usize) -> Result<usize, String> {
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    match count {
        Some(0) => Err(format!("holds nothing: its shape is {shape:?}; give at least one value")),
        Some(count) if before.saturating_add(count) <= MAX_VALUES => Ok(count * element.size()),
        _ => Err(format!(
            "claims shape {shape:?}, which takes the file beyond {MAX_VALUES} values; give fewer sequences or steps"
        )),
    }
}

impl Array {
    /// An array of these bytes, which must be as many as the shape needs.
    pub(crate) fn new(shape: Vec<usize>, element: Element, bytes: &[u8]) -> Result<Self, String> {
        let needed = claimed(&shape, element, 0)?;
        if bytes.len() != needed {
            let found = bytes.len();
            return Err(format!(
                "has {found} bytes where shape {shape:?} needs {needed}; save the file again"
            ));
        }
        Ok(Array { values: element.values(bytes)?, shape })
    }

    /// Values.
    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::Integers(values) => values.len(),
            Values::Reals(values) => values.len(),
        }
    }
}

/// What is wrong with a file: the array it is wrong with, where it is one, and why.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) array: Option<String>,
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn file(why: impl Into<String>) -> Self {
        Fault { array: None, why: why.into() }
    }

    pub(crate) fn array(name: &str, why: impl Into<String>) -> Self {
        Fault { array: Some(name.to_owned()), why: why.into() }
    }
}

/// The arrays of a file, told by its first bytes to be the one kind or the other. `known` says whether a name means
/// anything; no other is read.
pub(crate) fn parse(
    bytes: &[u8],
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<BTreeMap<String, Array>, Fault> {
    match bytes {
        [] => Err(Fault::file("is empty; save the arrays again")),
        [b'P', b'K', ..] => npy::archive(bytes, known),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Err(Fault::file(
            "is a single array; save all of them in one file: numpy.savez(path, inputs=…, targets=…)",
        )),
        [_, _, _, _, _, _, _, _, b'{', ..] => tensors(bytes, known),
        _ => Err(Fault::file(
            "is neither an .npz nor a .safetensors file; save it by numpy.savez or safetensors.numpy.save_file",
        )),
    }
}

fn tensors(
    bytes: &[u8],
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<BTreeMap<String, Array>, Fault> {
    let damaged = |error| Fault::file(format!("is a damaged safetensors file ({error}); save it again"));
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut arrays = BTreeMap::new();
    let mut before = 0;
    let mut views: Vec<_> = file.iter().collect();
    views.sort_by_key(|(name, _)| *name);
    for (name, view) in views {
        let read = || {
            known(name)?;
            let element = element(view.dtype())?;
            claimed(view.shape(), element, before)?;
            Array::new(view.shape().to_vec(), element, view.data())
        };
        let array = read().map_err(|why| Fault::array(name, why))?;
        before += array.len();
        arrays.insert(name.to_owned(), array);
    }
    Ok(arrays)
}

fn element(kind: Dtype) -> Result<Element, String> {
    Ok(match kind {
        Dtype::BOOL => Element::Bool,
        Dtype::U8 => Element::Unsigned(1),
        Dtype::U16 => Element::Unsigned(2),
        Dtype::U32 => Element::Unsigned(4),
        Dtype::U64 => Element::Unsigned(8),
        Dtype::I8 => Element::Signed(1),
        Dtype::I16 => Element::Signed(2),
        Dtype::I32 => Element::Signed(4),
        Dtype::I64 => Element::Signed(8),
        Dtype::F16 => Element::Float(2),
        Dtype::F32 => Element::Float(4),
        Dtype::F64 => Element::Float(8),
        Dtype::BF16 => Element::Brain,
        other => return Err(format!("is of type {other:?}; save it as int64 or float32")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn any(_: &str) -> Result<(), String> {
        Ok(())
    }

    #[test]
    fn elements_of_every_kind_have_their_values() {
        let integers = [
            (Element::Bool, vec![0, 1], vec![0, 1]),
            (Element::Signed(1), vec![0xff, 5], vec![-1, 5]),
            (Element::Unsigned(1), vec![0xff, 5], vec![255, 5]),
            (Element::Signed(2), vec![0, 0x80], vec![-32768]),
            (Element::Unsigned(4), vec![1, 0, 0, 0x80], vec![0x8000_0001]),
            (Element::Signed(8), vec![0xfe, 255, 255, 255, 255, 255, 255, 255], vec![-2]),
        ];
        for (element, bytes, expected) in integers {
            assert_eq!(element.values(&bytes).unwrap(), Values::Integers(expected), "{element:?}");
        }
        let reals = [
            (Element::Float(4), 1.5f32.to_le_bytes().to_vec(), 1.5),
            (Element::Float(8), (-0.25f64).to_le_bytes().to_vec(), -0.25),
            (Element::Float(8), 1e300f64.to_le_bytes().to_vec(), f32::INFINITY),
            (Element::Brain, vec![0x80, 0x3f], 1.0),
            (Element::Float(2), 0x3c00u16.to_le_bytes().to_vec(), 1.0),
            (Element::Float(2), 0xc500u16.to_le_bytes().to_vec(), -5.0),
            (Element::Float(2), 0x7bffu16.to_le_bytes().to_vec(), 65504.0),
            (Element::Float(2), 1u16.to_le_bytes().to_vec(), 5.960_464_5e-8),
            (Element::Float(2), 0x7c00u16.to_le_bytes().to_vec(), f32::INFINITY),
        ];
        for (element, bytes, expected) in reals {
            assert_eq!(element.values(&bytes).unwrap(), Values::Reals(vec![expected]), "{element:?}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(Element::Unsigned(8).values(&[255; 8]).unwrap_err().contains("beyond"));
    }

    #[test]
    fn safetensors_are_read_by_name_and_every_cut_is_refused() {
        let bytes: Vec<u8> = [1.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let views = [
            ("inputs", TensorView::new(Dtype::F32, vec![1, 3], &bytes).unwrap()),
            ("targets", TensorView::new(Dtype::I8, vec![1], &[7]).unwrap()),
        ];
        let file = serialize(views, None).unwrap();
        let arrays = parse(&file, any).unwrap();
        let inputs = Array { shape: vec![1, 3], values: Values::Reals(vec![1.0, 2.0, 3.0]) };
        assert_eq!(arrays["inputs"], inputs);
        assert_eq!(arrays["targets"], Array { shape: vec![1], values: Values::Integers(vec![7]) });
        for end in 0..file.len() {
            assert!(parse(&file[..end], any).is_err(), "{end}");
        }
        let fault = parse(&file, |name| Err(format!("no {name}"))).unwrap_err();
        assert!(fault.array.is_some() && fault.why.starts_with("no "));
    }

    #[test]
    fn claims_are_held_against_what_is_there() {
        let one = Element::Float(4);
        assert_eq!(claimed(&[3, 5], one, 0).unwrap(), 60);
        assert_eq!(claimed(&[], one, 0).unwrap(), 4);
        assert!(claimed(&[3, 0], one, 0).unwrap_err().contains("holds nothing"));
        for (shape, before) in [(vec![usize::MAX, 2], 0), (vec![MAX_VALUES + 1], 0), (vec![1], MAX_VALUES)] {
            assert!(claimed(&shape, one, before).unwrap_err().contains("claims"), "{shape:?}");
        }
        assert!(Array::new(vec![2], one, &[0; 7]).unwrap_err().contains("7 bytes where shape [2] needs 8"));
    }
}
