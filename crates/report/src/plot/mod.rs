//! Figures as SVG, from what cells wrote: what a person puts on a slide or in a paper.
//!
//! Each kind of figure is one file that turns a [`Summary`](crate::summary::Summary) into a `Chart`; the rest
//! draws charts and knows no measurement. The same cells give the same bytes.

mod accuracy;
mod accuracy_cost;
mod by_distance;
mod by_length;
mod cost;
mod curves;
mod depth;
mod evidence;
mod gain;
mod gradients;
mod heat;
mod memory;
mod norms;
mod roofline;
mod selection;
mod spectrum;
mod study;
mod theory;
mod trace;

mod chart;
mod names;
mod passes;

mod axis;
mod canvas;
mod categories;
mod crossings;
mod draw;
mod field;
mod layout;
mod legend;
mod palette;

#[cfg(test)]
#[path = "../../tests/cells/mod.rs"]
mod cells;

use crate::summary::summarise;
use chart::Chart;
use palette::Palette;
pub(crate) use palette::place_of;
use seqbench_record::CellFiles;

/// A figure, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Name of its file, such as `accuracy-copying.svg`: no folder, no spaces.
    pub file_name: String,
    /// What it shows, in one line.
    pub title: String,
    /// Of what, and how summarised, in one line.
    pub subtitle: String,
    /// The SVG document, in UTF-8, 900 pixels wide.
    pub svg: String,
}

impl Figure {
    fn of(file_name: String, chart: &Chart, svg: Option<String>) -> Option<Self> {
        let (title, subtitle) = (chart.title.clone(), chart.subtitle.clone());
        svg.map(|svg| Self { file_name, title, subtitle, svg })
    }

    fn of_chart(file_name: String, chart: &Chart, palette: &Palette) -> Option<Self> {
        Self::of(file_name, chart, draw::draw(chart, palette))
    }
}

/// Every figure that the cells have data for, in reading order; none for no cells. The order of the cells does
/// not matter.
///
/// - `study.svg`: all tasks against all models, where there are several tasks or experiments;
/// - `accuracy-<task>.svg`: accuracy against the sweep's numeric coordinate, or by model where there is none;
/// - `accuracy-by-distance-<task>.svg`: accuracy against the lag of the scored position, inside one model;
/// - `accuracy-by-length-<task>.svg`: accuracy against the length evaluated, beside the longest trained one;
/// - `curves-<task>.svg`: learning curves;
/// - `selection-<task>.svg`: validation score against learning rate, every trial;
/// - `gradients-<wrt>.svg`: gradient norm against distance (`gradients-<wrt>-<task>.svg` for several tasks);
/// - `gain-<wrt>.svg`: gain per step against the numeric coordinate of most values, beside theory;
/// - `gradients-by-layer-<task>.svg`: gradient norm at the scored step against depth, where there are three layers and more;
/// - `theory-state.svg`, `theory-input.svg`: measured profiles beside what theory predicts;
/// - `spectrum-eigenvalues.svg`, `spectrum-jacobians.svg`: eigenvalues in the complex plane, singular values against
///   distance;
/// - `gradients-through-training-<task>.svg`: distance against training step, where there are three moments and more;
/// - `evidence-<task>.svg`: gradient at the evidence through training, and when the loss first falls;
/// - `norms-<task>.svg`: global gradient norms before clipping and after, where it did something;
/// - `trace-<model>.svg`: gates, states and attention over one sequence;
/// - `accuracy-cost-<task>.svg`: reach or accuracy against the CPU time of a run, where there are two models and more;
/// - `time-<mode>.svg`: time against length, with the fitted power and where two models take the same;
/// - `tokens-per-second.svg`: of all modes;
/// - `roofline.svg`: rate against operational intensity, beneath what the machine can do;
/// - `memory-train.svg`, `memory-forward.svg`: memory above the baseline against length, beside what was predicted;
/// - `state-vs-context.svg`: state of one sequence against context.
pub fn figures(cells: &[CellFiles]) -> Vec<Figure> {
    let summary = summarise(cells);
    let models = cells.iter().map(|files| &files.cell.labels);
    let palette = Palette::new(models.map(|labels| (labels.architecture.as_str(), labels.model.as_str())));
    let mut figures: Vec<Figure> = study::figure(&summary).into_iter().collect();
    figures.extend(accuracy::figures(&summary, &palette));
    figures.extend(by_distance::figures(&summary, &palette));
    figures.extend(by_length::figures(&summary, &palette));
    figures.extend(curves::figures(&summary, &palette));
    figures.extend(selection::figures(&summary, &palette));
    figures.extend(gradients::figures(&summary, &palette));
    figures.extend(gain::figures(&summary));
    figures.extend(depth::figures(&summary, &palette));
    figures.extend(heat::figures(&summary));
    figures.extend(theory::figures(&summary, &palette));
    figures.extend(spectrum::figures(&summary, &palette));
    figures.extend(evidence::figures(&summary, &palette));
    figures.extend(norms::figures(&summary, &palette));
    figures.extend(trace::figures(cells));
    figures.extend(accuracy_cost::figures(&summary, &palette));
    figures.extend(cost::figures(&summary, &palette));
    figures.extend(roofline::figures(&summary, &palette));
    figures.extend(memory::figures(&summary, &palette));
    figures
}
