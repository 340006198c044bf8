//! Which cells a run is restricted to.

use crate::plan::Cell;
use seqbench_core::config::nearest;
use seqbench_record::{Purpose, canonical};

/// `key=value,value…`, or a bare word. A cell passes when every filter lets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    key: Option<String>,
    values: Vec<String>,
}

const KEYS: [&str; 6] = ["model", "architecture", "task", "purpose", "seed", "id"];

impl Filter {
    /// Reads a filter. Keys are `model`, `architecture`, `task`, `purpose` (`final`, `timing`), `seed`, `id`, or a
    /// sweep coordinate of these cells; a bare word is an architecture, a model's label, a task, a purpose or the
    /// beginning of an identity.
    ///
    /// # Errors
    /// No cell has such a key; the message names the nearest.
    pub fn parse<'a>(text: &str, cells: impl Iterator<Item = &'a Cell>) -> Result<Self, String> {
        let Some((key, values)) = text.split_once('=') else {
            return Ok(Filter { key: None, values: vec![text.trim().to_owned()] });
        };
        let key = key.trim();
        let mut known: Vec<String> = KEYS.map(str::to_owned).to_vec();
        for coordinate in cells.flat_map(|cell| &cell.labels.coordinates) {
            let last = last_word(&coordinate.key).to_owned();
            for name in [coordinate.key.clone(), last] {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
        }
        if !known.iter().any(|name| name == key) {
            let near = nearest(key, known.iter().map(String::as_str));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("unknown filter key `{key}`, expected one of {}{hint}", known.join(", ")));
        }
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        Ok(Filter { key: Some(key.to_owned()), values })
    }

    /// Whether a cell passes.
    pub fn lets(&self, cell: &Cell) -> bool {
        let is = |text: &str| self.values.iter().any(|value| value == text);
        let labels = &cell.labels;
        match self.key.as_deref() {
            None => {
                is(&labels.architecture)
                    || is(&labels.model)
                    || is(&labels.task)
                    || is(purpose(cell.purpose))
                    || self.values.iter().any(|value| value.len() >= 4 && cell.id.starts_with(value.as_str()))
            }
            Some("model") => is(&labels.model) || is(&labels.architecture),
            Some("architecture") => is(&labels.architecture),
            Some("task") => is(&labels.task),
            Some("purpose") => is(purpose(cell.purpose)),
            Some("seed") => is(&labels.seed.to_string()),
            Some("id") => self.values.iter().any(|value| cell.id.starts_with(value.as_str())),
            Some(key) => {
                let named =
                    labels.coordinates.iter().find(|own| own.key == key || last_word(&own.key) == key);
                named.is_some_and(|own| match own.value.as_str() {
                    Some(text) => is(text),
                    None => self.values.iter().any(|value| {
                        let parsed = serde_json::from_str::<serde_json::Value>(value).ok();
                        parsed.is_some_and(|parsed| canonical(&parsed) == canonical(&own.value))
                    }),
                })
            }
        }
    }
}

/// The word for a purpose.
pub(super) fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Trial => "trial",
        Purpose::Final => "final",
        Purpose::Timing => "timing",
    }
}

fn last_word(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
