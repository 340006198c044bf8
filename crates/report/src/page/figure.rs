//! A figure within the page: the same drawing as its file, with the words a screen reader needs.

use crate::plot::Figure;
use maud::{Markup, PreEscaped, html};

/// A figure under its anchor.
pub(super) fn figure(figure: &Figure, anchor: &str) -> Markup {
    let (title, words) = (format!("{anchor}-title"), format!("{anchor}-words"));
    let (view, drawing) = parts(&figure.svg);
    html! {
        figure id=(anchor) {
            div class="view" {
                svg class="plot" viewBox=(view) role="img" aria-labelledby=(title) aria-describedby=(words) {
                    title id=(title) { (figure.title) }
                    desc id=(words) {
                        (figure.subtitle) ". The numbers stand in the tables of this experiment."
                    }
                    (PreEscaped(drawing))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_the_document_is_left_out() {
        let svg = "<svg viewBox=\"0 0 9000 5340\" role=\"img\">\n<title>a</title>\n<circle/>\n</svg>\n";
        assert_eq!(parts(svg), ("0 0 9000 5340", "\n<circle/>\n"));
    }
}
