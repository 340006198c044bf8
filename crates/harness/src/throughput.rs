//! Timed passes of one model at one length: training step, forward over a prompt, decoding of one token.
//!
//! Batches are made beforehand. Every timed pass must reproduce the outputs of an untimed one (in training, the loss of
//! the same step of an untimed twin), or its round is an error and no time; and so is every round of a mode that does not
//! compute what its plain formulation does.

use crate::decode::ModelDecoder;
use crate::gate;
use crate::memory;
use crate::metrics::loss_name;
use crate::model::{Model, ModelState};
use crate::plan::pass_cost;
use crate::run::TimedRound;
use crate::spec::{CellSpec, Mode, Rate, ThroughputSpec};
use crate::train::Trainer;
use seqbench_core::config::Value;
use seqbench_core::{
    Batch, Error, Evidence, InputData, InputKind, Inputs, OutputKind, Purpose, Registry, Result, Scored,
    Signature, Stream, Targets,
};
use seqbench_record::MemoryRow;
use std::collections::BTreeMap;
use std::time::Instant;

/// Tokens a round of decoding takes together; the reported time is that of one.
pub(crate) const DECODED: usize = 16;

/// Batches that training goes through again and again: memory must not grow with the rounds.
const BATCHES: usize = 8;

/// A rate no loss diverges under within the rounds.
const RATE: f64 = 1e-4;

/// One model at one length, ready to be timed.
pub struct Bench {
    spec: ThroughputSpec,
    signature: Signature,
    seed: u64,
    trainer: Trainer,
    /// Same parameters as the trainer's first, never updated.
    still: Trainer,
    batches: Vec<Batch>,
    tokens: Vec<Inputs>,
    context: Option<ModelState>,
    expected_losses: Vec<u64>,
    expected: BTreeMap<&'static str, String>,
    steps: usize,
    facts: BTreeMap<String, f64>,
    memory: Vec<MemoryRow>,
    /// Modes that do not compute what their plain formulation does, and how that showed.
    wrong: BTreeMap<&'static str, String>,
    /// The highest resident memory before the mark was last lowered, in bytes.
    highest: u64,
}

impl Bench {
    /// Builds the model, runs every mode untimed to know its outputs and its memory, and warms up.
    ///
    /// # Errors
    /// The cell measures no throughput, or a model or task cannot be built.
    pub fn prepare(cell: &CellSpec, registry: &Registry) -> Result<Self> {
        let spec = cell
            .measure
            .throughput
            .clone()
            .ok_or_else(|| Error::invalid("the cell measures no throughput"))?;
        let task = registry.task(&cell.task.kind, &None)?;
        let (instance, _) = task.configure(&Value::from_json(&cell.task.config))?;
        let signature = instance.signature();
        let seed = cell.absolute_seed();
        let peak = match cell.train.lr {
            Rate::Fixed(rate) => rate.min(RATE),
            Rate::Select { .. } => RATE,
        };
        let mut train = cell.train.clone();
        train.batch = spec.batch;
        let horizon = spec.length;
        let mut bench = Self::of(spec.clone(), signature, seed, || {
            Trainer::new(&cell.model, &train, peak, signature, horizon, seed, registry)
        })?;
        // What facts say of a pass is of the one that is timed.
        if let [mode] = spec.modes[..] {
            let cost = pass_cost(&cell.model, signature, mode, spec.length, spec.batch, registry)?;
            for (name, value) in [
                ("operations", cost.operations),
                ("traffic_bytes", cost.traffic_bytes),
                ("memory_bytes", cost.memory_bytes),
            ] {
                bench.facts.insert(name.into(), value);
            }
        }
        Ok(bench)
    }

    /// A bench of whatever `build` makes: the same trainer each time, down to its parameters' bits.
    ///
    /// # Errors
    /// The model cannot be built, or a pass failed.
    pub fn of(
        spec: ThroughputSpec,
        signature: Signature,
        seed: u64,
        build: impl Fn() -> Result<Trainer>,
    ) -> Result<Self> {
        let passes = (spec.warmup + spec.rounds) as usize;
        let batches: Vec<Batch> =
            (0..passes.min(BATCHES)).map(|i| random_batch(signature, &spec, seed, i as u64)).collect();
        let one = ThroughputSpec { length: 1, ..spec.clone() };
        let tokens =
            (0..DECODED).map(|i| random_batch(signature, &one, seed, (1 << 20) | i as u64).inputs).collect();
        let mut bench = Bench {
            trainer: build()?,
            still: build()?,
            signature,
            seed,
            batches,
            tokens,
            context: None,
            expected_losses: Vec::new(),
            expected: BTreeMap::new(),
            steps: 0,
            facts: BTreeMap::new(),
            memory: Vec::new(),
            wrong: BTreeMap::new(),
            highest: 0,
            spec,
        };
        bench.rehearse(build)?;
        Ok(bench)
    }

