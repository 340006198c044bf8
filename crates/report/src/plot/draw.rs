//! Draws a whole chart: title, legend, axis labels, and the panels on common axes.

use super::canvas::{Anchor, BLACK, Canvas, Font};
use super::chart::{Chart, Panel, Point, Seeds, TickRule};
use super::crossings::draw_crossings;
use super::field::{COLUMN, Field};
use super::layout::{
    EDGE, LABEL, Layout, SUBTITLE, Span, TICK, TITLE, WIDTH, arrange, columns, header, panel_height,
    positions, ticks_across, ticks_up, title_lines, upright_label,
};
use super::legend::{GREY, Legend, level_names};
use super::palette::Palette;

/// Share of a fixed range that is added at its ends: a marker there is not cut.
const FIXED_ROOM: f64 = 0.035;

/// A chart as SVG; `None` where it has nothing to show.
pub(crate) fn draw(chart: &Chart, palette: &Palette) -> Option<String> {
    if !chart.has_data() {
        return None;
    }
    let spans = (span_x(chart)?, span_y(chart)?);
    let upright = ticks_up(&chart.y, spans.1, panel_height(columns(chart.panels.len())));
    let legend = Legend::of(chart, palette, !chart.titles_name_models());
    let beside = chart.panels.len() == 1;
    let (title, subtitle, mut top) = header(chart);
    let legend_top = top;
    if !beside {
        top += legend.rows_height();
    }
    let widest = upright.iter().map(|tick| super::canvas::text_width(&tick.label, TICK)).fold(0.0, f64::max);
    let left = EDGE + upright_label(chart).len() as f64 * LABEL * 1.3 + widest + 10.0;
    let right = EDGE + if beside { legend.column_width() + 16.0 } else { 8.0 };
    let layout = arrange(chart, top, left, right);

    // A column of many models may reach below its panel.
    let reach = if beside { layout.grid.top + legend.column_height() + EDGE } else { 0.0 };
    let mut canvas = Canvas::new(WIDTH, layout.height.max(reach).round());
    draw_header(&mut canvas, &title, &subtitle);
    match beside {
        true => legend.draw_column(&mut canvas, (layout.grid.right + 16.0, layout.grid.top)),
        false => legend.draw_rows(&mut canvas, legend_top),
    }
    draw_axis_labels(&mut canvas, chart, &layout);
    let names = level_names(chart);
    for (place, panel) in chart.panels.iter().enumerate() {
        let frame = layout.frames[place];
        let field = Field { frame, x: (chart.x.clone(), spans.0), y: (chart.y.clone(), spans.1) };
        let across = ticks_across(&chart.x, spans.0, frame.width(), &positions(chart));
        field.draw_frame(&mut canvas, &across, &upright, layout.lowest[place], layout.leftmost[place]);
        let heading = Font { size: TICK, bold: true, color: BLACK };
        for (above, line) in title_lines(&panel.title, frame.width()).iter().rev().enumerate() {
            let y = frame.top - TICK * (0.75 + 1.25 * above as f64);
            canvas.text(line, (frame.left + 2.0, y), Anchor::Left, heading);
        }
        field.draw_mark(&mut canvas, panel);
        field.draw_levels(&mut canvas, panel, &names);
        field.draw_models(&mut canvas, panel, chart.seeds, palette);
        draw_crossings(&mut canvas, &field, &panel.crossings);
    }
    Some(canvas.into_svg(&chart.title))
}

/// Title and subtitle at the top of the page.
pub(crate) fn draw_header(canvas: &mut Canvas, title: &[String], subtitle: &[String]) {
    let mut y = EDGE + TITLE * 0.5;
    for line in title {
        canvas.text(line, (EDGE, y), Anchor::Left, Font { size: TITLE, bold: true, color: BLACK });
        y += TITLE * 1.25;
    }
    for line in subtitle {
        canvas.text(line, (EDGE, y), Anchor::Left, Font { size: SUBTITLE, bold: false, color: GREY });
        y += SUBTITLE * 1.3;
    }
}

fn draw_axis_labels(canvas: &mut Canvas, chart: &Chart, layout: &Layout) {
    let font = Font { size: LABEL, bold: false, color: BLACK };
    let grid = layout.grid;
    let below = layout.height - EDGE - LABEL * 0.5;
    canvas.text(&chart.x.label, ((grid.left + grid.right) / 2.0, below), Anchor::Center, font);
    let middle = (grid.top + grid.bottom) / 2.0;
    for (place, line) in upright_label(chart).iter().enumerate() {
        let x = EDGE + LABEL * (0.5 + 1.2 * place as f64);
        canvas.text(line, (x, middle), Anchor::Upwards, font);
    }
}

