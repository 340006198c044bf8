//! What a source file says of itself: the sections of its heading, and the words on each key of its configuration.

/// The heading of a file: its leading `//!` lines.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Heading {
    /// What stands before the first section.
    pub(super) lead: String,
    /// Title and text of each `# Title`, in order.
    pub(super) sections: Vec<(String, String)>,
}

impl Heading {
    /// Reads the heading of a file's text.
    pub(super) fn read(text: &str) -> Self {
        let mut heading = Heading::default();
        for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
            let line = line.strip_prefix(' ').unwrap_or(line);
            match line.strip_prefix("# ") {
                Some(title) => heading.sections.push((title.trim().to_owned(), String::new())),
                None => {
                    let open = heading.sections.last_mut().map_or(&mut heading.lead, |(_, text)| text);
                    open.push_str(line);
                    open.push('\n');
                }
            }
        }
        heading.lead = heading.lead.trim().to_owned();
        for (_, text) in &mut heading.sections {
            *text = text.trim().to_owned();
        }
        heading
    }

    /// Takes the section of that title out.
    pub(super) fn take(&mut self, title: &str) -> Option<String> {
        let at = self.sections.iter().position(|(own, _)| own == title)?;
        Some(self.sections.remove(at).1)
    }
}

/// What `pub struct Config` says of a key; where its type is an enumeration of the same file, with its values.
pub(super) fn meaning(text: &str, key: &str) -> Option<String> {
    let members = members(text, "pub struct Config {");
    let (declared, words) = members.iter().find(|(declared, _)| {
        declared
            .strip_prefix("pub ")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(name, _)| name == key)
    })?;
    let kind = declared.rsplit(':').next().unwrap_or_default().trim().trim_end_matches(',');
    let values = members_of(text, kind);
    if values.is_empty() {
        return Some(words.clone());
    }
    let said: Vec<String> =
        values.iter().map(|(value, words)| format!("`\"{value}\"`: {}", lower(words))).collect();
    Some(format!("{words} {}.", said.join("; ")))
}

/// Spelling and meaning of each value of an enumeration whose values hold nothing.
fn members_of(text: &str, kind: &str) -> Vec<(String, String)> {
    let members = members(text, &format!("pub enum {kind} {{"));
    let name = |declared: &String| declared.trim_end_matches(',').to_owned();
    if !members.iter().all(|(declared, _)| name(declared).chars().all(char::is_alphanumeric)) {
        return Vec::new();
    }
    // Values of one word are written in small letters whatever the convention; others are not guessed.
    let of_one_word = |name: &str| name.chars().skip(1).all(|c| !c.is_uppercase());
    if !members.iter().all(|(declared, _)| of_one_word(&name(declared))) {
        return Vec::new();
    }
    members.iter().map(|(declared, words)| (name(declared).to_lowercase(), words.clone())).collect()
}

/// Declaration and comment of each member of the item that begins with this line.
fn members(text: &str, opening: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    let body = text.lines().skip_while(|line| *line != opening).skip(1).take_while(|line| *line != "}");
    for line in body.map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            words.push(comment.trim());
        } else if !line.is_empty() && !line.starts_with("#[") {
            found.push((line.to_owned(), words.join(" ")));
            words.clear();
        }
    }
    found
}

/// A sentence as a part of another one.
fn lower(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    let mut rest = sentence.chars();
    match rest.next() {
        // A symbol or an abbreviation stays as it is.
        Some(first) if rest.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(rest).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// The first sentence of a text, on one line and without its full stop.
pub(super) fn first_sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.find(". ").unwrap_or(line.len());
    line[..end].trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "//! `toy`: a toy.\n//!\n//! # Source\n//! A book.\n//!\n//! # Example\n//! One:\n//!\n//! ```text\n\
                        //! a b\n//! ```\n\nuse std::io;\n//! not this\n\npub struct Config {\n    /// L, the\n    /// steps.\n\
                        \x20   pub length: usize,\n    /// Which.\n    pub order: Order,\n    pub bare: u8,\n}\n\npub enum Order {\n\
                        \x20   /// Begins at the front.\n    #[default]\n    Forward,\n    /// T at once.\n    Back,\n}\n";

    #[test]
    fn a_heading_is_its_lead_and_its_sections() {
        let mut heading = Heading::read(TEXT);
        assert_eq!(heading.lead, "`toy`: a toy.");
        assert_eq!(heading.take("Source").as_deref(), Some("A book."));
        assert_eq!(heading.sections, [("Example".to_owned(), "One:\n\n```text\na b\n```".to_owned())]);
        assert_eq!(Heading::read(""), Heading::default());
    }

    #[test]
    fn keys_are_explained_with_their_values() {
        assert_eq!(meaning(TEXT, "length").unwrap(), "L, the steps.");
        assert_eq!(
            meaning(TEXT, "order").unwrap(),
            "Which. `\"forward\"`: begins at the front; `\"back\"`: T at once."
        );
        assert_eq!(meaning(TEXT, "bare").unwrap(), "");
        assert_eq!(meaning(TEXT, "none"), None);
        assert_eq!(meaning("", "length"), None);
    }

    #[test]
    fn a_sentence_ends_at_its_full_stop() {
        assert_eq!(first_sentence("L − 1, or\n0.5 of it. More."), "L − 1, or 0.5 of it");
        assert_eq!(first_sentence("One."), "One");
    }
}
