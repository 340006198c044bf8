//! One cell from its specification to its rows: train, score, probe.

use crate::data::Data;
use crate::evaluate::evaluate;
use crate::keep::{Keeper, TrainingProgress, Unfinished, Window};
use crate::metrics::{BITS, Tally, loss_name};
use crate::probe::{Probe, Probed};
use crate::run::Findings;
use crate::spec::{AccuracySpec, CellSpec, Rate, Stage};
use crate::train::{PartNorm, StepReport, Trainer};
use seqbench_core::config::Value;
use seqbench_core::{Error, Instance, Registry, Result, Split};
use seqbench_record::{ConditionRow, CurveRow, Reference, Status};
use std::time::Instant;

/// Runs an accuracy or gradient cell. `rate` is the learning rate where the specification selects one; `trial` keeps
/// the test stream untouched; `progress` is told (step, steps).
///
/// # Errors
/// The specification cannot be built. A run that diverges is a result.
pub fn run_cell(
    spec: &CellSpec,
    rate: Option<f64>,
    trial: bool,
    registry: &Registry,
    progress: &mut dyn FnMut(u64, u64, String),
) -> Result<Findings> {
    let found = run_kept_cell(spec, rate, trial, registry, "", &mut Keeper::none(), progress)?;
    found.ok_or_else(|| Error::invalid("it stopped, though nobody asked it to"))
}

/// As [`run_cell`], kept while it is unfinished, from where it goes on to the same bits; nothing where it was stopped. `run`
/// names the cell and its rate, so that no other run goes on from there.
///
/// A checkpoint that cannot be written is told, and the run goes on: what it finds may fit where a checkpoint does not.
///
/// # Errors
/// As [`run_cell`].
pub fn run_kept_cell(
    spec: &CellSpec,
    rate: Option<f64>,
    trial: bool,
    registry: &Registry,
    run: &str,
    keeper: &mut Keeper,
    progress: &mut dyn FnMut(u64, u64, String),
) -> Result<Option<Findings>> {
    let (instance, _) =
        registry.task(&spec.task.kind, &None)?.configure(&Value::from_json(&spec.task.config))?;
    Run::new(spec, rate, trial, registry, &instance)?.finish(run, keeper, progress)
}

struct Run<'a> {
    spec: &'a CellSpec,
    trial: bool,
    registry: &'a Registry,
    instance: &'a Instance,
    data: Data<'a>,
    trainer: Trainer,
    result: Findings,
}

impl<'a> Run<'a> {
    fn new(
        spec: &'a CellSpec,
        rate: Option<f64>,
        trial: bool,
        registry: &'a Registry,
        instance: &'a Instance,
    ) -> Result<Self> {
        let peak = match (&spec.train.lr, rate) {
            (_, Some(rate)) => rate,
            (Rate::Fixed(rate), None) => *rate,
            (Rate::Select { .. }, None) => {
                return Err(Error::invalid("the learning rate is yet to be selected"));
            }
        };
        let seed = spec.absolute_seed();
        let trainer = Trainer::new(
            &spec.model,
            &spec.train,
            peak,
            instance.signature(),
            instance.steps(),
            seed,
            registry,
        )?;
        let references = instance.references().into_iter().map(|reference| Reference {
            name: reference.name.to_owned(),
            metric: reference.metric.to_owned(),
            value: reference.value,
        });
        let mut result = Findings { references: references.collect(), ..Findings::default() };
        let data = Data::new(instance, seed);
        let (_, state) = trainer.evaluated().forward(&data.probe_batch(1).inputs, None, None)?;
        for (name, value) in [
            ("parameters", trainer.parameters().count() as f64),
            ("state_bytes", state.bytes() as f64),
            ("learning_rate", peak),
            ("steps", spec.train.steps as f64),
            ("primary_length", instance.nominal_length() as f64),
            ("sequence_steps", instance.steps() as f64),
        ] {
            result.facts.insert(name.into(), value);
        }
        Ok(Run { spec, trial, registry, instance, data, trainer, result })
    }

