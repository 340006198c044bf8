//! Numbers for people: three significant digits, units that fit.

/// Three significant digits: `0.0123`, `12.3`, `1230`, `1.23e-5`; `0`, `inf`, `-inf` and `NaN` as they are.
pub fn short(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".into() } else { x.to_string() };
    }
    // Rounding may carry into a further digit, so the exponent is read off the rounded number.
    let scientific = format!("{x:.2e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent @ -3..=2) => format!("{x:.*}", (2 - exponent) as usize),
        Ok(exponent @ 3..=5) => {
            let unit = 10f64.powi(exponent - 2);
            format!("{:.0}", (x / unit).round() * unit)
        }
        _ => format!("{digits}e{exponent}"),
    }
}

/// A number with as many decimals as a text has that stands before it (`0.990`, `0.025`), so that a spread
/// below the digits shown reads as zero; three significant digits where that text is scientific.
pub(super) fn like(text: &str, x: f64) -> String {
    match text.split_once('.') {
        _ if text.contains('e') => short(x),
        Some((_, decimals)) => format!("{x:.*}", decimals.len()),
        None => format!("{x:.0}"),
    }
}

/// A mean and half its interval, both to the interval's second digit but no further than three digits of the
/// mean: `-0.073 ± 0.012`.
pub(super) fn with_spread(mean: f64, half: f64) -> String {
    let place = |x: f64, digits: i32| if x > 0.0 { digits - 1 - x.log10().floor() as i32 } else { i32::MAX };
    let decimals = place(half, 2).min(place(mean.abs(), 3));
    match usize::try_from(decimals.max(0)) {
        Ok(decimals) if decimals <= 6 => format!("{mean:.decimals$} ± {half:.decimals$}"),
        _ => format!("{} ± {}", short(mean), short(half)),
    }
}

/// An accuracy: three decimals.
pub fn accuracy(x: f64) -> String {
    format!("{x:.3}")
}

/// Two decimals, and no sign before zeros.
pub(super) fn hundredths(x: f64) -> String {
    let text = format!("{x:.2}");
    if text == "-0.00" { "0.00".into() } else { text }
}

/// A count: whole below 10,000, then `12.3 k`, `1.23 M`, `1.23 G`.
pub fn count(x: f64) -> String {
    if x.abs() < 1e4 && x.fract() == 0.0 {
        format!("{x:.0}")
    } else {
        scaled(x, &["", " k", " M", " G", " T"])
    }
}

/// Nanoseconds as `850 ns`, `1.20 ms`, `3.40 s`.
pub fn duration(ns: f64) -> String {
    scaled(ns, &[" ns", " µs", " ms", " s"])
}

/// Two durations in the unit that fits the second: `0.640–10.2 ms`.
pub(super) fn duration_range(low: f64, high: f64) -> String {
    let text = duration(high);
    let unit = text.split_once(' ').map_or("", |(_, unit)| unit);
    let power = [("µs", 1e3), ("ms", 1e6), ("s", 1e9)].iter().find(|(name, _)| *name == unit);
    format!("{}–{text}", short(low / power.map_or(1.0, |(_, power)| *power)))
}

/// Bytes, in powers of 1000: `512 B`, `3.40 MB`.
pub fn bytes(x: f64) -> String {
    if x.abs() < 1e3 && x.fract() == 0.0 {
        format!("{x:.0} B")
    } else {
        scaled(x, &[" B", " kB", " MB", " GB", " TB"])
    }
}

/// Three significant digits in the largest of units a thousand apart that leaves at least 1.
fn scaled(x: f64, units: &[&str]) -> String {
    let mut x = x;
    let mut unit = 0;
    // 999.5 reads as 1000 in three digits.
    while x.abs() >= 999.5 && unit + 1 < units.len() {
        x /= 1000.0;
        unit += 1;
    }
    format!("{}{}", short(x), units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        for (x, expected) in [
            (0.0, "0"),
            (0.012345, "0.0123"),
            (-0.5, "-0.500"),
            (0.9996, "1.00"),
            (9.996, "10.0"),
            (12.34, "12.3"),
            (999.6, "1000"),
            (1234.0, "1230"),
            (123_456.0, "123000"),
            (1_234_567.0, "1.23e6"),
            (0.001, "0.00100"),
            (0.000_123_4, "1.23e-4"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(x), expected);
        }
    }

    #[test]
    fn a_spread_has_the_decimals_of_its_mean() {
        assert_eq!((hundredths(-0.001), hundredths(-1.226)), ("0.00".into(), "-1.23".into()));
        assert_eq!(like("0.990", 0.02484), "0.025");
        assert_eq!(like("-0.0500", 2e-17), "0.0000");
        assert_eq!(like("123", 4.56), "5");
        assert_eq!(like("1.23e-5", 4.567e-6), "4.57e-6");
    }

    #[test]
    fn a_mean_is_no_finer_than_its_interval() {
        assert_eq!(with_spread(-0.0730, 0.0117), "-0.073 ± 0.012");
        assert_eq!(with_spread(0.000531, 0.00123), "0.0005 ± 0.0012");
        assert_eq!(with_spread(-0.05, 2e-17), "-0.0500 ± 0.0000");
        assert_eq!(with_spread(-123.4, 45.6), "-123 ± 46");
        assert_eq!(with_spread(0.0, 0.0), "0 ± 0");
        assert_eq!(with_spread(1.5e-9, 2e-9), "1.50e-9 ± 2.00e-9");
    }

    #[test]
    fn units_fit() {
        assert_eq!(duration(850.0), "850 ns");
        assert_eq!(duration(1_200_000.0), "1.20 ms");
        assert_eq!(duration(999_600.0), "1.00 ms");
        assert_eq!(duration(3.4e9), "3.40 s");
        assert_eq!(duration(12_345e9), "12300 s");
        assert_eq!(duration_range(640_000.0, 10_200_000.0), "0.640–10.2 ms");
        assert_eq!(
            (duration_range(5.0, 900.0), duration_range(2e9, 3e9)),
            ("5.00–900 ns".into(), "2.00–3.00 s".into())
        );
        assert_eq!(
            (bytes(512.0), bytes(3_400_000.0), bytes(999_900.0)),
            ("512 B".into(), "3.40 MB".into(), "1.00 MB".into())
        );
        assert_eq!(
            (count(9999.0), count(12_345.0), count(1_234_567.0)),
            ("9999".into(), "12.3 k".into(), "1.23 M".into())
        );
        assert_eq!((count(0.0), count(8.0), accuracy(0.98149)), ("0".into(), "8".into(), "0.981".into()));
    }
}
