//! Widths of texts, which an SVG writer can only guess: the reader's fonts are unknown.

/// Width of a text in pixels at a font size, guessed wide (DejaVu Sans, about the widest common sans-serif), so
/// that no other font runs out of its space.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

fn em(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' => 0.32,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '-' | '/' => 0.42,
        'm' | 'M' | 'W' | '%' | '@' => 0.98,
        'w' | '=' | '+' | '<' | '>' | '~' | '×' | '−' => 0.84,
        '⁻' | '⁰' | '¹' | '²' | '³' | '⁴'..='⁹' => 0.44,
        'A'..='Z' => 0.72,
        _ => 0.64,
    }
}

/// Splits a text at spaces into lines no wider than `width` pixels; a longer word stands alone on its line.
pub(crate) fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(word, size) + em(' ') * size <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// A text as XML character data.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_within_their_width_and_lose_no_word() {
        let text = "one two three four five six seven extraordinarily-long-word eight";
        let lines = wrap(text, 10.0, 90.0);
        assert_eq!(lines.join(" "), text);
        assert!(lines.len() > 2);
        for line in lines.iter().filter(|line| line.contains(' ')) {
            assert!(text_width(line, 10.0) <= 90.0, "{line}");
        }
    }

    #[test]
    fn escaping_touches_nothing_but_the_three() {
        assert_eq!(escape("a<b>&'c'"), "a&lt;b&gt;&amp;'c'");
    }
}