fn span_x(chart: &Chart) -> Option<Span> {
    let widen = match chart.seeds {
        Seeds::Dots => {
            // Half of the models of the outermost position stand outside it.
            let models = chart.panels.iter().map(|panel| panel.series.len()).max().unwrap_or(1);
            let panel = 560.0 / columns(chart.panels.len()) as f64;
            let column = (0.6 * panel * nearest(chart) / models as f64).min(COLUMN);
            let half = (models as f64 * column / 2.0 + 8.0).min(panel / 4.0);
            half / (panel - 2.0 * half)
        }
        // Markers at the ends stand clear of the frame; long curves have none worth the room.
        Seeds::Lines if chart.x.rule == TickRule::Points => 0.05,
        Seeds::Lines => 0.02,
        // As the upright axis, so that a circle is one.
        Seeds::Scatter => FIXED_ROOM,
    };
    let range = chart.x.range.map_or_else(|| positions(chart), |(low, high)| vec![low, high]);
    Span::of(chart.x.scale, range, widen)
}

/// The smallest distance of two positions of a panel, as a share of the distance of the outermost of all: of the
/// panel where it is largest, whose models stand widest. One for fewer than two positions.
fn nearest(chart: &Chart) -> f64 {
    let places: Vec<f64> = positions(chart).into_iter().filter_map(|x| chart.x.scale.coordinate(x)).collect();
    let extent = match (places.first(), places.last()) {
        (Some(first), Some(last)) if last > first => last - first,
        _ => return 1.0,
    };
    let of_panel = |panel: &Panel| {
        let points = panel.series.iter().flat_map(|series| &series.points);
        let mut own: Vec<f64> = points.filter_map(|point| chart.x.scale.coordinate(point.x)).collect();
        own.sort_by(f64::total_cmp);
        own.dedup();
        own.windows(2).map(|pair| (pair[1] - pair[0]) / extent).fold(1.0, f64::min)
    };
    chart.panels.iter().map(of_panel).fold(0.0, f64::max)
}

