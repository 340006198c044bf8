//! The embedded digits: 1,797 real handwritten digits of 8 × 8 pixels (Alpaydin & Kaynak 1998, CC BY 4.0; see
//! `fixtures/README.md`).

use crate::images::Pictures;
use flate2::read::GzDecoder;
use seqbench_core::{Error, Result};
use std::io::Read;

/// Digits in the fixture.
pub(crate) const COUNT: usize = 1797;

/// Grey levels are 0..=16.
const WHITE: u8 = 16;

/// Lines of 64 pixels and a class, separated by commas, compressed.
static PACKED: &[u8] = include_bytes!("../fixtures/digits.csv.gz");

/// The digits in the order of their file.
///
/// # Errors
/// The embedded file does not hold what it should, which only a damaged build can cause.
pub(crate) fn load() -> Result<Pictures> {
    let damaged = || Error::invalid("the digits embedded in this program are damaged; build it again");
    let mut text = String::new();
    GzDecoder::new(PACKED).read_to_string(&mut text).map_err(|_| damaged())?;
    let mut pixels = Vec::with_capacity(COUNT * 64);
    let mut labels = Vec::with_capacity(COUNT);
    for line in text.lines() {
        let mut cells = 0;
        for cell in line.split(',') {
            let value: u8 = cell.parse().map_err(|_| damaged())?;
            match cells {
                0..64 if value <= WHITE => pixels.push(value),
                64 if value < 10 => labels.push(value),
                _ => return Err(damaged()),
            }
            cells += 1;
        }
        if cells != 65 {
            return Err(damaged());
        }
    }
    if labels.len() != COUNT {
        return Err(damaged());
    }
    Ok(Pictures { height: 8, width: 8, white: WHITE, pixels, labels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_fixture_is_the_file_its_readme_describes() {
        let digest: String = Sha256::digest(PACKED).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(include_str!("../fixtures/README.md").contains(&digest), "{digest}");
        assert_eq!(PACKED.len(), 57_523);
    }

    #[test]
    fn the_digits_have_their_known_histogram_and_first_row() {
        let digits = load().unwrap();
        assert_eq!(digits.labels.len(), COUNT);
        let mut histogram = [0; 10];
        for label in &digits.labels {
            histogram[usize::from(*label)] += 1;
        }
        assert_eq!(histogram, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(digits.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        assert_eq!(digits.labels[..4], [0, 1, 2, 3]);
    }
}