    fn finish(
        mut self,
        run: &str,
        keeper: &mut Keeper,
        progress: &mut dyn FnMut(u64, u64, String),
    ) -> Result<Option<Findings>> {
        let steps = self.spec.train.steps;
        let unfinished = keeper.load(run, &mut |what| progress(0, steps, what));
        let trained = match unfinished {
            Some(unfinished) => {
                let trained = unfinished.state.progress;
                self.result = unfinished.restore(&mut self.trainer)?;
                trained
            }
            None => {
                self.probe(Stage::Init, 0)?;
                TrainingProgress { next_point: 1, ..TrainingProgress::default() }
            }
        };
        let accuracy = self.spec.measure.accuracy.as_ref();
        if let Some(accuracy) = accuracy {
            self.result.facts.insert("solved_threshold".into(), accuracy.solved);
        }
        if (accuracy.is_some() || self.wants(|stage| stage != Stage::Init))
            && !self.train(accuracy, trained, (run, keeper), progress)?
        {
            return Ok(None);
        }
        if self.result.status == Status::Done {
            let taken = self.result.facts.get("steps_run").map_or(0, |steps| *steps as u64);
            self.probe(Stage::End, taken)?;
            if let (Some(accuracy), false) = (&self.spec.measure.accuracy, self.trial) {
                self.score_test(accuracy)?;
            }
        }
        Ok(Some(self.result))
    }

    fn wants(&self, which: impl Fn(Stage) -> bool) -> bool {
        self.spec.measure.gradients.iter().any(|spec| spec.at.iter().any(|stage| which(*stage)))
    }

    fn wants_signals(&self) -> bool {
        self.spec.measure.gradients.as_ref().is_some_and(|spec| spec.signals)
    }

    /// Probes, where the specification names this stage, which training reaches after `taken` steps.
    fn probe(&mut self, stage: Stage, taken: u64) -> Result<()> {
        let Some(gradients) = self.spec.measure.gradients.as_ref().filter(|spec| spec.at.contains(&stage))
        else {
            return Ok(());
        };
        let probe = Probe::new(
            &self.spec.model,
            self.trainer.parameters(),
            &self.data,
            self.instance.signature(),
            self.instance.steps(),
            self.registry,
            gradients,
        )?;
        let Probed { profiles, spectra, curves, traces } = probe.run(&stage.name(), taken)?;
        self.result.profiles.extend(profiles);
        self.result.spectra.extend(spectra);
        self.result.curves.extend(curves);
        self.result.traces.extend(traces);
        Ok(())
    }

    /// Trains to the end, from where an unfinished run stood; whether it came there, and was not told to stop before.
    fn train(
        &mut self,
        accuracy: Option<&AccuracySpec>,
        mut at: TrainingProgress,
        (run, keeper): (&str, &mut Keeper),
        progress: &mut dyn FnMut(u64, u64, String),
    ) -> Result<bool> {
        let steps = self.spec.train.steps;
        let points = accuracy.map_or(1, |accuracy| accuracy.curve_points).clamp(1, steps);
        for step in at.taken..steps {
            let batch = self.data.training_batch(step, &self.spec.train);
            let taken = step + 1;
            // Point i of n stands at ⌈i · steps / n⌉, so that the last one is the end.
            let at_point = taken >= (at.next_point * steps).div_ceil(points);
            let start = Instant::now();
            let (report, parts) = match at_point && self.wants_signals() {
                true => self.trainer.step_in_parts(&batch, step)?,
                false => (self.trainer.step(&batch, step)?, Vec::new()),
            };
            at.seconds += start.elapsed().as_secs_f64();
            self.result.facts.insert("steps_run".into(), taken as f64);
            if !report.is_finite() {
                let what = if report.loss.is_finite() { "gradient" } else { "loss" };
                self.result.status = Status::Diverged;
                self.result.reason = Some(format!("the {what} stopped being finite at step {taken}"));
                self.curve(taken, "train_loss", report.loss);
                break;
            }
            at.applied += 1;
            at.clipped += u64::from(report.norm_after < report.norm_before);
            at.window.add(&report);
            self.probe(Stage::Step(taken), taken)?;
            if at_point {
                at.next_point += 1;
                for PartNorm { part, before, after } in parts {
                    self.curve(taken, &format!("gradient_norm_before:{part}"), before);
                    self.curve(taken, &format!("gradient_norm_after:{part}"), after);
                }
                let loss = self.record(taken, &mut at.window, &report);
                let tally = accuracy.map(|accuracy| self.validate(accuracy)).transpose()?;
                let answered = tally.as_ref().filter(|_| self.instance.signature().output.has_accuracy());
                let score =
                    answered.map_or(String::new(), |tally| format!(", accuracy {:.3}", tally.accuracy()));
                progress(taken, steps, format!("loss {loss:.3}{score}"));
                if let (Some(accuracy), Some(tally)) = (accuracy, &tally) {
                    let stops = self.record_validation(taken, accuracy, tally);
                    // The point at which it is first solved is this one.
                    if self.result.facts.get("steps_to_solve") == Some(&(taken as f64)) {
                        self.condition("seconds_to_solve", at.seconds);
                    }
                    if stops {
                        break;
                    }
                }
            }
            at.taken = taken;
            if taken < steps && keeper.is_due() {
                // A full disk is no reason to lose the run; what it finds may fit.
                if let Err(error) = keeper.keep(&Unfinished::new(run, &self.trainer, at, &self.result)?) {
                    progress(taken, steps, error.to_string());
                }
                if keeper.stops() {
                    return Ok(false);
                }
            }
        }
        self.result.facts.insert("clipped_share".into(), at.clipped as f64 / at.applied.max(1) as f64);
        self.condition("training_seconds", at.seconds);
        Ok(true)
    }

