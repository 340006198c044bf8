//! Colour, marker and dash of a model: the one table that names architectures, besides the registry.
//!
//! Colours are those of Okabe and Ito, "Color Universal Design" (2008), which people with any common colour
//! vision deficiency can tell apart. Marker and dash repeat the distinction for print in grey.

use super::canvas::{Dash, Marker, Rgb, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// What an architecture looks like wherever it appears.
const PREFERRED: [(&str, Rgb, Shape, Dash); 6] = [
    ("rnn", (213, 94, 0), Shape::Circle, Dash::Solid),
    ("lstm", (0, 114, 178), Shape::Square, Dash::Long),
    ("transformer", (0, 158, 115), Shape::Triangle, Dash::OneDot),
    ("ssm", (204, 121, 167), Shape::Diamond, Dash::TwoDots),
    ("gru", (86, 180, 233), Shape::TriangleDown, Dash::Medium),
    ("mamba", (230, 159, 0), Shape::Pentagon, Dash::Dotted),
];

/// For architectures the table does not know. The yellow of the set is darkened: on white it vanishes.
const SPARE: [(Rgb, Shape, Dash); 2] =
    [((0, 0, 0), Shape::TriangleDown, Dash::Solid), ((178, 165, 0), Shape::Pentagon, Dash::OneDot)];

const DASHES: [Dash; 6] = [Dash::Solid, Dash::Long, Dash::OneDot, Dash::Medium, Dash::TwoDots, Dash::Dotted];

/// How a model is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) color: Rgb,
    pub(crate) marker: Marker,
    pub(crate) dash: Dash,
}

/// Where an architecture stands among others, in legends and in tables: the table's order, then all it does not
/// know.
pub(crate) fn place_of(architecture: &str) -> usize {
    PREFERRED.iter().position(|entry| entry.0 == architecture).unwrap_or(PREFERRED.len())
}

/// Looks of all models of one experiment, so that every figure of it uses the same.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    looks: BTreeMap<(String, String), (usize, Look)>,
}

impl Palette {
    /// From every (architecture, label) that occurs, in any order and number.
    ///
    /// An architecture of the table has its own look. Others take the spare colours, then those of the table's
    /// absent ones, in the order of their names. Further settings of one architecture keep the colour and
    /// change marker and dash.
    pub(crate) fn new<'a>(models: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut settings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (architecture, label) in models {
            settings.entry(architecture).or_default().insert(label);
        }
        let known = |name: &str| PREFERRED.iter().position(|entry| entry.0 == name);
        let mut others: Vec<(Rgb, Shape, Dash)> = SPARE.to_vec();
        others.extend(
            PREFERRED
                .iter()
                .filter(|entry| !settings.contains_key(entry.0))
                .map(|&(_, color, shape, dash)| (color, shape, dash)),
        );
        let mut looks = BTreeMap::new();
        let mut unknown = 0;
        for (architecture, labels) in settings {
            let (rank, base) = match known(architecture) {
                Some(place) => {
                    let (_, color, shape, dash) = PREFERRED[place];
                    (place, (color, shape, dash))
                }
                None => {
                    unknown += 1;
                    (PREFERRED.len() + unknown, others[(unknown - 1) % others.len()])
                }
            };
            for (variant, label) in labels.into_iter().enumerate() {
                looks
                    .insert((architecture.to_string(), label.to_string()), (rank, variant_of(base, variant)));
            }
        }
        Self { looks }
    }

    /// The look of a model; of one it was not told about, that of the first spare.
    pub(crate) fn look(&self, architecture: &str, label: &str) -> Look {
        self.entry(architecture, label).map_or_else(|| variant_of(SPARE[0], 0), |(_, look)| *look)
    }

    /// Where a model stands in legends: the table's order, then names.
    pub(crate) fn rank(&self, architecture: &str, label: &str) -> (usize, String) {
        let rank = self.entry(architecture, label).map_or(usize::MAX, |(rank, _)| *rank);
        (rank, label.to_string())
    }

    fn entry(&self, architecture: &str, label: &str) -> Option<&(usize, Look)> {
        self.looks.get(&(architecture.to_string(), label.to_string()))
    }
}

fn variant_of((color, shape, dash): (Rgb, Shape, Dash), variant: usize) -> Look {
    let shift = |place: Option<usize>, by: usize, of: usize| (place.unwrap_or(0) + by) % of;
    let shape_at = shift(Shape::ALL.iter().position(|&s| s == shape), variant / 2, Shape::ALL.len());
    let dash_at = shift(DASHES.iter().position(|&d| d == dash), variant, DASHES.len());
    Look {
        color,
        marker: Marker { shape: Shape::ALL[shape_at], color, hollow: variant % 2 == 1 },
        dash: DASHES[dash_at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_architectures_look_the_same_in_any_company() {
        let alone = Palette::new([("lstm", "lstm")]);
        let many = Palette::new([("ssm", "ssm"), ("aaa", "aaa"), ("lstm", "lstm"), ("lstm", "lstm")]);
        assert_eq!(alone.look("lstm", "lstm"), many.look("lstm", "lstm"));
        assert_ne!(many.look("aaa", "aaa").color, many.look("ssm", "ssm").color);
    }

    #[test]
    fn every_architecture_differs_in_colour_and_in_shape_or_dash() {
        let names = ["rnn", "lstm", "transformer", "ssm", "gru", "mamba", "own", "xlstm"];
        let palette = Palette::new(names.map(|name| (name, name)));
        for (i, a) in names.iter().enumerate() {
            for b in &names[i + 1..] {
                let (a, b) = (palette.look(a, a), palette.look(b, b));
                assert_ne!(a.color, b.color);
                assert!((a.marker.shape, a.dash) != (b.marker.shape, b.dash));
            }
        }
    }

    #[test]
    fn settings_of_one_architecture_share_its_colour_only() {
        let labels = ["lstm a", "lstm b", "lstm c"];
        let palette = Palette::new(labels.map(|label| ("lstm", label)));
        let looks = labels.map(|label| palette.look("lstm", label));
        for (i, a) in looks.iter().enumerate() {
            for b in &looks[i + 1..] {
                assert_eq!(a.color, b.color);
                assert_ne!(a.dash, b.dash);
                assert!((a.marker.shape, a.marker.hollow) != (b.marker.shape, b.marker.hollow));
            }
        }
    }

    #[test]
    fn legends_follow_the_table_then_names() {
        let palette = Palette::new([("zeta", "zeta"), ("lstm", "lstm"), ("rnn", "rnn"), ("eta", "eta")]);
        let mut names = ["zeta", "lstm", "eta", "rnn"];
        names.sort_by_key(|name| palette.rank(name, name));
        assert_eq!(names, ["rnn", "lstm", "eta", "zeta"]);
    }
}
