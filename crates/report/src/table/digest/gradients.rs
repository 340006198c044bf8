//! Gradients with one row a model and stage, what is differentiated by side by side: at the largest value of the
//! sweep, and at the lowest layer, whose gradient has come the whole way.

use super::distinct;
use crate::statistics::LEVEL;
use crate::summary::{EXPLODING_ABOVE, GradientProfile, Setting, Summary, VANISHING_BELOW};
use crate::table::{
    Align, Cell, Table, Value,
    build::{self, Show, column, number_value, word},
    gradients::{decades, seeds, verdict},
    number,
};

/// One model at one stage.
struct Row<'a> {
    setting: Setting,
    stage: &'a str,
    profiles: Vec<&'a GradientProfile>,
}

impl Row<'_> {
    fn of(&self, wrt: &str) -> Option<&GradientProfile> {
        self.profiles.iter().copied().find(|profile| profile.wrt == wrt)
    }
}

pub(super) fn table(summary: &Summary) -> Table {
    let place = |setting: &Setting| (setting.experiment.clone(), setting.task.clone());
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut chosen = Vec::new();
    for own in distinct(summary.profiles.iter().map(|profile| place(&profile.setting))) {
        let profiles: Vec<_> =
            summary.profiles.iter().filter(|profile| place(&profile.setting) == own).collect();
        let layer = profiles.iter().map(|profile| profile.layer).min().unwrap_or(0);
        let key = profiles.iter().find_map(|profile| profile.setting.sweep()).map(|(key, _)| key);
        let at = |profile: &GradientProfile| {
            profile.setting.sweep().filter(|(own, _)| Some(*own) == key).map(|(_, value)| value)
        };
        let largest = profiles.iter().filter_map(|profile| at(profile)).max_by(f64::total_cmp);
        let last = key.and_then(|key| key.rsplit('.').next()).unwrap_or_default();
        let sweep = largest.map(|value| format!("{last} {}, ", Value::Number(value).plain()));
        chosen.push(format!("{}layer {layer}", sweep.unwrap_or_default()));
        for profile in profiles.into_iter().filter(|profile| profile.layer == layer && at(profile) == largest)
        {
            // The group stays: settings under one label must not share a row.
            let Setting { group, .. } = profile.setting.clone();
            let setting = Setting { group, ..profile.setting.without(key.unwrap_or_default()) };
            let stage = profile.stage.as_str();
            match rows.iter_mut().find(|row| row.setting == setting && row.stage == stage) {
                Some(row) => row.profiles.push(profile),
                None => rows.push(Row { setting, stage, profiles: vec![profile] }),
            }
        }
    }

    let settings: Vec<&Setting> = rows.iter().map(|row| &row.setting).collect();
    let mut columns = build::setting_columns(&settings, |row: &Row<'_>| &row.setting);
    columns.push(column("stage", Align::Left, Show::Common, &["stage"], |row: &Row<'_>| word(row.stage)));
    columns.push(column("n", Align::Right, Show::Common, &["n"], |row: &Row<'_>| {
        build::integer(row.profiles.iter().map(|profile| seeds(profile)).min().unwrap_or(0))
    }));
    let variables = distinct(rows.iter().flat_map(|row| row.profiles.iter().map(|own| own.wrt.as_str())));
    for wrt in variables {
        let fields = ["decades_per_step", "decades_per_step_low", "decades_per_step_high"]
            .map(|field| format!("{wrt}_{field}"));
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let heading = format!("{wrt}: decades/step");
        columns.push(column(&heading, Align::Right, Show::Always, &fields, move |row: &Row<'_>| {
            match row.of(wrt).and_then(|profile| profile.decay.as_ref()) {
                Some(decay) => decades(&decay.decades_per_step),
                None => Cell { text: "–".into(), values: vec![Value::Missing; 3] },
            }
        }));
        let fields = ["verdict", "half_life_steps"].map(|field| format!("{wrt}_{field}"));
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        columns.push(column("(half-life)", Align::Left, Show::Always, &fields, move |row: &Row<'_>| {
            verdict_cell(row.of(wrt))
        }));
    }
    let mut title = format!("Gradient norm against distance{}", build::on_task(&settings));
    let mut notes = vec![
        format!(
            "Slope of a sample's log10 gradient norm ± half the {} % t interval over seeds; half-life in steps.",
            100.0 * LEVEL
        ),
        format!("Vanishing: gain per step below {VANISHING_BELOW}; exploding: above {EXPLODING_ABOVE}."),
    ];
    match &distinct(chosen.iter())[..] {
        [one] => title = format!("{title} at {one}"),
        _ => notes.push("At each task's largest value swept, and its lowest layer.".into()),
    }
    build::table("gradients", title, notes, &rows, columns)
}

/// `vanishing (4.13)`.
fn verdict_cell(profile: Option<&GradientProfile>) -> Cell {
    let Some(decay) = profile.and_then(|profile| profile.decay.as_ref()) else {
        return Cell { text: "–".into(), values: vec![Value::Missing; 2] };
    };
    let name = verdict(decay.verdict);
    let text = match decay.half_life_steps {
        Some(steps) => format!("{name} ({})", number::short(steps)),
        None => name.to_string(),
    };
    Cell { text, values: vec![Value::Text(name.into()), number_value(decay.half_life_steps)] }
}
