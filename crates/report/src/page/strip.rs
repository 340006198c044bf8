//! Every seed's value of a comparison on one line a side, with the margin as a bar: a small drawing in the page's own
//! colours.

use crate::claims::Decision;
use crate::statistics::median;
use crate::table::{Value, short};
use maud::{Markup, html};

const WIDTH: f64 = 340.0;
const EDGE: f64 = 10.0;
/// Height of one side: its name and its line.
const ROW: f64 = 46.0;
const RADIUS: f64 = 4.0;
/// Letters of a name that there is room for.
const LONGEST: usize = 52;

/// The drawing; none without a finite value.
pub(super) fn strip(decision: &Decision, anchor: &str) -> Option<Markup> {
    let finite = |at: usize| -> Vec<f64> {
        decision.sides[at].values.iter().map(|own| own.value).filter(|value| value.is_finite()).collect()
    };
    let sides: Vec<Vec<f64>> = (0..decision.sides.len()).map(finite).collect();
    let scale = Scale::of(sides.iter().flatten().copied(), decision.margin)?;
    let margin = (decision.margin.is_finite() && decision.margin > 0.0).then_some(decision.margin);
    let foot = EDGE + ROW * sides.len() as f64 + 6.0;
    let height = foot + if margin.is_some() { 46.0 } else { 24.0 };
    let (title, words) = (format!("{anchor}-strip"), format!("{anchor}-strip-words"));
    let place = |x: f64| format!("{x:.1}");
    Some(html! {
        svg class="strip" viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-labelledby=(title)
            aria-describedby=(words) {
            title id=(title) { "Every seed's value of " (decision.name) }
            desc id=(words) { (described(decision, &sides)) }
            @for (side, values) in sides.iter().enumerate() {
                @let top = EDGE + ROW * side as f64;
                @let y = top + 33.0;
                text x=(EDGE) y=(place(top + 6.0)) { (shortened(&decision.sides[side].name)) }
                line class="axis" x1=(EDGE) x2=(WIDTH - EDGE) y1=(place(y)) y2=(place(y)) {}
                @if let Some(middle) = median(values) {
                    @let x = place(scale.across(middle));
                    line class="middle" x1=(x) x2=(x) y1=(place(y - 8.0)) y2=(place(y + 8.0)) {}
                }
                @for (x, seeds) in crowded(values.iter().map(|value| scale.across(*value))) {
                    text x=(place(x)) y=(place(y - 11.0)) class="crowd" { "×" (seeds) }
                }
                @for value in values {
                    @let x = scale.across(*value);
                    @if side == 0 {
                        circle class="first" cx=(place(x)) cy=(place(y)) r=(RADIUS) {}
                    } @else {
                        rect class="second" x=(place(x - RADIUS)) y=(place(y - RADIUS)) width=(2.0 * RADIUS)
                            height=(2.0 * RADIUS) {}
                    }
                }
            }
            @let y = foot + 10.0;
            text x=(place(scale.across(scale.least))) y=(place(y)) class="end" { (short(scale.least)) }
            @if scale.most > scale.least {
                text x=(place(scale.across(scale.most))) y=(place(y)) class="end last" { (short(scale.most)) }
            }
            @if let Some(margin) = margin {
                @let (from, to) = (scale.across(scale.low), scale.across(scale.low + margin));
                @let y = foot + 26.0;
                path class="margin" d={ "M" (place(from)) "," (place(y - 4.0)) "v8m0-4H" (place(to)) "m0-4v8" } {}
                @if to < WIDTH * 0.6 {
                    text x=(place(to + 6.0)) y=(place(y + 4.0)) { "margin " (plain(margin)) }
                } @else {
                    text x=(place(from)) y=(place(y + 17.0)) { "margin " (plain(margin)) }
                }
            }
        }
    })
}

/// From values to pixels. The margin fits as well.
struct Scale {
    low: f64,
    high: f64,
    /// Least and largest value.
    least: f64,
    most: f64,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, margin: f64) -> Option<Self> {
        let (least, most) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if least > most {
            return None;
        }
        let margin = if margin.is_finite() { margin.max(0.0) } else { 0.0 };
        let extent = (most - least).max(margin);
        // Of equal values without a margin the one place is the middle.
        let extent = if extent > 0.0 && extent.is_finite() { extent } else { least.abs().max(1.0) };
        let room = (extent - (most - least)).max(0.0) / 2.0;
        Some(Self { low: least - room, high: least - room + extent, least, most })
    }

    fn across(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        let inner = EDGE + RADIUS + 2.0;
        inner + share * (WIDTH - 2.0 * inner)
    }
}

fn described(decision: &Decision, sides: &[Vec<f64>]) -> String {
    let of = |(side, values): (&crate::claims::Side, &Vec<f64>)| {
        let list: Vec<String> = values.iter().map(|value| short(*value)).collect();
        format!("{}: {}", side.name, list.join(", "))
    };
    let sides: Vec<String> = decision.sides.iter().zip(sides).map(of).collect();
    format!("{}. Upright lines: medians. Margin: {}.", sides.join("; "), plain(decision.margin))
}

/// Where seeds lie on one another, and how many: dots alone would look like one.
fn crowded(places: impl Iterator<Item = f64>) -> Vec<(f64, usize)> {
    let mut sorted: Vec<f64> = places.collect();
    sorted.sort_by(f64::total_cmp);
    let runs = sorted.chunk_by(|a, b| b - a < RADIUS / 2.0);
    runs.filter(|run| run.len() > 1).map(|run| (run[run.len() / 2], run.len())).collect()
}

/// A stated number, as it was stated.
pub(super) fn plain(value: f64) -> String {
    Value::Number(value).plain()
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST {
        return name.to_string();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_that_lie_on_one_another_are_counted() {
        assert_eq!(crowded([5.0, 90.0, 5.5, 5.2, 60.0].into_iter()), [(5.2, 3)]);
    }

    #[test]
    fn values_and_margin_fit_and_equal_values_stand_in_the_middle() {
        let scale = Scale::of([0.2, 0.3].into_iter(), 1.0).unwrap();
        assert!((scale.high - scale.low - 1.0).abs() < 1e-12);
        for value in [0.2, 0.3, scale.low, scale.low + 1.0] {
            assert!((0.0..=WIDTH).contains(&scale.across(value)), "{value}");
        }
        let one = Scale::of([5.0].into_iter(), 0.0).unwrap();
        assert_eq!(one.across(5.0), WIDTH / 2.0);
        assert!(Scale::of(std::iter::empty(), 1.0).is_none());
    }
}
