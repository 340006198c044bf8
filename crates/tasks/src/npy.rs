//! Archives of NumPy's arrays (`.npz`: a zip of `.npy` files, stored or deflated).
//!
//! An `.npy` file begins with `\x93NUMPY`, two bytes of version, the length of its header in two bytes (version 1) or
//! four (2 and 3), and the header: a literal of Python's, `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }`.

use crate::arrays::{Array, Element, Fault, claimed};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::result::Result;
use zip::ZipArchive;

/// Bytes a header may have at most. NumPy itself refuses more than ten thousand.
const MAX_HEADER: usize = 1 << 16;

/// The arrays of an archive. `known` says whether a name means anything; no other is read.
pub(crate) fn archive(
    bytes: &[u8],
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<BTreeMap<String, Array>, Fault> {
    let damaged = |error| Fault::file(format!("is a damaged .npz file ({error}); save it again"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    let mut arrays = BTreeMap::new();
    let mut before = 0;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else {
            return Err(Fault::file(format!("holds `{name}`, which is no array; save it by numpy.savez")));
        };
        let read = known(&name).and_then(|()| array(file, before));
        let array = read.map_err(|why| Fault::array(&name, why))?;
        before += array.len();
        arrays.insert(name, array);
    }
    Ok(arrays)
}

/// The array of an `.npy` file; `before` values of the archive were read already.
fn array(mut reader: impl Read, before: usize) -> Result<Array, String> {
    let damaged = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "ends within its header; save the file again".to_owned(),
        _ => format!("is damaged ({error}); save the file again"),
    };
    let mut start = [0; 8];
    reader.read_exact(&mut start).map_err(damaged)?;
    let [0x93, b'N', b'U', b'M', b'P', b'Y', version, _] = start else {
        return Err("does not begin as an array of NumPy's; save the file by numpy.savez".into());
    };
    let length = match version {
        1 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(damaged)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            reader.read_exact(&mut length).map_err(damaged)?;
            u32::from_le_bytes(length) as usize
        }
        _ => return Err(format!("is of version {version}; save it by numpy.savez, which writes 1 to 3")),
    };
    if length > MAX_HEADER {
        return Err(format!(
            "claims a header of {length} bytes, at most {MAX_HEADER} are read; save it again"
        ));
    }
    let mut header = vec![0; length];
    reader.read_exact(&mut header).map_err(damaged)?;
    let (shape, element) = std::str::from_utf8(&header)
        .map_err(|_| "has a header that is no text; save the file again".to_owned())
        .and_then(parse)?;
    let needed = claimed(&shape, element, before)?;
    let mut bytes = Vec::new();
    // To the end, so that the archive's checksum is looked at, and no further than one byte too many.
    reader.take(needed as u64 + 1).read_to_end(&mut bytes).map_err(damaged)?;
    if bytes.len() > needed {
        return Err(format!("goes on after the {needed} bytes of shape {shape:?}; save the file again"));
    }
    Array::new(shape, element, &bytes)
}

/// Shape and kind of element of a header.
fn parse(header: &str) -> Result<(Vec<usize>, Element), String> {
    let unreadable = || "has a header that is none of NumPy's; save the file again".to_owned();
    let mut rest = Literal(header);
    let (mut element, mut fortran, mut shape) = (None, None, None);
    rest.symbol('{').ok_or_else(unreadable)?;
    while rest.symbol('}').is_none() {
        let key = rest.quoted().ok_or_else(unreadable)?;
        rest.symbol(':').ok_or_else(unreadable)?;
        match key {
            "descr" if rest.peek() == Some('[') => {
                return Err("has records for elements; save one array a field".into());
            }
            "descr" => element = Some(self::element(rest.quoted().ok_or_else(unreadable)?)?),
            "fortran_order" => fortran = Some(rest.truth().ok_or_else(unreadable)?),
            "shape" => shape = Some(rest.sizes().ok_or_else(unreadable)?),
            _ => return Err(unreadable()),
        }
        if rest.symbol(',').is_none() && rest.peek() != Some('}') {
            return Err(unreadable());
        }
    }
    let (Some(element), Some(fortran), Some(shape), None) = (element, fortran, shape, rest.peek()) else {
        return Err(unreadable());
    };
    // The order is the same where no more than one size differs from 1.
    if fortran && shape.iter().filter(|size| **size != 1).count() > 1 {
        return Err("is in Fortran's order; save numpy.ascontiguousarray(array)".into());
    }
    Ok((shape, element))
}

