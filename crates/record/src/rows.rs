//! Rows as CSV text and back, bit for bit but for columns that are [`rounded`]: numbers as the shortest digits that read
//! back the same, `-inf`, `inf` and `NaN` spelled out.

use crate::{Error, Result};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::path::Path;

/// CSV text of rows, with a header; empty for no rows.
pub fn to_csv<T: Serialize>(rows: &[T]) -> std::result::Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// Rows of CSV text. `path` only names the file in errors.
///
/// # Errors
/// [`Error::Damaged`] with the line, where a row is short, long or does not parse, or where the columns are
/// not the ones that [`to_csv`] writes.
pub fn from_csv<T: Serialize + DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<Vec<T>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let damaged = |line: Option<u64>, what: String| Error::Damaged {
        path: path.into(),
        line,
        what,
        remedy: "delete the cell's folder and run the experiment again".into(),
    };
    let header = reader.headers().map_err(|error| damaged(Some(1), error.to_string()))?.clone();
    let mut rows = Vec::new();
    for (i, row) in reader.deserialize().enumerate() {
        let line = i as u64 + 2;
        let row: T = row.map_err(|error| {
            damaged(Some(error.position().map_or(line, csv::Position::line)), plain(&error))
        })?;
        rows.push(row);
    }
    // Columns beyond the row's own would be dropped silently: another program wrote them.
    if let Some(first) = rows.first() {
        let text = to_csv(std::slice::from_ref(first)).map_err(|error| damaged(None, error.to_string()))?;
        let expected = csv::Reader::from_reader(text.as_slice()).headers().cloned().unwrap_or_default();
        if expected != header {
            let list = |record: &csv::StringRecord| record.iter().collect::<Vec<_>>().join(",");
            return Err(damaged(
                Some(1),
                format!("columns are {}, expected {}", list(&header), list(&expected)),
            ));
        }
    }
    Ok(rows)
}

/// A number with seven significant digits: of what went through single precision, and of a logarithm, the others say
/// nothing, and would be half of the file.
pub(crate) fn rounded<S: Serializer>(value: &f64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let short = if value.is_finite() { format!("{value:.6e}").parse().unwrap_or(*value) } else { *value };
    serializer.serialize_f64(short)
}

/// The message without the position, which the error carries itself.
fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns, expected {expected_len}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CurveRow, ProfileRow, ScoreRow, TimingRow};
    use proptest::prelude::*;

    fn score(value: f64, lag: Option<u64>, metric: &str) -> ScoreRow {
        ScoreRow { split: "test".into(), length: u64::MAX, lag, metric: metric.into(), value, n: 3 }
    }

    #[test]
    fn csv_is_tidy_and_shortest() {
        let rows = [
            score(0.1, None, "accuracy"),
            score(1e-7, Some(30), "mse"),
            score(f64::NEG_INFINITY, Some(0), "a,\"b\""),
        ];
        let text = String::from_utf8(to_csv(&rows).unwrap()).unwrap();
        assert_eq!(
            text,
            "split,length,lag,metric,value,n\n\
             test,18446744073709551615,,accuracy,0.1,3\n\
             test,18446744073709551615,30,mse,1e-7,3\n\
             test,18446744073709551615,0,\"a,\"\"b\"\"\",-inf,3\n"
        );
        assert!(to_csv::<ScoreRow>(&[]).unwrap().is_empty());
        assert_eq!(from_csv::<ScoreRow>(b"", Path::new("x")).unwrap(), []);
    }

    #[test]
    fn special_values_read_back() {
        let rows = vec![
            ProfileRow {
                stage: "init".into(),
                layer: 1,
                wrt: "state".into(),
                distance: 100,
                log10_norm: f64::NEG_INFINITY,
                log10_relative: f64::NAN,
                log10_q10: f64::NEG_INFINITY,
                log10_median: 1e-300,
                log10_q90: 0.1,
                trusted: false,
            },
            ProfileRow {
                stage: "step-200".into(),
                layer: 0,
                wrt: "input".into(),
                distance: 0,
                log10_norm: -0.0,
                log10_relative: f64::INFINITY,
                log10_q10: -1.5,
                log10_median: -0.0,
                log10_q90: 308.25,
                trusted: true,
            },
        ];
        let back: Vec<ProfileRow> = from_csv(&to_csv(&rows).unwrap(), Path::new("x")).unwrap();
        assert!(back[0].log10_relative.is_nan());
        assert_eq!(format!("{back:?}"), format!("{rows:?}"));
    }

    #[test]
    fn what_is_plotted_has_seven_digits() {
        let row = |value| CurveRow { step: 3, metric: "train_loss".into(), value };
        let values = [std::f64::consts::LN_2, -1.0 / 3.0e9, 1_234_567_890.0, 0.1, 5e-324];
        let text = String::from_utf8(to_csv(&values.map(row)).unwrap()).unwrap();
        let written: Vec<_> =
            text.lines().skip(1).filter_map(|line| line.rsplit_once(',')).map(|(_, value)| value).collect();
        assert_eq!(written, ["0.6931472", "-3.333333e-10", "1234568000.0", "0.1", "5e-324"]);
    }

    #[test]
    fn text_that_looks_like_a_number_stays_text() {
        let old = TimingRow {
            mode: "decode".into(),
            length: 128,
            batch: 1,
            threads: 2,
            round: 0,
            ns: 12,
            checksum: "0012e3".into(),
            err: String::new(),
            visit: None,
            pace_ns: None,
        };
        let new = TimingRow { visit: Some(2), pace_ns: Some(70_000), ..old.clone() };
        for rows in [vec![old], vec![new]] {
            assert_eq!(from_csv::<TimingRow>(&to_csv(&rows).unwrap(), Path::new("x")).unwrap(), rows);
        }
    }

    #[test]
    fn damage_names_file_and_line() {
        let header = "split,length,lag,metric,value,n\n";
        for (body, line, what) in [
            ("test,1,,accuracy,0.5,3\ntest,1,,accuracy,0.x,3\n", 3, "invalid float"),
            ("test,1,,accuracy,0.5\n", 2, "5 columns, expected 6"),
            ("test,-1,,accuracy,0.5,3\n", 2, "invalid digit"),
            ("test,1,,accuracy,,3\n", 2, "float"),
        ] {
            let error = from_csv::<ScoreRow>(format!("{header}{body}").as_bytes(), Path::new("a/score.csv"))
                .unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with(&format!("a/score.csv:{line}: ")) && text.contains(what), "{text}");
            assert!(text.contains("delete the cell's folder"), "{text}");
        }
        let more = b"split,length,lag,metric,value,n,note\ntest,1,,accuracy,0.5,3,x\n";
        let text = from_csv::<ScoreRow>(more, Path::new("s")).unwrap_err().to_string();
        assert!(text.starts_with("s:1: columns are split,length,lag,metric,value,n,note"), "{text}");
    }

    proptest! {
        #[test]
        fn rows_round_trip_bit_for_bit(bits: u64, lag: Option<u64>, metric in "\\PC*", n: u64) {
            let row = ScoreRow { n, ..score(f64::from_bits(bits), lag, &metric) };
            let back: Vec<ScoreRow> = from_csv(&to_csv(std::slice::from_ref(&row)).unwrap(), Path::new("x")).unwrap();
            prop_assert_eq!(back.len(), 1);
            prop_assert!(back[0].value.to_bits() == bits || (row.value.is_nan() && back[0].value.is_nan()));
            prop_assert_eq!((&back[0].metric, back[0].lag, back[0].n), (&row.metric, row.lag, row.n));
        }
    }
}
