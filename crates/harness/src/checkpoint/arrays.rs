//! Arrays from a file that another program wrote: safetensors, or one array as NumPy's `.npy`.

use safetensors::{Dtype, SafeTensorError, SafeTensors};
use seqbench_core::{Error, Result};
use std::collections::BTreeMap;

/// What a `.npy` file begins with.
const NPY: &[u8] = b"\x93NUMPY";

/// Arrays by name.
pub(super) type Arrays = BTreeMap<String, Array>;

/// An array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Its shape.
    pub(super) shape: Vec<usize>,
    /// Its values.
    pub(super) numbers: Numbers,
}

/// Values of an array, by kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    /// Whole numbers of any width.
    Whole(Vec<i64>),
    /// Real numbers of single or double precision, in single.
    Real(Vec<f32>),
}

impl Numbers {
    /// What they are, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Numbers::Whole(_) => "integers",
            Numbers::Real(_) => "floating-point numbers",
        }
    }
}

/// The arrays of a file. The one of a `.npy` file, which has no name, is called `tokens` if it holds integers and else
/// `inputs`.
///
/// # Errors
/// It is neither format, or holds numbers of a type that none of them has a use for.
pub(super) fn read(bytes: &[u8]) -> Result<Arrays> {
    if bytes.starts_with(NPY) {
        let array = npy(bytes)?;
        let name = match array.numbers {
            Numbers::Whole(_) => "tokens",
            Numbers::Real(_) => "inputs",
        };
        return Ok(Arrays::from([(name.to_owned(), array)]));
    }
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    file.iter()
        .map(|(name, view)| {
            let numbers = numbers(view.dtype(), view.data())
                .ok_or_else(|| Error::invalid(format!("`{name}` is of the type {:?}", view.dtype())))?;
            Ok((name.to_owned(), Array { shape: view.shape().to_vec(), numbers }))
        })
        .collect()
}

/// What keeps a file from being read as safetensors.
pub(super) fn unreadable(error: SafeTensorError) -> Error {
    Error::invalid(format!("it is no safetensors file: {error}"))
}

