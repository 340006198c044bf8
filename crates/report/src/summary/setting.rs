//! What a row stands for: everything about a cell but its seed.

use seqbench_record::{CellFiles, Coordinate};
use serde::Serialize;
use serde_json::Value;

/// What the seeds of a row have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Setting {
    /// Name of the experiment.
    pub experiment: String,
    /// Registry name of the task; empty for none.
    pub task: String,
    /// Registry name of the architecture; decides the colour.
    pub architecture: String,
    /// What the legend calls it.
    pub model: String,
    /// The sweep coordinates.
    pub coordinates: Vec<Coordinate>,
    /// Identity of the group, so that two settings under the same labels never share a row. Empty where a row
    /// spans groups (reach, throughput).
    pub group: String,
}

impl Setting {
    /// The setting of a cell.
    pub fn of(files: &CellFiles) -> Self {
        let labels = &files.cell.labels;
        Self {
            experiment: files.cell.experiment.clone(),
            task: labels.task.clone(),
            architecture: labels.architecture.clone(),
            model: labels.model.clone(),
            coordinates: labels.coordinates.clone(),
            group: files.cell.group.clone(),
        }
    }

    /// The coordinate that a horizontal axis shows: the numeric one named `lag` (or `….lag`), else the first
    /// numeric one.
    pub fn sweep(&self) -> Option<(&str, f64)> {
        let mut numeric = self
            .coordinates
            .iter()
            .filter_map(|coordinate| Some((coordinate.key.as_str(), coordinate.number()?)));
        let first = numeric.clone().next();
        numeric.find(|(key, _)| last_word(key) == "lag").or(first)
    }

    /// The same without one coordinate and without the group: what the rows of a sweep have in common.
    pub fn without(&self, key: &str) -> Self {
        let coordinates =
            self.coordinates.iter().filter(|coordinate| coordinate.key != key).cloned().collect();
        Self { coordinates, group: String::new(), ..self.clone() }
    }

    /// The coordinates as text, such as `lag=30 order=mixed`; empty for none.
    pub fn coordinates_text(&self) -> String {
        let words: Vec<_> = self
            .coordinates
            .iter()
            .map(|coordinate| format!("{}={}", last_word(&coordinate.key), spelled(&coordinate.value)))
            .collect();
        words.join(" ")
    }
}

/// A configuration value as a person writes it: text without quotes, `norm 1.0` for `{"norm":1.0}`, all else as JSON.
pub fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let words: Vec<_> = members.iter().map(|(key, own)| format!("{key} {}", spelled(own))).collect();
            words.join(", ")
        }
        other => other.to_string(),
    }
}

/// `lag` of `task.lag`.
pub(crate) fn last_word(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Cells by setting, settings in the order of their first cell.
pub(crate) fn group<'a>(cells: impl Iterator<Item = &'a CellFiles>) -> Vec<(Setting, Vec<&'a CellFiles>)> {
    let mut groups: Vec<(Setting, Vec<&CellFiles>)> = Vec::new();
    for files in cells {
        let setting = Setting::of(files);
        match groups.iter_mut().find(|(known, _)| *known == setting) {
            Some((_, members)) => members.push(files),
            None => groups.push((setting, vec![files])),
        }
    }
    groups
}

/// One line a label that several settings share.
pub(crate) fn ambiguities(groups: &[(Setting, Vec<&CellFiles>)]) -> Vec<String> {
    let mut known: Vec<(Setting, usize)> = Vec::new();
    for (setting, _) in groups {
        let label = Setting { group: String::new(), ..setting.clone() };
        match known.iter_mut().find(|(other, _)| *other == label) {
            Some((_, count)) => *count += 1,
            None => known.push((label, 1)),
        }
    }
    let shared = known.into_iter().filter(|(_, count)| *count > 1);
    let line = |(label, count): (Setting, usize)| {
        let name = [label.task.clone(), label.model.clone(), label.coordinates_text()].join(" ");
        format!(
            "{count} settings of experiment {} share the label `{}`: they stand in rows of their own, but a \
             sweep over them mixes them",
            label.experiment,
            name.trim()
        )
    };
    shared.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::spelled;
    use serde_json::json;

    #[test]
    fn values_are_spelled_as_a_person_writes_them() {
        let all = [
            (json!("none"), "none"),
            (json!(30), "30"),
            (json!({ "norm": 1.0 }), "norm 1.0"),
            (json!({ "select": [0.001, 0.01], "trials": 2 }), "select [0.001,0.01], trials 2"),
        ];
        for (value, words) in all {
            assert_eq!(spelled(&value), words);
        }
    }
}
