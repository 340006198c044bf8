//! A figure within the page: the same drawing as its file, in fewer bytes and with the words a screen reader needs.

use crate::plot::Figure;
use maud::{Markup, PreEscaped, html};

/// A figure under its anchor.
pub(super) fn figure(figure: &Figure, anchor: &str) -> Markup {
    let (title, words) = (format!("{anchor}-title"), format!("{anchor}-words"));
    let (view, drawing) = parts(&figure.svg);
    html! {
        figure id=(anchor) {
            div class="view" {
                svg class="plot" viewBox=(view) role="img" aria-labelledby=(title) aria-describedby=(words)
                    fill="none" font-family="sans-serif" stroke-linejoin="round" {
                    title id=(title) { (figure.title) }
                    desc id=(words) {
                        (figure.subtitle) ". The numbers stand in the tables of this experiment."
                    }
                    (PreEscaped(compact(drawing)))
                }
            }
            figcaption { (figure.title) " " span class="file" { "(" (figure.file_name) ")" } }
        }
    }
}

/// The view box of a figure's document, and what it draws.
fn parts(svg: &str) -> (&str, &str) {
    let (head, rest) = svg.split_once("</title>").unwrap_or(("", svg));
    let view = head.split_once("viewBox=\"").and_then(|(_, rest)| rest.split_once('"'));
    let drawing = rest.trim_end().strip_suffix("</svg>").unwrap_or(rest);
    (view.map_or("0 0 9000 6000", |(view, _)| view), drawing)
}

/// What plotters writes of every element though it is the default, or is said once by the element around.
const SAID: [&str; 4] =
    [" opacity=\"1\"", " text-anchor=\"start\"", " font-family=\"sans-serif\"", " fill=\"none\""];

/// The same drawing: neighbouring opaque strokes of one look become one path, and nothing is said twice. Translucent ones
/// stay apart, since they are darker where they cross.
fn compact(drawing: &str) -> String {
    let mut text = String::with_capacity(drawing.len() / 2);
    let mut open: Option<&str> = None;
    for line in drawing.lines() {
        let stroke = stroke(line);
        if let Some((look, points)) = stroke
            && open == Some(look)
        {
            text.push('M');
            text.push_str(points);
            continue;
        }
        if open.take().is_some() {
            text.push_str("\"/>");
        }
        match stroke {
            Some((look, points)) => {
                text.push_str("<path ");
                text.push_str(&said_once(look));
                text.push_str(" d=\"M");
                text.push_str(points);
                open = Some(look);
            }
            None if line.starts_with('<') => text.push_str(&said_once(line)),
            None => text.push_str(line.trim()),
        }
    }
    if open.is_some() {
        text.push_str("\"/>");
    }
    text
}

/// Look and points of an opaque stroke.
fn stroke(line: &str) -> Option<(&str, &str)> {
    let (look, points) = line.strip_prefix("<polyline")?.split_once(" points=\"")?;
    let points = points.strip_suffix("\"/>")?.trim_end();
    look.contains(" opacity=\"1\"").then_some((look, points))
}

fn said_once(markup: &str) -> String {
    SAID.iter().fold(markup.to_string(), |text, said| text.replacen(said, "", 1)).trim_start().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polyline(color: &str, opacity: &str, points: &str) -> String {
        format!(
            "<polyline fill=\"none\" opacity=\"{opacity}\" stroke=\"{color}\" stroke-width=\"28\" points=\"{points} \"/>\n"
        )
    }

    #[test]
    fn strokes_of_one_look_are_joined_and_translucent_ones_are_not() {
        let red = polyline("#F00", "1", "1,2 3,4") + &polyline("#F00", "1", "5,6 7,8");
        assert_eq!(compact(&red), "<path stroke=\"#F00\" stroke-width=\"28\" d=\"M1,2 3,4M5,6 7,8\"/>");
        let two = compact(&(red + &polyline("#00F", "1", "1,1 2,2")));
        assert_eq!(two.matches("<path").count(), 2);
        let thin = polyline("#F00", "0.45", "1,2 3,4");
        assert_eq!(compact(&(thin.clone() + &thin)).matches("<polyline").count(), 2);
    }

    #[test]
    fn words_keep_what_reads_like_an_attribute() {
        let text = "<text x=\"1\" opacity=\"1\" fill=\"#000000\">\na opacity=\"1\" &lt;b\n</text>\n";
        assert_eq!(compact(text), "<text x=\"1\" fill=\"#000000\">a opacity=\"1\" &lt;b</text>");
    }

    #[test]
    fn the_head_of_the_document_is_left_out() {
        let svg = "<svg viewBox=\"0 0 9000 5340\" role=\"img\">\n<title>a</title>\n<circle/>\n</svg>\n";
        assert_eq!(parts(svg), ("0 0 9000 5340", "\n<circle/>\n"));
    }
}
