//! Image and label files in the IDX format of MNIST (LeCun), plain or gzipped: two zero bytes, a type (8 for
//! bytes), the number of dimensions, the dimensions as big-endian 32-bit numbers, then the bytes.
//!
//! A header is a claim. Nothing is allocated from it: the file is read as far as the claim goes and one byte
//! further, and must end exactly where the header says.

use crate::images::Pictures;
use flate2::bufread::MultiGzDecoder;
use seqbench_core::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// Bytes of pixels a file may hold at most: twenty times MNIST.
const MAX_BYTES: u64 = 1 << 30;

/// A file and the configuration key that named it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The key.
    pub(crate) key: &'a str,
    /// The file.
    pub(crate) path: &'a str,
}

/// The images of one file with the labels of another.
///
/// # Errors
/// A file is missing, damaged, no IDX file of that kind or too large, or the two differ in number.
pub(crate) fn load(images: Source<'_>, labels: Source<'_>) -> Result<Pictures> {
    let (shape, pixels) = read::<3>(images, "images")?;
    let ([labelled], bytes) = read::<1>(labels, "labels")?;
    let [count, height, width] = shape;
    if count != labelled {
        return Err(Error::invalid(format!(
            "`{}`: {} holds {labelled} labels, but {} holds {count} images; give the two files of one set",
            labels.key, labels.path, images.path
        )));
    }
    Ok(Pictures { height, width, white: u8::MAX, pixels, labels: bytes })
}

fn read<const DIMS: usize>(source: Source<'_>, what: &str) -> Result<([usize; DIMS], Vec<u8>)> {
    let refused = |why: String| Error::invalid(format!("`{}`: {}: {why}", source.key, source.path));
    let file = File::open(Path::new(source.path)).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("no such file; give the path of an IDX file of your own".into()),
        _ => refused(format!("cannot be opened: {error}")),
    })?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(|error| refused(format!("cannot be read: {error}")))?;
    let parsed = match start {
        [0x1f, 0x8b, ..] => parse(MultiGzDecoder::new(reader), what),
        _ => parse(reader, what),
    };
    parsed.map_err(refused)
}

/// The dimensions and the bytes of an IDX file of `DIMS` dimensions.
fn parse<const DIMS: usize>(
    mut reader: impl Read,
    what: &str,
) -> std::result::Result<([usize; DIMS], Vec<u8>), String> {
    let cut = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => "ends within its header; copy or download the file again".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let mut magic = [0; 4];
    reader.read_exact(&mut magic).map_err(cut)?;
    if magic != [0, 0, 8, DIMS as u8] {
        return Err(format!(
            "is no IDX file of {what}: it begins with {magic:02x?} instead of [00, 00, 08, {DIMS:02x}]; give the \
             file of the {what}"
        ));
    }
    let mut shape = [0; DIMS];
    let mut claimed = 1u64;
    for dimension in &mut shape {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(cut)?;
        let size = u32::from_be_bytes(bytes);
        claimed = claimed.saturating_mul(u64::from(size));
        *dimension = size as usize;
    }
    if claimed == 0 {
        return Err(format!("holds nothing: its dimensions are {shape:?}; give a file that holds {what}"));
    }
    if claimed > MAX_BYTES {
        return Err(format!(
            "claims {claimed} bytes of {what} (dimensions {shape:?}), more than the {MAX_BYTES} that are read; give \
             a smaller file"
        ));
    }
    let mut bytes = Vec::new();
    reader
        .take(claimed + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read to its end: {error}; copy or download the file again"))?;
    let found = bytes.len() as u64;
    if found < claimed {
        return Err(format!(
            "is cut off: its header claims {claimed} bytes of {what}, {found} are there; copy or download the file \
             again"
        ));
    }
    if found > claimed {
        return Err(format!(
            "goes on after the {claimed} bytes of {what} its header claims; copy or download the file again"
        ));
    }
    Ok((shape, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn header(kind: u8, dimensions: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, dimensions.len() as u8];
        dimensions.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes
    }

    #[test]
    fn a_file_is_read() {
        let mut bytes = header(8, &[2, 1, 3]);
        bytes.extend([1, 2, 3, 4, 5, 255]);
        let (shape, pixels) = parse::<3>(&bytes[..], "images").unwrap();
        assert_eq!((shape, pixels), ([2, 1, 3], vec![1, 2, 3, 4, 5, 255]));
    }

    #[test]
    fn damaged_files_and_false_claims_are_refused() {
        let with = |mut bytes: Vec<u8>, more: &[u8]| {
            bytes.extend(more);
            bytes
        };
        let cases = [
            (vec![], "ends within its header"),
            (header(8, &[2, 1, 3])[..9].to_vec(), "ends within its header"),
            (with(header(8, &[2, 1, 3]), &[0; 5]), "is cut off"),
            (with(header(8, &[2, 1, 3]), &[0; 7]), "goes on after"),
            (header(8, &[u32::MAX, u32::MAX, u32::MAX]), "claims"),
            (header(8, &[1 << 20, 1 << 10, 1]), "is cut off"),
            (header(8, &[0, 28, 28]), "holds nothing"),
            (with(header(13, &[1, 1, 1]), &[0; 4]), "is no IDX file of images"),
            (with(header(8, &[3]), &[0; 3]), "is no IDX file of images"),
        ];
        for (bytes, expected) in cases {
            let message = parse::<3>(&bytes[..], "images").unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn every_cut_of_a_gzipped_file_is_refused() {
        let mut plain = header(8, &[2, 1, 3]);
        plain.extend([1, 2, 3, 4, 5, 255]);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(parse::<3>(MultiGzDecoder::new(&packed[..]), "images").is_ok());
        for end in 0..packed.len() {
            assert!(parse::<3>(MultiGzDecoder::new(&packed[..end]), "images").is_err(), "{end}");
        }
    }
}