fn numbers(dtype: Dtype, data: &[u8]) -> Option<Numbers> {
    fn each<const N: usize, T>(data: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
        data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    Some(match dtype {
        Dtype::U8 => Numbers::Whole(each(data, |[byte]: [u8; 1]| i64::from(byte))),
        Dtype::I8 => Numbers::Whole(each(data, |bytes| i64::from(i8::from_le_bytes(bytes)))),
        Dtype::U16 => Numbers::Whole(each(data, |bytes| i64::from(u16::from_le_bytes(bytes)))),
        Dtype::I16 => Numbers::Whole(each(data, |bytes| i64::from(i16::from_le_bytes(bytes)))),
        Dtype::U32 => Numbers::Whole(each(data, |bytes| i64::from(u32::from_le_bytes(bytes)))),
        Dtype::I32 => Numbers::Whole(each(data, |bytes| i64::from(i32::from_le_bytes(bytes)))),
        Dtype::I64 => Numbers::Whole(each(data, i64::from_le_bytes)),
        Dtype::F32 => Numbers::Real(each(data, f32::from_le_bytes)),
        Dtype::F64 => Numbers::Real(each(data, |bytes| f64::from_le_bytes(bytes) as f32)),
        _ => return None,
    })
}

/// The array of a `.npy` file, whose header is text in the form of a Python dictionary.
fn npy(bytes: &[u8]) -> Result<Array> {
    let refused = |what: String| Error::invalid(format!("the .npy file {what}"));
    let cut = || refused("is cut short".to_owned());
    let size = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        Some(digits.iter().rev().fold(0_usize, |size, digit| (size << 8) | usize::from(*digit)))
    };
    let (start, length) = match bytes.get(6) {
        Some(1) => (10, size(8, 10)),
        Some(2 | 3) => (12, size(8, 12)),
        version => return Err(refused(format!("is of version {version:?}, expected 1 to 3"))),
    };
    let length = length.ok_or_else(cut)?;
    let header = bytes.get(start..).and_then(|rest| rest.get(..length)).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(header);
    let entry = |key: &str| {
        let (_, after) = header.split_once(&format!("'{key}':"))?;
        Some(after.trim_start())
    };
    let descr = entry("descr").and_then(|text| text.strip_prefix('\'')?.split('\'').next());
    let descr = descr.ok_or_else(|| refused("states no type of its own".to_owned()))?;
    let dtype = match descr.trim_start_matches(['<', '|', '=']) {
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "f4" => Dtype::F32,
        "f8" => Dtype::F64,
        _ => {
            let expected = "little-endian integers or floating-point numbers of 4 or 8 bytes";
            return Err(refused(format!("holds numbers of type {descr}, expected {expected}")));
        }
    };
    if !entry("fortran_order").is_some_and(|text| text.starts_with("False")) {
        return Err(refused("is not in C order: save numpy.ascontiguousarray(…) of it".to_owned()));
    }
    let shape = entry("shape").and_then(|text| text.strip_prefix('(')?.split(')').next());
    let shape = shape.ok_or_else(|| refused("states no shape".to_owned()))?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let shape: Vec<usize> = sizes
        .map(|size| size.parse().map_err(|_| refused(format!("has a shape of ({shape})"))))
        .collect::<Result<_>>()?;
    let data = &bytes[start + length..];
    let wanted = shape.iter().try_fold(dtype.bitsize() / 8, |all, size| all.checked_mul(*size));
    if wanted != Some(data.len()) {
        return Err(refused(format!("holds {} bytes, which do not fill {shape:?} of {descr}", data.len())));
    }
    let numbers = numbers(dtype, data).ok_or_else(|| refused(format!("holds numbers of type {descr}")))?;
    Ok(Array { shape, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as NumPy writes it.
    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut header = header.to_owned();
        while !(10 + header.len() + 1).is_multiple_of(64) {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [NPY, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_of_numpy_are_read_by_type() {
        let whole = file(
            "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }",
            &[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 255, 255],
        );
        let tokens = read(&whole).unwrap().remove("tokens").unwrap();
        assert_eq!(tokens, Array { shape: vec![2, 3], numbers: Numbers::Whole(vec![1, 2, 3, 4, 5, -1]) });
        let real =
            file("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", &(-0.25f64).to_le_bytes());
        let inputs = read(&real).unwrap().remove("inputs").unwrap();
        assert_eq!(inputs, Array { shape: vec![1], numbers: Numbers::Real(vec![-0.25]) });
    }

    #[test]
    fn files_that_are_damaged_or_of_no_use_are_refused_with_the_reason() {
        let good = file("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", &[1, 2, 3]);
        assert!(read(&good).is_ok());
        let refused = |bytes: &[u8], reason: &str| {
            let message = read(bytes).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        };
        refused(&good[..good.len() - 1], "2 bytes, which do not fill [3]");
        refused(&good[..40], "cut short");
        refused(&good[..8], "cut short");
        refused(&[NPY, &[9, 0]].concat(), "version");
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }";
        refused(&file(&header.replace("|u1", ">i4"), &[0; 12]), "type >i4");
        refused(&file(&header.replace("False", "True"), &[1, 2, 3]), "C order");
        refused(&file(&header.replace("(3,)", "(x,)"), &[1, 2, 3]), "(x,)");
        refused(&file(&header.replace("(3,)", "(4294967296, 4294967296)"), &[1]), "do not fill");
        refused(&file(&header.replace("'shape'", "'form'"), &[1]), "no shape");
        refused(b"", "no safetensors");
        refused(b"tokens", "no safetensors");
        let half = safetensors::tensor::TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
        let half = safetensors::serialize([("inputs", half)], None).unwrap();
        refused(&half, "`inputs` is of the type F16");
    }
}
