//! The same drawing in a fraction of the bytes.
//!
//! The backend writes an element for every dash and every dot, and all attributes of each. Here what looks alike
//! shares one path, and what all elements have in common is said once, by the group around them.

use super::data::{Area, Data, Point};
use super::text::text_width;
use std::fmt::Write as _;

/// The group around a drawing, which says what holds for nearly all of it.
const GROUP: &str = "<g fill=\"none\" font-family=\"sans-serif\" stroke-linejoin=\"round\">";

/// What the backend writes of every element though it is the default, or is said by the group.
const SAID: [(&str, &str); 4] =
    [("opacity", "1"), ("text-anchor", "start"), ("font-family", "sans-serif"), ("fill", "none")];

/// What a text says for itself: where it stands. The rest it shares with those of its look.
const OF_A_TEXT: [&str; 4] = ["x", "y", "dy", "transform"];

/// Units around an element that share a pixel with its edge.
const EDGE: i64 = 10;

/// What the backend wrote between its root's tags, as one group with one element a line.
pub(super) fn compact(drawing: &str) -> String {
    let mut page = Page::default();
    let mut lines = drawing.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("<text ") {
            let words: Vec<&str> =
                lines.by_ref().take_while(|line| *line != "</text>").map(str::trim).collect();
            page.write(line, &words.join(" "));
        } else if let Some(drawn) = drawn(line) {
            page.draw(drawn);
        } else if !line.trim().is_empty() {
            page.add(Content::Other(line), Area::EVERYWHERE);
        }
    }
    page.markup()
}

/// Names and values of an element's attributes.
fn attributes(tag: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut parts = tag.split('"');
    std::iter::from_fn(move || {
        let (name, value) = (parts.next()?, parts.next()?);
        Some((name.rsplit(' ').next()?.trim_end_matches('='), value))
    })
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    attributes(tag).find(|(own, _)| *own == name).map(|(_, value)| value)
}

fn written<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    attributes.filter(|own| !SAID.contains(own)).map(|(name, value)| format!(" {name}=\"{value}\"")).collect()
}

/// How a part of a path is drawn: everything but where.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look<'a> {
    ink: Ink,
    color: &'a str,
    opacity: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ink {
    Fill,
    /// Width.
    Stroke(i64),
    /// Diameter. A disc is the round cap of a line without length.
    Dot(i64),
}

impl Look<'_> {
    /// Whether overlapping parts look the same in one path as in two. Translucent ones are darker where they cross,
    /// and fills may cancel each other.
    fn may_overlap(&self) -> bool {
        self.opacity == "1" && self.ink != Ink::Fill
    }

    /// How far the drawing reaches beyond its points.
    fn reach(&self) -> i64 {
        match self.ink {
            Ink::Fill => EDGE,
            Ink::Stroke(width) | Ink::Dot(width) => width / 2 + 1 + EDGE,
        }
    }

    fn attributes(&self) -> String {
        let color = self.color;
        let mut attributes = match self.ink {
            Ink::Fill => format!("fill=\"{color}\""),
            Ink::Stroke(width) => format!("stroke=\"{color}\" stroke-width=\"{width}\""),
            Ink::Dot(width) => {
                format!("stroke=\"{color}\" stroke-width=\"{width}\" stroke-linecap=\"round\"")
            }
        };
        if self.opacity != "1" {
            let _ = write!(attributes, " opacity=\"{}\"", self.opacity);
        }
        attributes
    }
}

/// An element of the backend that can be a part of a path.
struct Drawn<'a> {
    look: Look<'a>,
    points: Vec<Point>,
}

/// Lines, polygons and discs; `None` for anything else.
fn drawn(line: &str) -> Option<Drawn<'_>> {
    let number = |name| attribute(line, name)?.parse::<i32>().ok().map(i64::from);
    let (name, _) = line.strip_prefix('<')?.split_once(' ')?;
    let (ink, color, points) = match name {
        "polyline" => (Ink::Stroke(number("stroke-width")?), "stroke", points(line)?),
        "polygon" => (Ink::Fill, "fill", open(points(line)?)),
        "circle" if attribute(line, "stroke") == Some("none") => {
            (Ink::Dot(2 * number("r")?), "fill", vec![(number("cx")?, number("cy")?)])
        }
        _ => return None,
    };
    let look = Look { ink, color: attribute(line, color)?, opacity: attribute(line, "opacity")? };
    Some(Drawn { look, points })
}

fn points(line: &str) -> Option<Vec<Point>> {
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some((x.parse::<i32>().ok()?.into(), y.parse::<i32>().ok()?.into()))
    };
    attribute(line, "points")?.split_whitespace().map(point).collect()
}

/// The corners of a polygon once each: a fill needs no way back to the first.
fn open(mut points: Vec<Point>) -> Vec<Point> {
    if points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    points
}

