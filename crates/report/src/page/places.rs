//! Where every cell stands on the page, and which cells a row of a table is made of.

use crate::summary::{Setting, last_word, spelled, standing};
use crate::table::{Cell, Table, Value};
use seqbench_record::{CellFiles, Purpose, TimingRow};
use std::collections::BTreeSet;

/// A cell and its anchor.
pub(super) struct Place<'a> {
    pub(super) anchor: String,
    pub(super) files: &'a CellFiles,
}

/// The runs of one setting: final ones and the trials that chose their rate.
pub(super) struct Group<'a> {
    pub(super) anchor: String,
    pub(super) setting: Setting,
    pub(super) rows: Vec<Place<'a>>,
}

/// All cells of one model on one task.
pub(super) struct Block<'a> {
    pub(super) anchor: String,
    pub(super) experiment: String,
    pub(super) task: String,
    pub(super) model: String,
    pub(super) groups: Vec<Group<'a>>,
    /// Timed cells, each a setting of its own.
    pub(super) timings: Vec<Place<'a>>,
}

/// All cells of a chapter.
pub(super) struct Places<'a> {
    pub(super) blocks: Vec<Block<'a>>,
}

/// Where a link leads, and how many cells it stands for.
#[derive(Debug, PartialEq)]
pub(super) struct Target {
    pub(super) anchor: String,
    pub(super) model: String,
    pub(super) cells: usize,
}

impl<'a> Places<'a> {
    pub(super) fn of(chapter: &str, cells: &'a [CellFiles]) -> Self {
        let mut sorted: Vec<&CellFiles> = cells.iter().collect();
        sorted.sort_by(|a, b| standing(&a.cell, &b.cell));
        let mut taken = BTreeSet::new();
        let mut blocks: Vec<Block<'a>> = Vec::new();
        for files in sorted {
            let place = Place { anchor: cell_anchor(chapter, &files.cell.id, &mut taken), files };
            let setting = Setting::of(files);
            let at = blocks.iter().position(|block| block.holds(&setting)).unwrap_or_else(|| {
                let anchor = format!("{chapter}-m{}", blocks.len() + 1);
                blocks.push(Block::new(anchor, &setting));
                blocks.len() - 1
            });
            blocks[at].push(setting, place);
        }
        Self { blocks }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Place<'a>> {
        self.blocks.iter().flat_map(Block::all)
    }

    /// The cells a row of a table is made of: one target a model.
    pub(super) fn targets(&self, table: &Table, row: &[Cell]) -> Vec<Target> {
        self.wanted(&Wanted::of(table, row))
    }

    /// The cells of one model's entry in the study table.
    pub(super) fn entry(&self, table: &Table, row: &[Cell], model: &str) -> Option<Target> {
        let wanted = Wanted { models: vec![model.to_string()], ..Wanted::of(table, row) };
        self.wanted(&wanted).into_iter().next()
    }

    fn wanted(&self, wanted: &Wanted) -> Vec<Target> {
        self.blocks.iter().filter_map(|block| block.target(wanted)).collect()
    }
}

impl<'a> Block<'a> {
    fn new(anchor: String, setting: &Setting) -> Self {
        Self {
            anchor,
            experiment: setting.experiment.clone(),
            task: setting.task.clone(),
            model: setting.model.clone(),
            groups: Vec::new(),
            timings: Vec::new(),
        }
    }

    fn holds(&self, setting: &Setting) -> bool {
        (&self.experiment, &self.task, &self.model) == (&setting.experiment, &setting.task, &setting.model)
    }

    fn push(&mut self, setting: Setting, place: Place<'a>) {
        if place.files.cell.purpose == Purpose::Timing {
            self.timings.push(place);
            return;
        }
        match self.groups.iter_mut().find(|group| group.setting == setting) {
            Some(group) => group.rows.push(place),
            None => {
                let anchor = format!("{}-s{}", self.anchor, self.groups.len() + 1);
                self.groups.push(Group { anchor, setting, rows: vec![place] });
            }
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Place<'a>> {
        self.groups.iter().flat_map(|group| &group.rows).chain(&self.timings)
    }

    /// The nearest anchor around the cells wanted.
    fn target(&self, wanted: &Wanted) -> Option<Target> {
        let found: Vec<&Place<'_>> = self.all().filter(|place| wanted.holds(place.files)).collect();
        let of_group = |group: &&Group<'_>| {
            group.rows.iter().filter(|place| wanted.holds(place.files)).count() == found.len()
        };
        let anchor = match found[..] {
            [] => return None,
            [only] => &only.anchor,
            _ => self.groups.iter().find(of_group).map_or(&self.anchor, |group| &group.anchor),
        };
        Some(Target { anchor: anchor.clone(), model: self.model.clone(), cells: found.len() })
    }
}