    fn rehearse(&mut self, build: impl Fn() -> Result<Trainer>) -> Result<()> {
        self.facts.insert("parameters".into(), self.still.parameters().count() as f64);
        let stretch = ThroughputSpec {
            length: self.spec.length.min(gate::STRETCH),
            batch: self.spec.batch.min(gate::ROWS),
            ..self.spec.clone()
        };
        let stretch = random_batch(self.signature, &stretch, self.seed, 1 << 21);
        for mode in self.spec.modes.clone() {
            if let Some(wrong) = gate::against_plain(mode, &stretch, &build)? {
                self.wrong.insert(mode.name(), wrong);
            }
            if mode == Mode::Decode {
                let (_, state) = self.still.evaluated().forward(&self.batches[0].inputs, None, None)?;
                self.facts.insert("state_bytes".into(), state.bytes() as f64 / self.spec.batch as f64);
                self.context = Some(state);
            }
            self.highest = self.highest.max(memory::peak_bytes().unwrap_or(0));
            // Without a mark to lower, what was needed so far is what the mode comes on top of.
            let baseline = if memory::reset_peak() { memory::resident_bytes() } else { Some(self.highest) };
            match mode {
                Mode::Train => {
                    let mut twin = build()?;
                    for step in 0..(self.spec.warmup + self.spec.rounds) as usize {
                        let batch = &self.batches[step % self.batches.len()];
                        self.expected_losses.push(twin.step(batch, step as u64)?.loss.to_bits());
                    }
                }
                Mode::Forward => {
                    for _ in 0..=self.spec.warmup {
                        let outputs = forward_pass(self.still.evaluated(), &self.batches[0])?;
                        self.expected.insert(mode.name(), checksum(&outputs));
                    }
                }
                Mode::Decode => {
                    for _ in 0..=self.spec.warmup {
                        let outputs = decode_pass(&mut self.decoder()?, &self.tokens)?.0;
                        self.expected.insert(mode.name(), checksum(&outputs));
                    }
                }
            }
            if let (Some(baseline_bytes), Some(peak_bytes)) = (baseline, memory::peak_bytes()) {
                self.memory.push(MemoryRow {
                    mode: mode.name().into(),
                    length: self.spec.length as u64,
                    batch: self.spec.batch as u64,
                    peak_bytes,
                    baseline_bytes,
                });
            }
        }
        if self.spec.modes.contains(&Mode::Train) {
            for _ in 0..self.spec.warmup {
                self.train_pass()?;
            }
        }
        Ok(())
    }

    /// One timed pass of a mode.
    ///
    /// # Errors
    /// A tensor operation failed.
    pub fn round(&mut self, mode: Mode) -> Result<TimedRound> {
        let round = self.pass(mode)?;
        // What was wrong from the beginning outranks what else may be.
        Ok(match self.wrong.get(mode.name()) {
            Some(wrong) => TimedRound { err: wrong.clone(), ..round },
            None => round,
        })
    }

    fn pass(&mut self, mode: Mode) -> Result<TimedRound> {
        match mode {
            Mode::Train => self.train_pass(),
            Mode::Forward => {
                let start = Instant::now();
                let outputs = forward_pass(self.still.evaluated(), &self.batches[0])?;
                let ns = start.elapsed().as_nanos() as u64;
                Ok(self.verified(mode, ns, &outputs))
            }
            Mode::Decode => {
                let (outputs, ns) = decode_pass(&mut self.decoder()?, &self.tokens)?;
                Ok(self.verified(mode, ns / DECODED as u64, &outputs))
            }
        }
    }

    /// Deterministic facts (`parameters`, `state_bytes` of one sequence, and of one pass `operations`, `traffic_bytes` and
    /// `memory_bytes` by formula) and memory.
    pub fn finish(self) -> (BTreeMap<String, f64>, Vec<MemoryRow>) {
        (self.facts, self.memory)
    }