/// Where a text may stand, whichever of its points is anchored and whichever font the reader has.
fn words(tag: &str, content: &str) -> Area {
    let number = |name| attribute(tag, name)?.parse::<i32>().ok().map(i64::from);
    let size = attribute(tag, "font-size").and_then(|size| size.parse::<f64>().ok());
    let (Some(x), Some(y), Some(size)) = (number("x"), number("y"), size) else {
        return Area::EVERYWHERE;
    };
    // Bold letters are wider than the guess by about a tenth.
    let whole = |reach: f64| i64::from((1.25 * reach) as i32) + EDGE;
    let (along, across) = (whole(text_width(content, size)), whole(size));
    let reach = if attribute(tag, "transform").is_some() { (across, along) } else { (along, across) };
    Area::around(&[(x, y)], reach)
}

enum Content<'a> {
    Path(Look<'a>, Data),
    /// Attributes that the elements share, and the elements.
    Texts(String, Vec<String>),
    Other(&'a str),
}

impl Content<'_> {
    /// As one element a line.
    fn markup(&self) -> String {
        match self {
            Content::Path(look, data) => format!("<path {} d=\"{}\"/>\n", look.attributes(), data.text()),
            Content::Texts(look, texts) => format!("<g{look}>\n{}</g>\n", texts.concat()),
            Content::Other(own) => format!("{own}\n"),
        }
    }
}

/// An element of the page, and where it draws.
struct Layer<'a> {
    content: Content<'a>,
    areas: Vec<Area>,
    extent: Area,
}

impl Layer<'_> {
    fn touches(&self, area: Area) -> bool {
        self.extent.touches(area) && self.areas.iter().any(|own| own.touches(area))
    }
}

/// Elements in the order in which they are painted.
#[derive(Default)]
struct Page<'a> {
    layers: Vec<Layer<'a>>,
}

impl<'a> Page<'a> {
    fn add(&mut self, content: Content<'a>, area: Area) {
        self.layers.push(Layer { content, areas: vec![area], extent: area });
    }

    fn draw(&mut self, drawn: Drawn<'a>) {
        let Drawn { look, points } = drawn;
        let area = Area::around(&points, (look.reach(), look.reach()));
        let alike = |content: &Content<'_>| matches!(content, Content::Path(own, _) if *own == look);
        match self.place(area, look.may_overlap(), alike).map(|layer| &mut layer.content) {
            Some(Content::Path(_, data)) => data.push(&points),
            _ => {
                let mut data = Data::default();
                data.push(&points);
                self.add(Content::Path(look, data), area);
            }
        }
    }

    fn write(&mut self, tag: &str, content: &str) {
        let (own, look): (Vec<_>, Vec<_>) = attributes(tag).partition(|(name, _)| OF_A_TEXT.contains(name));
        let (text, look) = (written(own.into_iter()), written(look.into_iter()));
        let text = format!("<text{text}>{content}</text>\n");
        let area = words(tag, content);
        let alike = |content: &Content<'_>| matches!(content, Content::Texts(own, _) if *own == look);
        match self.place(area, true, alike).map(|layer| &mut layer.content) {
            Some(Content::Texts(_, texts)) => texts.push(text),
            _ => self.add(Content::Texts(look, vec![text]), area),
        }
    }

    /// The earliest layer of a look that what is drawn in `area` may join, which then covers that area too. What joins
    /// goes beneath the layers behind, so it may touch none of them.
    fn place(
        &mut self,
        area: Area,
        may_overlap: bool,
        alike: impl Fn(&Content<'_>) -> bool,
    ) -> Option<&mut Layer<'a>> {
        let mut place = None;
        for (earlier, layer) in self.layers.iter().enumerate().rev() {
            let touches = layer.touches(area);
            if (!touches || may_overlap) && alike(&layer.content) {
                place = Some(earlier);
            }
            if touches {
                break;
            }
        }
        let layer = self.layers.get_mut(place?)?;
        layer.areas.push(area);
        layer.extent = layer.extent.with(area);
        Some(layer)
    }