    /// Records the means since the last point; returns that of the loss.
    fn record(&mut self, step: u64, window: &mut Window, report: &StepReport) -> f64 {
        let n = window.n.max(1) as f64;
        for (metric, value) in [
            ("train_loss", window.loss / n),
            ("gradient_norm_before", window.before / n),
            ("gradient_norm_after", window.after / n),
            ("learning_rate", report.rate),
        ] {
            self.curve(step, metric, value);
        }
        let loss = window.loss / n;
        *window = Window::default();
        loss
    }

    /// Whether the specification says to stop here.
    fn record_validation(&mut self, step: u64, accuracy: &AccuracySpec, tally: &Tally) -> bool {
        let output = self.instance.signature().output;
        if output.has_accuracy() {
            self.curve(step, "validation_accuracy", tally.accuracy());
        }
        let loss = format!("validation_{}", loss_name(output));
        self.curve(step, &loss, tally.loss());
        if self.instance.metric() == BITS {
            self.curve(step, &format!("validation_{BITS}"), tally.bits());
        }
        // What is neither right nor wrong is never solved.
        if !output.has_accuracy() {
            return false;
        }
        if tally.accuracy() >= accuracy.solved {
            self.result.facts.entry("steps_to_solve".into()).or_insert(step as f64);
        }
        self.spec.train.stop_at.is_some_and(|stop| tally.accuracy() >= stop)
    }

    fn validate(&self, accuracy: &AccuracySpec) -> Result<Tally> {
        let samples = accuracy.validation_samples;
        let length = self.instance.nominal_length();
        let batches = self.data.evaluation(Split::Validation, length, samples, Some(samples));
        evaluate(self.trainer.evaluated(), self.instance.signature().output, batches)
    }

    fn score_test(&mut self, accuracy: &AccuracySpec) -> Result<()> {
        let output = self.instance.signature().output;
        for length in self.data.evaluation_lengths() {
            let batches = self.data.evaluation(Split::Test, length, accuracy.test_samples, None);
            let tally = evaluate(self.trainer.evaluated(), output, batches)?;
            self.result.scores.extend(tally.rows("test", length, output, self.instance.metric()));
        }
        Ok(())
    }

    fn condition(&mut self, name: &str, value: f64) {
        self.result.conditions.push(ConditionRow { name: name.to_owned(), value });
    }

    fn curve(&mut self, step: u64, metric: &str, value: f64) {
        self.result.curves.push(CurveRow { step, metric: metric.to_owned(), value });
    }
}

impl Window {
    fn add(&mut self, report: &StepReport) {
        self.n += 1;
        self.loss += report.loss;
        self.before += report.norm_before;
        self.after += report.norm_after;
    }
}