fn element(name: &str) -> Result<Element, String> {
    Ok(match name {
        "|b1" | "?" => Element::Bool,
        "|u1" | "<u1" => Element::Unsigned(1),
        "|i1" | "<i1" => Element::Signed(1),
        "<u2" => Element::Unsigned(2),
        "<u4" => Element::Unsigned(4),
        "<u8" => Element::Unsigned(8),
        "<i2" => Element::Signed(2),
        "<i4" => Element::Signed(4),
        "<i8" => Element::Signed(8),
        "<f2" => Element::Float(2),
        "<f4" => Element::Float(4),
        "<f8" => Element::Float(8),
        _ if name.starts_with('>') => {
            let little = "save array.astype(array.dtype.newbyteorder('<'))";
            return Err(format!("is of type {name}, whose bytes are in the other order; {little}"));
        }
        _ => return Err(format!("is of type {name}; save array.astype(numpy.int64) or numpy.float32")),
    })
}

/// What is left of a literal of Python's; every method takes what it reads, or nothing.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start();
        self.0.chars().next()
    }

    fn symbol(&mut self, symbol: char) -> Option<()> {
        self.peek();
        self.0 = self.0.strip_prefix(symbol)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'a str> {
        let quote = self.peek().filter(|first| matches!(first, '\'' | '"'))?;
        let (word, rest) = self.0[1..].split_once(quote)?;
        self.0 = rest;
        Some(word)
    }

    fn truth(&mut self) -> Option<bool> {
        self.peek();
        let (truth, rest) = match self.0.strip_prefix("True") {
            Some(rest) => (true, rest),
            None => (false, self.0.strip_prefix("False")?),
        };
        self.0 = rest;
        Some(truth)
    }

    fn number(&mut self) -> Option<usize> {
        self.peek();
        let digits = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let number = self.0[..digits].parse().ok()?;
        self.0 = &self.0[digits..];
        Some(number)
    }

    /// `()`, `(3,)`, `(3, 5)`.
    fn sizes(&mut self) -> Option<Vec<usize>> {
        let mut sizes = Vec::new();
        self.symbol('(')?;
        while self.symbol(')').is_none() {
            sizes.push(self.number()?);
            if self.symbol(',').is_none() && self.peek() != Some(')') {
                return None;
            }
        }
        Some(sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::Values;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn npy(version: u8, header: &str, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY".to_vec();
        file.extend([version, 0]);
        match version {
            1 => file.extend((header.len() as u16).to_le_bytes()),
            _ => file.extend((header.len() as u32).to_le_bytes()),
        }
        file.extend(header.as_bytes());
        file.extend(bytes);
        file
    }

    const HEADER: &str = "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2), }          \n";

    #[test]
    fn the_three_versions_are_read() {
        let bytes: Vec<u8> = [1i16, -2, 3, 4, 5, 600].iter().flat_map(|value| value.to_le_bytes()).collect();
        for version in [1, 2, 3] {
            let found = array(&npy(version, HEADER, &bytes)[..], 0).unwrap();
            assert_eq!(found.shape, [3, 2]);
            assert_eq!(found.values, Values::Integers(vec![1, -2, 3, 4, 5, 600]));
        }
        let order = "{\"shape\":(2,),\"fortran_order\":True,\"descr\":\"|u1\"}";
        assert_eq!(array(&npy(1, order, &[7, 9])[..], 0).unwrap().values, Values::Integers(vec![7, 9]));
        let single = "{'descr': '<f4', 'fortran_order': False, 'shape': ()}";
        assert_eq!(array(&npy(1, single, &[0; 4])[..], 0).unwrap().shape, [0; 0]);
    }

    #[test]
    fn headers_that_cannot_be_read_and_false_claims_are_refused_with_the_remedy() {
        let with = |descr: &str, fortran: &str, shape: &str| {
            format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
        };
        let cases = [
            (with("'<f4'", "True", "(3, 2)"), "numpy.ascontiguousarray"),
            (with("'>f4'", "False", "(3, 2)"), "newbyteorder"),
            (with("'<c8'", "False", "(3, 2)"), "numpy.float32"),
            (with("'<U5'", "False", "(3, 2)"), "numpy.int64"),
            (with("'|O'", "False", "(3, 2)"), "numpy.int64"),
            (with("[('a', '<f4')]", "False", "(3,)"), "one array a field"),
            (with("'|u1'", "False", "(3, 3)"), "has 6 bytes where shape [3, 3] needs 9"),
            (with("'|u1'", "False", "(3, 1)"), "goes on after the 3 bytes"),
            (with("'|u1'", "False", "(3, 0)"), "holds nothing"),
            (with("'|u1'", "False", "(4294967296, 4294967296)"), "claims shape"),
            (with("'<f8'", "False", "(1073741824,)"), "claims shape"),
            (with("'|u1'", "False", "(99999999999999999999999,)"), "none of NumPy's"),
            (with("'|u1'", "False", "(-3,)"), "none of NumPy's"),
            (with("'|u1'", "Maybe", "(6,)"), "none of NumPy's"),
            ("{'descr': '|u1', 'shape': (6,)}".into(), "none of NumPy's"),
            ("{'descr': '|u1' 'shape': (6,)}".into(), "none of NumPy's"),
            ("é".into(), "none of NumPy's"),
        ];
        for (header, expected) in cases {
            let message = array(&npy(1, &header, &[0; 6])[..], 0).unwrap_err();
            assert!(message.contains(expected), "{header}: {message}");
        }
        let bad = |bytes: &[u8]| array(bytes, 0).unwrap_err();
        assert!(bad(&npy(4, HEADER, &[])).contains("version 4"));
        assert!(bad(b"\x93NUMPX\x01\x00").contains("does not begin"));
        assert!(bad(&[b"\x93NUMPY\x02\x00".to_vec(), vec![255; 4]].concat()).contains("claims a header"));
        assert!(bad(&[b"\x93NUMPY\x01\x00\x01\x00".to_vec(), vec![255]].concat()).contains("no text"));
    }

    fn zipped(deflated: bool) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, value) in [("a.npy", 1), ("b.npy", 2)] {
            writer.start_file(name, options).unwrap();
            writer.write_all(&npy(1, HEADER, &[value; 12])).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn any(_: &str) -> Result<(), String> {
        Ok(())
    }

    #[test]
    fn stored_and_deflated_archives_are_read_and_every_cut_is_refused() {
        for deflated in [false, true] {
            let file = zipped(deflated);
            let arrays = archive(&file, any).unwrap();
            assert_eq!(arrays["a"].values, Values::Integers(vec![257; 6]));
            assert_eq!(arrays["b"].values, Values::Integers(vec![514; 6]));
            for end in 0..file.len() {
                assert!(archive(&file[..end], any).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn a_flipped_byte_never_panics_and_never_changes_a_value_unseen() {
        let whole = archive(&zipped(false), any).unwrap();
        for at in 0..zipped(false).len() {
            let mut file = zipped(false);
            file[at] ^= 0x10;
            if let Ok(arrays) = archive(&file, any) {
                for (name, array) in arrays {
                    assert!(whole.get(&name).is_none_or(|own| *own == array), "{at}: {name}");
                }
            }
        }
    }
}