    fn markup(&self) -> String {
        let layers: String = self.layers.iter().map(|layer| layer.content.markup()).collect();
        format!("{GROUP}\n{layers}</g>\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::data::read;
    use super::*;

    fn polyline(color: &str, opacity: &str, points: &str) -> String {
        format!(
            "<polyline fill=\"none\" opacity=\"{opacity}\" stroke=\"{color}\" stroke-width=\"28\" points=\"{points} \"/>\n"
        )
    }

    fn polygon(color: &str, points: &str) -> String {
        format!("<polygon opacity=\"1\" fill=\"{color}\" points=\"{points} \"/>\n")
    }

    fn disc(x: i32, radius: i32, color: &str) -> String {
        format!(
            "<circle cx=\"{x}\" cy=\"50\" r=\"{radius}\" opacity=\"1\" fill=\"{color}\" stroke=\"none\" stroke-width=\"1\"/>\n"
        )
    }

    /// Colour and lines of every path, in the order of painting.
    fn paths(drawing: &str) -> Vec<(String, Vec<Vec<Point>>)> {
        let compact = compact(drawing);
        let paths = compact.lines().filter(|line| line.starts_with("<path"));
        let path = |line| {
            let color = attribute(line, "stroke").or(attribute(line, "fill")).unwrap();
            (color.to_string(), read(attribute(line, "d").unwrap()))
        };
        paths.map(path).collect()
    }

    #[test]
    fn strokes_of_one_look_share_a_path_and_others_do_not() {
        let red = polyline("#F00", "1", "1,2 3,4") + &polyline("#F00", "1", "2,2 7,9");
        assert_eq!(
            compact(&red),
            format!("{GROUP}\n<path stroke=\"#F00\" stroke-width=\"28\" d=\"m1 2 2 2m-1-2 5 7\"/>\n</g>\n")
        );
        let two = paths(&(red + &polyline("#00F", "1", "1,1 2,2")));
        assert_eq!(two[0], ("#F00".into(), vec![vec![(1, 2), (3, 4)], vec![(2, 2), (7, 9)]]));
        assert_eq!(two[1], ("#00F".into(), vec![vec![(1, 1), (2, 2)]]));
    }

    #[test]
    fn translucent_strokes_and_fills_stay_apart_where_they_may_cross() {
        for near in [polyline("#F00", "0.45", "1,2 30,40"), polygon("#F00", "1,2 30,40 2,30")] {
            let far = near.replace("30,40", "900,940").replace("1,2 ", "890,930 ").replace("2,30", "880,980");
            assert_eq!(paths(&(near.clone() + &near)).len(), 2);
            assert_eq!(paths(&(near + &far)).len(), 1);
        }
    }

    #[test]
    fn what_lies_above_stays_above() {
        let line = polyline("#F00", "1", "0,50 100,50");
        let (above, beside) = (disc(50, 20, "#00F"), disc(500, 20, "#00F"));
        let colors = |drawing: String| -> Vec<String> {
            paths(&drawing).into_iter().map(|(color, _)| color).collect()
        };
        assert_eq!(colors(line.clone() + &above + &line), ["#F00", "#00F", "#F00"]);
        assert_eq!(colors(line.clone() + &beside + &line), ["#F00", "#00F"]);
        assert_eq!(colors(line.clone() + "<odd/>\n" + &line), ["#F00", "#F00"]);
        // Rims and discs of two marks, the second across the first.
        let marks =
            disc(50, 30, "#FFF") + &disc(50, 20, "#00F") + &disc(80, 30, "#FFF") + &disc(80, 20, "#00F");
        assert_eq!(colors(marks), ["#FFF", "#00F", "#FFF", "#00F"]);
        let marks =
            disc(50, 30, "#FFF") + &disc(50, 20, "#00F") + &disc(500, 30, "#FFF") + &disc(500, 20, "#00F");
        assert_eq!(colors(marks), ["#FFF", "#00F"]);
    }

    #[test]
    fn a_disc_is_a_dot_and_a_polygon_returns_by_itself() {
        assert!(
            compact(&disc(50, 20, "#00F")).contains(
                "<path stroke=\"#00F\" stroke-width=\"40\" stroke-linecap=\"round\" d=\"m50 50h0\"/>"
            )
        );
        assert!(
            compact(&polygon("#F00", "1,2 5,2 5,7 1,2")).contains("<path fill=\"#F00\" d=\"m1 2h4v5\"/>")
        );
    }

    #[test]
    fn texts_share_their_look_and_keep_what_reads_like_an_attribute() {
        let text = |y: i32, fill: &str, content: &str| {
            format!(
                "<text x=\"1\" y=\"{y}\" dy=\"0.5ex\" text-anchor=\"start\" font-family=\"sans-serif\" font-size=\"90\" opacity=\"1\" fill=\"{fill}\">\n{content}\n</text>\n"
            )
        };
        let drawing =
            text(3, "#000", "a opacity=\"1\" &lt;b") + &text(9, "#000", "c") + &text(7, "#555", "d");
        let expected = [
            GROUP,
            "<g font-size=\"90\" fill=\"#000\">",
            "<text x=\"1\" y=\"3\" dy=\"0.5ex\">a opacity=\"1\" &lt;b</text>",
            "<text x=\"1\" y=\"9\" dy=\"0.5ex\">c</text>",
            "</g>",
            "<g font-size=\"90\" fill=\"#555\">",
            "<text x=\"1\" y=\"7\" dy=\"0.5ex\">d</text>",
            "</g>",
            "</g>\n",
        ];
        assert_eq!(compact(&drawing), expected.join("\n"));
    }

    #[test]
    fn what_it_cannot_read_is_left_as_it_is() {
        for odd in
            ["<polyline points=\"1,2 3\"/>", "<circle r=\"x\"/>", "<", "words", "<polygon fill=\"#F00\"/>"]
        {
            assert_eq!(compact(odd), format!("{GROUP}\n{odd}\n</g>\n"));
        }
        assert!(compact("<text x=\"9\" y=\"9\" font-size=\"1e300\">\na\n</text>").contains(">a</text>"));
        assert_eq!(compact("<text x=\"1\">"), format!("{GROUP}\n<g>\n<text x=\"1\"></text>\n</g>\n</g>\n"));
    }
}
