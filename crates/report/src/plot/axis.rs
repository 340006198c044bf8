//! Scales and ticks of an axis: which values get a tick, and how they are written.

/// How values become positions along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// By logarithm; what is not positive has no place.
    Log,
    /// The values are base-ten logarithms already, because what they stand for may not fit a float.
    Exponent,
}

impl Scale {
    /// The coordinate along the axis, `None` where the value has none: base-ten logarithms but for `Linear`.
    pub(crate) fn coordinate(self, value: f64) -> Option<f64> {
        let coordinate = match self {
            Scale::Linear | Scale::Exponent => value,
            Scale::Log => value.log10(),
        };
        coordinate.is_finite().then_some(coordinate)
    }
}

/// A tick: where it stands, as a coordinate of its scale, and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// At most `most` round ticks between two coordinates, as many of them as that allows; at least two where the
/// range is not empty and `most` is two or more.
pub(crate) fn ticks(scale: Scale, low: f64, high: f64, most: usize) -> Vec<Tick> {
    if !(low.is_finite() && high.is_finite()) || high <= low || most == 0 {
        return Vec::new();
    }
    match scale {
        Scale::Linear => linear_ticks(low, high, most),
        Scale::Log => log_ticks(low, high, most, counted),
        Scale::Exponent => log_ticks(low, high, most, scientific),
    }
}

/// Ticks at given values, written in full: for an axis whose few values a person chose.
pub(crate) fn ticks_at(scale: Scale, values: &[f64]) -> Vec<Tick> {
    let tick = |&value: &f64| scale.coordinate(value).map(|at| Tick { at, label: number(value) });
    values.iter().filter_map(tick).collect()
}

/// Ticks at powers of two, for lengths that are such: the densest series of at most `most`.
pub(crate) fn binary_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let bits = |coordinate: f64| coordinate / 2f64.log10();
    let (first, last) = ((bits(low) - 1e-9).ceil() as i32, (bits(high) + 1e-9).floor() as i32);
    let tick = |bits: i32| {
        let value = 2f64.powi(bits);
        Tick { at: value.log10(), label: number(value) }
    };
    let every = |stride: i32| (first..=last).filter(move |bits| bits.rem_euclid(stride) == 0);
    let stride = (1..=64).find(|&stride| every(stride).count() <= most).unwrap_or(64);
    every(stride).map(tick).collect()
}

fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let mut exponent = ((high - low) / most as f64).log10().floor() as i32 - 1;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            // Dividing by a power of ten keeps 0.1, 0.2, … exact where multiplying by 0.1 would not.
            let value = |count: i64| {
                let scaled = count as f64 * factor;
                if exponent < 0 { scaled / 10f64.powi(-exponent) } else { scaled * 10f64.powi(exponent) }
            };
            let step = value(1);
            let first = (low / step - 1e-9).ceil() as i64;
            let last = (high / step + 1e-9).floor() as i64;
            if last - first < most as i64 {
                let decimals = usize::try_from(-exponent).unwrap_or(0);
                return (first..=last)
                    .map(|count| Tick { at: value(count), label: fixed(value(count), decimals) })
                    .collect();
            }
        }
        exponent += 1;
    }
}

/// Ticks of a logarithmic range, densest first: 1-2-3-5 of each decade, 1-2-5, 1-3, decades, every n-th decade;
/// and where even the densest leaves fewer than two, evenly spaced values. `write` spells factor × 10^decade.
fn log_ticks(low: f64, high: f64, most: usize, write: fn(f64, i64) -> String) -> Vec<Tick> {
    let (first, last) = (low.floor() as i64, high.ceil() as i64);
    let inside = |at: f64| (low - 1e-9..=high + 1e-9).contains(&at);
    if high - low < 8.0 {
        for factors in [&[1.0, 2.0, 3.0, 5.0][..], &[1.0, 2.0, 5.0][..], &[1.0, 3.0][..]] {
            let found: Vec<Tick> = (first..=last)
                .flat_map(|decade| factors.iter().map(move |&factor: &f64| (decade, factor)))
                .map(|(decade, factor)| Tick {
                    at: decade as f64 + factor.log10(),
                    label: write(factor, decade),
                })
                .filter(|tick| inside(tick.at))
                .collect();
            if found.len() < 2 {
                return evenly_within(low, high, most);
            }
            if found.len() <= most {
                return found;
            }
        }
    }
    let every = |stride: i64| {
        (first..=last).filter(move |decade| decade.rem_euclid(stride) == 0).filter(|&d| inside(d as f64))
    };
    let strides = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
    let stride = strides.into_iter().find(|&stride| every(stride).count() <= most).unwrap_or(10_000);
    every(stride).map(|decade| Tick { at: decade as f64, label: write(1.0, decade) }).collect()
}

fn evenly_within(low: f64, high: f64, most: usize) -> Vec<Tick> {
    if low < -4.0 || high > 6.0 {
        // Too far from one to be written plainly: even steps of the exponent.
        let power = |tick: Tick| Tick { at: tick.at, label: format!("10^{}", tick.label) };
        return linear_ticks(low, high, most).into_iter().map(power).collect();
    }
    linear_ticks(10f64.powf(low), 10f64.powf(high), most)
        .into_iter()
        .map(|tick| Tick { at: tick.at.log10(), label: tick.label })
        .filter(|tick| tick.at.is_finite())
        .collect()
}

/// `factor × 10^decade`, with k, M and G where it is large.
fn counted(factor: f64, decade: i64) -> String {
    match decade {
        4..=5 => format!("{}k", number(factor * 10f64.powi(decade as i32 - 3))),
        6..=8 => format!("{}M", number(factor * 10f64.powi(decade as i32 - 6))),
        9..=11 => format!("{}G", number(factor * 10f64.powi(decade as i32 - 9))),
        _ => scientific(factor, decade),
    }
}

