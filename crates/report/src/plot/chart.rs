//! What a chart shows, before it is drawn: the drawing layer's whole input.

use super::axis::Scale;

/// A value against a position, with its interval where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Both ends of the interval.
    pub(crate) interval: Option<(f64, f64)>,
    /// The value does not stand clear of rounding: drawn hollow, its line dotted.
    pub(crate) doubtful: bool,
}

/// One model in one panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) label: String,
    /// Registry name; with the label it decides colour, marker and dash.
    pub(crate) architecture: String,
    /// Small print under the label in the legend.
    pub(crate) note: Option<String>,
    /// What stands for all seeds, such as their mean, by ascending `x` but for a trail.
    pub(crate) points: Vec<Point>,
    /// Each seed's own (x, y).
    pub(crate) seeds: Vec<Vec<(f64, f64)>>,
    /// The position of the point that was chosen among the others: a ring around it.
    pub(crate) ring: Option<f64>,
    /// What the points are set beside, such as a fit: a thin dashed line, by ascending `x`.
    pub(crate) guide: Vec<(f64, f64)>,
    /// Points in an order of their own, such as by length, rather than along `x`: a thin line joins them, and the last is the
    /// largest.
    pub(crate) trail: bool,
}

/// Where two series meet: a small ring, with a word where there is room for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Crossing {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) label: Option<String>,
}

/// A level to compare with, such as chance: (x, y) by ascending `x`, drawn across where all `y` are equal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// One field with axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Panel {
    /// What sets it apart from its neighbours; empty for a lone panel.
    pub(crate) title: String,
    pub(crate) series: Vec<Series>,
    pub(crate) levels: Vec<Level>,
    /// A position to compare with, such as the length trained for, with its name: a dotted upright line.
    pub(crate) mark: Option<(String, f64)>,
    /// What the guides of its series are, for the legend.
    pub(crate) guide: Option<String>,
    pub(crate) crossings: Vec<Crossing>,
}

/// Which values get a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TickRule {
    /// Round values.
    Round,
    /// Where the points are, if there is room for all of them.
    Points,
}

/// An axis, shared by all panels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Name and unit.
    pub(crate) label: String,
    pub(crate) scale: Scale,
    /// Fixed range in the axis's own values, or that of the data.
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) rule: TickRule,
}

/// How single seeds are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seeds {
    /// A dot at each value, models and seeds set side by side.
    Dots,
    /// A thin line through each seed's values.
    Lines,
    /// A dot at each value, at its very place; both axes have one scale.
    Scatter,
}

/// A whole figure: a title, a legend and panels with common axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chart {
    /// What is drawn, in one line.
    pub(crate) title: String,
    /// Of what, and how summarised.
    pub(crate) subtitle: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) seeds: Seeds,
    pub(crate) panels: Vec<Panel>,
}

impl Chart {
    /// Whether any panel holds a value that can be drawn.
    pub(crate) fn has_data(&self) -> bool {
        self.series().any(|series| {
            series.points.iter().any(|point| self.places(point.x, point.y))
                || series.seeds.iter().flatten().any(|&(x, y)| self.places(x, y))
        })
    }

    /// Whether there are several panels, each of one model that its title begins with: a legend would repeat them.
    pub(crate) fn titles_name_models(&self) -> bool {
        let named =
            |panel: &Panel| matches!(&panel.series[..], [only] if panel.title.starts_with(&only.label));
        self.panels.len() > 1 && self.panels.iter().all(named)
    }

    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.panels.iter().flat_map(|panel| &panel.series)
    }

    fn places(&self, x: f64, y: f64) -> bool {
        self.x.scale.coordinate(x).is_some() && self.y.scale.coordinate(y).is_some()
    }
}
