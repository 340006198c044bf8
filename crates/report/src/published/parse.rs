//! From TOML to [`Published`]: unknown keys are refused, and every error names file, line and remedy.

use super::{
    Certainty, Expected, OurMetric, Ours, Published, PublishedError, PublishedResult, Reported, Source,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;

/// Largest tolerance that still says something of a share.
const LARGEST_TOLERANCE: f64 = 0.25;

/// How far a printed percentage may lie from the share it is compared as: half a unit of its last usual digit.
const ROUNDING: f64 = 0.0005;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tolerance: Spanned<f64>,
    #[serde(default)]
    source: BTreeMap<String, Source>,
    #[serde(default)]
    result: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: Spanned<String>,
    source: Spanned<String>,
    at: String,
    task: String,
    model: String,
    metric: String,
    printed: Spanned<String>,
    value: Option<Spanned<f64>>,
    at_least: Option<Spanned<f64>>,
    at_most: Option<Spanned<f64>>,
    reported: Reported,
    setting: String,
    certainty: Certainty,
    checked: Spanned<String>,
    #[serde(default)]
    differences: Vec<String>,
    ours: Option<Spanned<Ours>>,
    why: Option<String>,
}

/// A place, what is wrong there, and the remedy.
type Fault = (Option<Range<usize>>, String, String);

/// Reads published numbers. `file` is what errors call the text.
///
/// # Errors
/// TOML that is none, a key that is unknown or missing, a tolerance or share out of range, a source that is not there, an
/// id that is taken, a number that says two things, or one with nothing to compare with.
pub fn parse(file: &str, text: &str) -> Result<Published, PublishedError> {
    read(text).map_err(|(span, message, help)| PublishedError::at(file, text, span, &message, &help))
}

fn read(text: &str) -> Result<Published, Fault> {
    let File { tolerance, source, result } = toml::from_str(text).map_err(syntax)?;
    if !(tolerance.get_ref() > &0.0 && tolerance.get_ref() <= &LARGEST_TOLERANCE) {
        let message = format!("a tolerance of {} is out of range", tolerance.get_ref());
        let help = format!("give a share above 0 and up to {LARGEST_TOLERANCE}, such as 0.05");
        return Err((Some(tolerance.span()), message, help));
    }
    let mut results: Vec<PublishedResult> = Vec::new();
    for entry in result {
        if results.iter().any(|known| known.id == *entry.id.get_ref()) {
            let message = format!("the id `{}` is taken", entry.id.get_ref());
            return Err((Some(entry.id.span()), message, "give every result an id of its own".into()));
        }
        if !source.contains_key(entry.source.get_ref()) {
            let message = format!("there is no source `{}`", entry.source.get_ref());
            let known: Vec<&str> = source.keys().map(String::as_str).collect();
            let help =
                format!("add [source.{}], or name one of {}", entry.source.get_ref(), known.join(", "));
            return Err((Some(entry.source.span()), message, help));
        }
        results.push(result_of(entry)?);
    }
    Ok(Published { tolerance: *tolerance.get_ref(), sources: source, results })
}

fn syntax(error: toml::de::Error) -> Fault {
    let message = error.message().replace('\n', " ");
    let help = if message.contains("unknown field") {
        "take the key out, or spell it as one of those expected"
    } else if message.contains("missing field") {
        "add the key to this table; the comment at the top of experiments/published.toml says what each holds"
    } else {
        "correct the line"
    };
    (error.span(), message, help.into())
}

fn result_of(entry: Entry) -> Result<PublishedResult, Fault> {
    let place = Some(entry.id.span());
    for (text, name) in [(&entry.printed, "printed"), (&entry.checked, "checked"), (&entry.id, "id")] {
        if text.get_ref().trim().is_empty() {
            let help = format!("say it: no number stands here without its `{name}`");
            return Err((Some(text.span()), format!("`{name}` is empty"), help));
        }
    }
    let expected = expected(&entry)?;
    match (&entry.ours, expected) {
        (Some(ours), None) => {
            let message = format!("`{}` has nothing to compare ours with", entry.id.get_ref());
            let help =
                "add `value`, or the bound its words state as `at_least` or `at_most`; or take `ours` out";
            return Err((Some(ours.span()), message, help.into()));
        }
        (Some(ours), _)
            if ours.get_ref().length.is_some() && ours.get_ref().metric != OurMetric::Accuracy =>
        {
            let message = "a length is of accuracy alone".to_string();
            let help = "take `length` out, or compare `metric = \"accuracy\"`";
            return Err((Some(ours.span()), message, help.into()));
        }
        (None, _) if entry.why.is_none() => {
            let message = format!("nothing of ours stands beside `{}`", entry.id.get_ref());
            return Err((place, message, "add `ours`, or say in `why` why there is none".into()));
        }
        _ => {}
    }
    Ok(PublishedResult {
        id: entry.id.into_inner(),
        source: entry.source.into_inner(),
        at: entry.at,
        task: entry.task,
        model: entry.model,
        metric: entry.metric,
        printed: entry.printed.into_inner(),
        expected,
        reported: entry.reported,
        setting: entry.setting,
        certainty: entry.certainty,
        checked: entry.checked.into_inner(),
        differences: entry.differences,
        ours: entry.ours.map(Spanned::into_inner),
        why: entry.why,
    })
}

fn expected(entry: &Entry) -> Result<Option<Expected>, Fault> {
    type Kind = fn(f64) -> Expected;
    let given: [(&Option<Spanned<f64>>, Kind); 3] = [
        (&entry.value, Expected::Value),
        (&entry.at_least, Expected::AtLeast),
        (&entry.at_most, Expected::AtMost),
    ];
    let mut stated = given.iter().filter_map(|(number, kind)| Some((number.as_ref()?, kind)));
    let Some((number, kind)) = stated.next() else { return Ok(None) };
    if let Some((second, _)) = stated.next() {
        let message = format!("`{}` states two numbers", entry.id.get_ref());
        let help = "keep one of `value`, `at_least` and `at_most`".to_string();
        return Err((Some(second.span()), message, help));
    }
    let share = *number.get_ref();
    if !(0.0..=1.0).contains(&share) {
        let message = format!("{share} is no share");
        let help = "give it as a share of 1: 24.2 % is 0.242".to_string();
        return Err((Some(number.span()), message, help));
    }
    if let Some(percent) = percent(entry.printed.get_ref())
        && matches!(kind(share), Expected::Value(_))
        && (percent / 100.0 - share).abs() > ROUNDING
    {
        let message = format!("{share} is not the `{}` that was printed", entry.printed.get_ref());
        return Err((Some(number.span()), message, "give both as the paper prints it".into()));
    }
    Ok(Some(kind(share)))
}

/// The number of `24.2 %`; none for other words.
fn percent(printed: &str) -> Option<f64> {
    printed.strip_suffix('%')?.trim().parse().ok()
}