/// `factor × 10^decade`: plainly from 0.001 to 10,000, else with superscripts.
fn scientific(factor: f64, decade: i64) -> String {
    if (-3..=4).contains(&decade) {
        let value =
            if decade < 0 { factor / 10f64.powi(-decade as i32) } else { factor * 10f64.powi(decade as i32) };
        return fixed(value, usize::try_from(-decade).unwrap_or(0));
    }
    let power = format!("10{}", superscript(decade));
    if factor == 1.0 { power } else { format!("{factor:.0}×{power}") }
}

fn superscript(value: i64) -> String {
    let raised = |character| match character {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
    };
    value.to_string().chars().map(raised).collect()
}

/// A number written plainly: no decimals it does not have, four significant ones at most.
pub(crate) fn number(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if !(-4..=6).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let written = fixed(value, usize::try_from(3 - magnitude).unwrap_or(0));
    if written.contains('.') {
        return written.trim_end_matches('0').trim_end_matches('.').to_string();
    }
    written
}

/// A number with so many decimals; in millions where it is that large and has none.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let written = match value.abs() {
        size if size >= 1e6 && decimals == 0 => return format!("{}M", number(value / 1e6)),
        _ => format!("{value:.decimals$}"),
    };
    // A proper minus sign, and none before a zero.
    match written.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| c == '0' || c == '.') => digits.to_string(),
        Some(digits) => format!("−{digits}"),
        None => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        let unit = ticks(Scale::Linear, 0.0, 1.0, 6);
        assert_eq!(labels(&unit), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(unit[3].at, 0.6);
        assert_eq!(labels(&ticks(Scale::Linear, 0.0, 1500.0, 4)), ["0", "500", "1000", "1500"]);
        assert_eq!(labels(&ticks(Scale::Linear, -1.0, 1.0, 5)), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&ticks(Scale::Linear, 0.0, 4e5, 3)), ["0", "200000", "400000"]);
    }

    #[test]
    fn logarithmic_ticks_thin_out_with_the_range() {
        assert_eq!(labels(&ticks(Scale::Log, 0.9, 2.1, 6)), ["10", "20", "30", "50", "100"]);
        assert_eq!(labels(&ticks(Scale::Log, 0.9, 2.1, 4)), ["10", "20", "50", "100"]);
        assert_eq!(labels(&ticks(Scale::Log, 4.6, 6.4, 6)), ["50k", "100k", "200k", "500k", "1M", "2M"]);
        assert_eq!(labels(&ticks(Scale::Log, 0.0, 3.0, 5)), ["1", "10", "100", "1000"]);
        assert_eq!(labels(&ticks(Scale::Log, -2.0, 0.0, 5)), ["0.01", "0.03", "0.1", "0.3", "1"]);
        assert_eq!(labels(&ticks(Scale::Exponent, -30.5, 0.2, 5)), ["10⁻³⁰", "10⁻²⁰", "10⁻¹⁰", "1"]);
        assert_eq!(
            labels(&ticks(Scale::Exponent, -4000.0, 3.0, 5)),
            ["10⁻⁴⁰⁰⁰", "10⁻³⁰⁰⁰", "10⁻²⁰⁰⁰", "10⁻¹⁰⁰⁰", "1"]
        );
    }

    #[test]
    fn a_narrow_logarithmic_range_still_has_ticks() {
        assert_eq!(
            labels(&ticks(Scale::Log, 3.1f64.log10(), 3.9f64.log10(), 4)),
            ["3.2", "3.4", "3.6", "3.8"]
        );
    }

    #[test]
    fn powers_of_two_are_thinned_evenly() {
        let (low, high) = (32f64.log10(), 2048f64.log10());
        assert_eq!(labels(&binary_ticks(low, high, 8)), ["32", "64", "128", "256", "512", "1024", "2048"]);
        assert_eq!(labels(&binary_ticks(low, high, 4)), ["64", "256", "1024"]);
    }

    #[test]
    fn given_values_are_written_without_padding() {
        assert_eq!(labels(&ticks_at(Scale::Log, &[10.0, 0.0, 30.0, 0.125])), ["10", "30", "0.125"]);
        assert_eq!(number(16384.0), "16384");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(1e-9), "1.00e-9");
    }

    #[test]
    fn a_range_without_extent_has_no_ticks() {
        assert!(ticks(Scale::Linear, 1.0, 1.0, 5).is_empty());
        assert!(ticks(Scale::Log, f64::NAN, 1.0, 5).is_empty());
        assert_eq!(Scale::Log.coordinate(0.0), None);
        assert_eq!(Scale::Exponent.coordinate(f64::NEG_INFINITY), None);
    }

    proptest! {
        #[test]
        fn ticks_are_few_distinct_ordered_and_inside(
            low in -300.0f64..300.0,
            span in 1e-3f64..600.0,
            most in 2usize..12,
            logarithmic: bool,
        ) {
            let (scale, slack) = if logarithmic { (Scale::Exponent, 1e-6) } else { (Scale::Linear, 1e-6) };
            let high = low + span;
            let found = ticks(scale, low, high, most);
            prop_assert!(found.len() <= most);
            for pair in found.windows(2) {
                prop_assert!(pair[0].at < pair[1].at);
                prop_assert!(pair[0].label != pair[1].label, "{:?}", found);
            }
            for tick in &found {
                prop_assert!(tick.at >= low - slack && tick.at <= high + slack);
            }
        }
    }
}
