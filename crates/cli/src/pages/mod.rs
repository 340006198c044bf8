//! The page of a task or an architecture, as Markdown, made of what it says of itself: of its entry in the registry, and of
//! its source file's heading where the entry holds it.

mod source;

use seqbench_core::config::Value;
use seqbench_core::{AnyArchitecture, AnyTask, Instance, OutputKind};
use source::{Heading, first_sentence, meaning};

/// Sections of a heading in the order in which somebody new wants them; any other comes after these.
const FIRST: [&str; 6] = ["Definition", "Example", "Metric", "Chance", "Lag", "Shapes"];

/// The page of a task.
pub fn task(entry: &dyn AnyTask) -> String {
    let info = entry.info();
    let mut heading = Heading::read(info.documentation);
    let instance = instance(entry);
    let lead = if heading.lead.is_empty() { info.summary.to_owned() } else { heading.lead.clone() };
    let mut page = Page::new(info.title, &lead);
    page.section("What it separates", info.separates);
    let source = [heading.take("Source").unwrap_or_default(), format!("Citation: {}.", info.citation)];
    let deviations = heading.take("Deviations").unwrap_or_else(|| list(info.deviations));
    let errors = heading.take("Errors").unwrap_or_default();
    for title in FIRST {
        let said = heading.take(title).unwrap_or_default();
        let counted = match (title, &instance) {
            ("Metric", Some(instance)) => metric(instance),
            ("Chance", Some(instance)) => references(instance),
            ("Example", _) if said.contains('·') => "`·`: a step that is not scored.".to_owned(),
            _ => String::new(),
        };
        page.section(title, &join(&[said, counted]));
    }
    for (title, text) in &heading.sections {
        page.section(title, text);
    }
    let opening = format!("Keys of `[task]` in an experiment, beside `kind = \"{}\"`:", info.name);
    let swept =
        info.length_key.map_or(String::new(), |key| format!("`{key}` is the length that a sweep varies."));
    let keys = keys(&entry.defaults(), info.documentation);
    page.section(
        "Configuration",
        &join(&[if keys.is_empty() { String::new() } else { opening }, keys, swept]),
    );
    page.section("Errors", &errors);
    page.section("Source", &join(&source));
    page.section("Deviations", &deviations);
    page.text
}

/// The page of an architecture.
pub fn architecture(entry: &dyn AnyArchitecture) -> String {
    let info = entry.info();
    let mut page = Page::new(info.title, &format!("`{}`: {}", info.name, info.summary));
    let opening = format!("Keys of a `[[model]]` in an experiment, beside `kind = \"{}\"`:", info.name);
    let keys = keys(&entry.defaults(), "");
    page.section("Configuration", &join(&[if keys.is_empty() { String::new() } else { opening }, keys]));
    page.section("Source", &format!("{}.", info.citation.trim_end_matches('.')));
    page.section("Deviations", &list(info.deviations));
    page.text
}