    /// The highest resident memory this process ever had, in bytes, where the system tells: what others report of
    /// themselves, everything included.
    pub fn process_peak_bytes(&self) -> Option<u64> {
        memory::peak_bytes().map(|peak| peak.max(self.highest))
    }

    /// Parameters of the model.
    pub fn parameters(&self) -> usize {
        self.still.parameters().count()
    }

    /// Name of the loss of the timed training steps.
    pub fn loss_metric(&self) -> &'static str {
        loss_name(self.signature.output)
    }

    fn decoder(&self) -> Result<ModelDecoder<'_>> {
        let mut decoder = self.still.evaluated().decoder(self.spec.batch, self.spec.length + DECODED)?;
        if let Some(state) = &self.context {
            decoder.load(state)?;
        }
        Ok(decoder)
    }

    fn train_pass(&mut self) -> Result<TimedRound> {
        let at = self.steps % self.batches.len();
        let start = Instant::now();
        let report = self.trainer.step(&self.batches[at], self.steps as u64)?;
        let ns = start.elapsed().as_nanos() as u64;
        let bits = report.loss.to_bits();
        let err = match self.expected_losses.get(self.steps) {
            Some(expected) if *expected == bits => String::new(),
            Some(_) => format!("the loss of step {} differs from the untimed run's", self.steps),
            None => "more rounds than were rehearsed".into(),
        };
        self.steps += 1;
        Ok(TimedRound { ns, checksum: format!("{bits:016x}"), err, pace_ns: 0 })
    }

    fn verified(&self, mode: Mode, ns: u64, outputs: &[f32]) -> TimedRound {
        let checksum = checksum(outputs);
        let same = self.expected.get(mode.name()) == Some(&checksum);
        let err = if same { String::new() } else { "the outputs differ from the untimed run's".into() };
        TimedRound { ns, checksum, err, pace_ns: 0 }
    }
}

fn forward_pass(model: &Model, batch: &Batch) -> Result<Vec<f32>> {
    let (ys, _) = model.forward(&batch.inputs, None, None)?;
    Ok(model.read_out(&ys, &batch.scored_steps())?.flatten_all()?.to_vec1::<f32>()?)
}

fn decode_pass(decoder: &mut ModelDecoder<'_>, tokens: &[Inputs]) -> Result<(Vec<f32>, u64)> {
    let size = decoder.answers();
    let mut outputs = vec![0.0; tokens.len() * size];
    let start = Instant::now();
    for (token, outputs) in tokens.iter().zip(outputs.chunks_exact_mut(size)) {
        decoder.step_into(token, outputs)?;
    }
    let ns = start.elapsed().as_nanos() as u64;
    Ok((outputs, ns))
}

/// FNV-1a over the bits of the outputs.
fn checksum(outputs: &[f32]) -> String {
    let bytes = outputs.iter().flat_map(|value| value.to_bits().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Random inputs of a signature, with one random target at the last step.
fn random_batch(signature: Signature, spec: &ThroughputSpec, seed: u64, index: u64) -> Batch {
    let (batch, time) = (spec.batch, spec.length);
    let mut rng = Stream::new(seed, Purpose::Timing, index);
    let data = match signature.input {
        InputKind::Tokens(vocabulary) => {
            InputData::Tokens((0..batch * time).map(|_| rng.below(vocabulary) as u32).collect())
        }
        InputKind::Features(dim) => InputData::Features {
            dim,
            values: (0..batch * time * dim).map(|_| rng.normal() as f32).collect(),
        },
    };
    let targets = match signature.output {
        OutputKind::Classes(classes) => {
            Targets::Classes((0..batch * time).map(|_| rng.below(classes) as u32).collect())
        }
        OutputKind::Regression { dim, .. } => {
            Targets::Values { dim, values: (0..batch * time * dim).map(|_| rng.uniform() as f32).collect() }
        }
    };
    let last = time as u32 - 1;
    let scored = |row: usize| Scored {
        row: row as u32,
        step: last,
        lag: last,
        evidence: Evidence::Span(0..time as u32),
    };
    Batch {
        inputs: Inputs { batch, time, data },
        targets,
        loss_mask: (0..batch * time).map(|at| at % time == time - 1).collect(),
        scored: (0..batch).map(scored).collect(),
        lengths: vec![time; batch],
    }
}