/// The range of the value axis: the fixed one, or that of everything drawn.
pub(crate) fn span_y(chart: &Chart) -> Option<Span> {
    if let Some((low, high)) = chart.y.range {
        // A marker at an end of the range is not cut.
        return Span::of(chart.y.scale, [low, high], FIXED_ROOM);
    }
    let of_points = chart.series().flat_map(|series| &series.points).flat_map(|point: &Point| {
        let (low, high) = point.interval.unwrap_or((point.y, point.y));
        [point.y, low, high]
    });
    let of_seeds = chart.series().flat_map(|series| series.seeds.iter().flatten()).map(|&(_, y)| y);
    let of_guides = chart.series().flat_map(|series| series.guide.iter().map(|&(_, y)| y));
    let levels = chart.panels.iter().flat_map(|panel| &panel.levels);
    let of_levels = levels.flat_map(|level| level.points.iter().map(|&(_, y)| y));
    Span::of(chart.y.scale, of_points.chain(of_seeds).chain(of_levels).chain(of_guides), 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::axis::Scale;
    use crate::plot::canvas::parts;
    use crate::plot::chart::{Axis, Crossing, Level, Series};

    fn chart(seeds: Seeds) -> Chart {
        let series = ["rnn", "lstm"].map(|name| Series {
            label: name.into(),
            architecture: name.into(),
            note: Some("a & b".into()),
            points: [10.0, 30.0, 100.0]
                .map(|x| Point { x, y: 1.0 - x / 200.0, interval: Some((0.1, 2.0)), doubtful: x > 50.0 })
                .to_vec(),
            seeds: vec![vec![(10.0, 0.9), (30.0, f64::NAN), (100.0, 0.5)]; 3],
            ring: None,
            guide: Vec::new(),
            trail: false,
        });
        let axis = |scale, range| Axis { label: "axis".into(), scale, range, rule: TickRule::Points };
        Chart {
            title: "a title".into(),
            subtitle: "a subtitle".into(),
            x: axis(Scale::Log, None),
            y: axis(Scale::Linear, Some((0.0, 1.0))),
            seeds,
            panels: vec![Panel {
                title: String::new(),
                series: series.to_vec(),
                levels: vec![Level { label: "chance".into(), points: vec![(10.0, 0.1), (100.0, 0.1)] }],
                mark: None,
                guide: None,
                crossings: Vec::new(),
            }],
        }
    }

    fn palette() -> Palette {
        Palette::new([("rnn", "rnn"), ("lstm", "lstm")])
    }

    #[test]
    fn every_finite_seed_is_a_dot_and_no_other() {
        let svg = draw(&chart(Seeds::Dots), &palette()).unwrap();
        assert_eq!(parts(&svg, "stroke-width=\"56\""), 2 * 3 * 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_level_carries_its_value_where_it_has_one() {
        let mut chart = chart(Seeds::Lines);
        assert!(draw(&chart, &palette()).unwrap().contains("chance (0.1)"));
        chart.panels[0].levels[0].points[1].1 = 0.2;
        let svg = draw(&chart, &palette()).unwrap();
        assert!(svg.contains("chance<") && !svg.contains("chance ("));
    }

    #[test]
    fn a_mark_is_named_with_its_position_where_it_has_one() {
        let mut chart = chart(Seeds::Lines);
        let plain = draw(&chart, &palette()).unwrap();
        chart.panels[0].mark = Some(("trained length".into(), 30.0));
        let marked = draw(&chart, &palette()).unwrap();
        assert!(!plain.contains("trained") && marked.contains("trained length (30)"));
        assert!(parts(&marked, "stroke=") > parts(&plain, "stroke="));
        let mut second = chart.panels[0].clone();
        second.mark = Some(("trained length".into(), 100.0));
        chart.panels.push(second);
        assert!(draw(&chart, &palette()).unwrap().contains("trained length<"));
    }

    #[test]
    fn guides_are_named_and_stay_within_the_span_and_crossings_are_ringed() {
        let mut chart = chart(Seeds::Lines);
        let plain = draw(&chart, &palette()).unwrap();
        chart.panels[0].guide = Some("fitted power".into());
        chart.panels[0].series[0].guide = vec![(10.0, 0.2), (100.0, 0.8)];
        let guided = draw(&chart, &palette()).unwrap();
        assert!(!plain.contains("fitted power") && guided.contains("fitted power"));
        let crossing = |label: Option<&str>| Crossing { x: 30.0, y: 0.5, label: label.map(String::from) };
        chart.panels[0].crossings = vec![crossing(Some("31")), crossing(None)];
        let ringed = draw(&chart, &palette()).unwrap();
        assert!(ringed.contains(">31<"));
        // A white rim and a black line for each of the two.
        assert_eq!(parts(&ringed, "stroke=") - parts(&guided, "stroke="), 4);
    }

    #[test]
    fn a_trail_is_thin_and_its_last_point_the_largest() {
        let mut chart = chart(Seeds::Lines);
        let lines = |chart: &Chart| parts(&draw(chart, &palette()).unwrap(), "stroke-width=\"28\"");
        let joined = lines(&chart);
        chart.panels[0].series.iter_mut().for_each(|series| series.trail = true);
        // Swatches of the legend stay.
        assert_eq!((lines(&chart) < joined, chart.panels[0].series.len()), (true, 2));
    }

    #[test]
    fn a_page_is_as_long_as_its_legend() {
        let height = |svg: &str| -> f64 {
            let (_, rest) = svg.split_once("viewBox=\"0 0 9000 ").unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        };
        let few = chart(Seeds::Lines);
        let mut many = few.clone();
        let models = (0..30)
            .map(|place| Series { label: format!("model {place}"), ..few.panels[0].series[0].clone() });
        many.panels[0].series = models.collect();
        let [few, many] = [few, many].map(|chart| draw(&chart, &palette()).unwrap());
        // Thirty lines of 18 pixels and what lies between them, in tenths.
        assert!(height(&many) > 30.0 * 180.0 && height(&few) < 6000.0);
    }

    #[test]
    fn intervals_end_at_the_frame() {
        let with = draw(&chart(Seeds::Dots), &palette()).unwrap();
        let mut without = chart(Seeds::Dots);
        for series in &mut without.panels[0].series {
            series.points.iter_mut().for_each(|point| point.interval = None);
        }
        let without = draw(&without, &palette()).unwrap();
        // A bar and one cap each: the upper cap, at 2.0, lies above the frame.
        assert_eq!(parts(&with, "stroke=") - parts(&without, "stroke="), 2 * 3 * 2);
    }

    #[test]
    fn nothing_finite_is_no_figure() {
        let mut chart = chart(Seeds::Dots);
        for series in &mut chart.panels[0].series {
            series.points.iter_mut().for_each(|point| point.y = f64::NAN);
            series.seeds.iter_mut().flatten().for_each(|value| value.0 = 0.0);
        }
        assert_eq!(draw(&chart, &palette()), None);
        chart.panels.clear();
        assert_eq!(draw(&chart, &palette()), None);
    }

    #[test]
    fn a_doubtful_point_is_hollow() {
        let outlines = |svg: &str| parts(svg, "stroke-width=\"18\"");
        let doubtful = draw(&chart(Seeds::Lines), &palette()).unwrap();
        let mut certain = chart(Seeds::Lines);
        for series in &mut certain.panels[0].series {
            series.points.iter_mut().for_each(|point| point.doubtful = false);
        }
        // One outline in place of a filled marker for each model.
        assert_eq!(outlines(&doubtful) - outlines(&draw(&certain, &palette()).unwrap()), 2);
    }
}