/// The table of all tasks, each linked to `<name>.md` beside it.
pub fn index(tasks: &[&dyn AnyTask]) -> String {
    let mut lines = vec![
        "| task | what it separates | lag | chance at the defaults | source |".to_owned(),
        "| :--- | :--- | :--- | :--- | :--- |".to_owned(),
    ];
    for entry in tasks {
        let info = entry.info();
        let lag =
            Heading::read(info.documentation).take("Lag").map_or("—".into(), |lag| first_sentence(&lag));
        let chance = instance(*entry).and_then(|instance| instance.references().into_iter().next());
        let chance = chance.map_or("—".into(), |own| format!("{} {}", own.metric, short(own.value)));
        let cells = [info.separates.trim_end_matches('.'), &lag, &chance, info.citation].map(cell);
        lines.push(format!("| [{0}]({0}.md) | {1} |", info.name, cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

struct Page {
    text: String,
}

impl Page {
    fn new(title: &str, lead: &str) -> Self {
        Page { text: format!("# {title}\n\n{lead}\n") }
    }

    /// Nothing where there is nothing to say.
    fn section(&mut self, title: &str, text: &str) {
        if !text.is_empty() {
            self.text.push_str(&format!("\n## {title}\n\n{text}\n"));
        }
    }
}

/// Paragraphs, without the empty ones.
fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

fn list(sentences: &[&str]) -> String {
    if sentences.is_empty() {
        return "None.".to_owned();
    }
    sentences.iter().map(|sentence| format!("- {sentence}")).collect::<Vec<_>>().join("\n")
}

/// The task of its defaults. A task over a file of one's own has none.
fn instance(entry: &dyn AnyTask) -> Option<Instance> {
    entry.configure(&Value::table()).ok().map(|(instance, _)| instance)
}

fn metric(instance: &Instance) -> String {
    match (instance.metric(), instance.signature().output) {
        ("accuracy", OutputKind::Classes(_)) => {
            "`accuracy`: the share of scored steps whose likeliest class is the right one; higher is better."
                .into()
        }
        ("accuracy", OutputKind::Regression { tolerance, .. }) => format!(
            "`accuracy`: the share of scored steps whose values all lie within {tolerance} of the right ones; higher is \
             better. What is trained is the mean squared error."
        ),
        ("bits_per_byte", _) => {
            "`bits_per_byte`: what a byte costs under the model's distribution, in bits; lower is better."
                .into()
        }
        ("mse", _) => "`mse`: the mean squared error; lower is better.".into(),
        (other, _) => format!("`{other}`."),
    }
}

fn references(instance: &Instance) -> String {
    let rows: Vec<Vec<String>> = instance
        .references()
        .iter()
        .map(|own| vec![own.name.to_owned(), format!("`{}`", own.metric), short(own.value)])
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let at = match instance {
        Instance::Generated(_) => {
            format!("With the default configuration, at length {}:", instance.nominal_length())
        }
        Instance::Finite(_) => "With the default configuration, on the test split:".to_owned(),
    };
    format!("{at}\n\n{}", table(&["predictor without memory", "metric", "value"], &rows))
}

fn keys(defaults: &serde_json::Value, documentation: &str) -> String {
    let Some(defaults) = defaults.as_object().filter(|defaults| !defaults.is_empty()) else {
        return String::new();
    };
    let default = |value: &serde_json::Value| match value {
        // How a key without a default resolves; nobody writes it.
        serde_json::Value::Null => "none".to_owned(),
        value => format!("`{value}`"),
    };
    let said: Vec<String> =
        defaults.keys().map(|key| meaning(documentation, key).unwrap_or_default()).collect();
    let explained = said.iter().any(|said| !said.is_empty());
    let rows: Vec<Vec<String>> = defaults
        .iter()
        .zip(said)
        .map(|((key, value), said)| {
            let mut row = vec![format!("`{key}`"), default(value)];
            row.extend(explained.then_some(said));
            row
        })
        .collect();
    table(if explained { &["key", "default", "meaning"] } else { &["key", "default"] }, &rows)
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![format!("| {} |", head.join(" | ")), format!("|{}", " :--- |".repeat(head.len()))];
    for row in rows {
        let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
        lines.push(format!("| {} |", cells.join(" | ")));
    }
    lines.join("\n")
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Four digits, and no more of them than there are.
fn short(value: f64) -> String {
    format!("{value:.3e}").parse::<f64>().map_or_else(|_| value.to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seqbench_core::{Error, Result, Task, TaskInfo};
    use serde::{Deserialize, Serialize};

    struct Bare;

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        size: usize,
        path: Option<String>,
    }

    impl Task for Bare {
        type Config = Config;

        fn info(&self) -> &'static TaskInfo {
            &TaskInfo {
                name: "bare",
                title: "Bare",
                summary: "Say nothing.",
                separates: "Nothing.",
                citation: "Nobody",
                deviations: &["All of it."],
                length_key: Some("size"),
                documentation: "",
            }
        }

        fn build(&self, _: &Config) -> Result<Instance> {
            Err(Error::Invalid("`path` is missing".into()))
        }
    }

    #[test]
    fn a_task_that_says_little_and_has_no_default_instance_has_a_page() {
        let expected = "# Bare\n\nSay nothing.\n\n## What it separates\n\nNothing.\n\n## Configuration\n\n\
                        Keys of `[task]` in an experiment, beside `kind = \"bare\"`:\n\n\
                        | key | default |\n| :--- | :--- |\n| `path` | none |\n| `size` | `0` |\n\n\
                        `size` is the length that a sweep varies.\n\n## Source\n\nCitation: Nobody.\n\n\
                        ## Deviations\n\n- All of it.\n";
        assert_eq!(task(&Bare), expected);
        assert!(index(&[&Bare]).contains("| [bare](bare.md) | Nothing | — | — | Nobody |"));
    }

    #[test]
    fn numbers_are_short_and_bars_end_no_cell() {
        assert_eq!(short(0.5), "0.5");
        assert_eq!(short(2.079_441_541), "2.079");
        assert_eq!(short(0.078_4), "0.0784");
        assert_eq!(cell("1/|G|"), "1/\\|G\\|");
    }
}