/// What is known of the cells of a row.
struct Wanted {
    purposes: &'static [Purpose],
    experiment: Option<String>,
    task: Option<String>,
    models: Vec<String>,
    group: Option<String>,
    /// By whole key.
    coordinates: Vec<(String, String)>,
    /// By the last word of the key, as in `group=s3`.
    words: Vec<(String, String)>,
}

impl Wanted {
    fn of(table: &Table, row: &[Cell]) -> Self {
        let purposes: &[Purpose] = match table.name.as_str() {
            "throughput" | "efficiency" | "scaling" | "crossovers" | "memory" => &[Purpose::Timing],
            "selection" => &[Purpose::Trial],
            // What a model was given holds of its trials and its times as well.
            "fairness" => &[Purpose::Trial, Purpose::Final, Purpose::Timing],
            _ => &[Purpose::Final],
        };
        let mut wanted = Self {
            purposes,
            experiment: None,
            task: None,
            models: Vec::new(),
            group: None,
            coordinates: Vec::new(),
            words: Vec::new(),
        };
        for (column, cell) in table.columns.iter().zip(row) {
            for (field, value) in column.fields.iter().zip(&cell.values) {
                // The length of a crossing lies between those measured.
                let derived = table.name == "crossovers" && field == "length";
                if *value != Value::Missing && !derived {
                    wanted.learn(field, value.plain());
                }
            }
        }
        wanted
    }

    fn learn(&mut self, field: &str, value: String) {
        match field {
            "experiment" => self.experiment = Some(value),
            "task" => self.task = Some(value),
            "model" | "against" => self.models.push(value),
            "group" => self.group = Some(value),
            // `group=s3 order=mixed`: what sets a row of the study apart.
            "setting" => self.words.extend(
                value.split(' ').filter_map(|word| word.split_once('=')).map(|(k, v)| (k.into(), v.into())),
            ),
            _ => self.coordinates.push((field.to_string(), value)),
        }
    }

    fn holds(&self, files: &CellFiles) -> bool {
        let labels = &files.cell.labels;
        let is = |wanted: &Option<String>, own: &String| wanted.as_ref().is_none_or(|wanted| wanted == own);
        self.purposes.contains(&files.cell.purpose)
            && is(&self.experiment, &files.cell.experiment)
            && is(&self.task, &labels.task)
            && is(&self.group, &files.cell.group)
            && (self.models.is_empty() || self.models.contains(&labels.model))
            && self.times(files)
            && labels.coordinates.iter().all(|own| {
                let measured = !files.timings.is_empty() && MEASURED.contains(&own.key.as_str());
                let whole = self.coordinates.iter().filter(|(key, _)| *key == own.key && !measured);
                let short = self.words.iter().filter(|(key, _)| key == last_word(&own.key));
                whole.chain(short).all(|(_, value)| is_same(value, &spelled(&own.value)))
            })
    }

    /// Whether a timed cell has rounds of what is wanted. They say how many threads there were where its coordinate
    /// says `all`.
    fn times(&self, files: &CellFiles) -> bool {
        let is = |row: &TimingRow| {
            let own =
                [row.mode.clone(), row.length.to_string(), row.batch.to_string(), row.threads.to_string()];
            MEASURED.iter().zip(&own).all(|(name, own)| {
                self.coordinates.iter().filter(|(key, _)| key == name).all(|(_, value)| value == own)
            })
        };
        files.timings.is_empty() || files.timings.iter().any(is)
    }
}

/// Coordinates of a timed cell that its rounds carry themselves.
const MEASURED: [&str; 4] = ["mode", "length", "batch", "threads"];

/// `1` is `1.0`.
fn is_same(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

/// By the cell's own identity where that can stand in an address, so that others can point at it.
fn cell_anchor(chapter: &str, id: &str, taken: &mut BTreeSet<String>) -> String {
    let plain =
        !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let anchor = format!("{chapter}-c-{id}");
    let anchor =
        if plain && !taken.contains(&anchor) { anchor } else { format!("{chapter}-n{}", taken.len() + 1) };
    taken.insert(anchor.clone());
    anchor
}
