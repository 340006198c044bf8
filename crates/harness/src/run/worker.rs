//! The child's side: takes cells one after another, answers each, writes no file.

use super::protocol::{Encoded, Findings, Job, Progress, Reply, Request, TimedRound, receive, send};
use crate::spec::{CellSpec, Mode};
use seqbench_record::provenance;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::time::Instant;

/// What a worker can do. The harness's own is over its cells and benches; tests put a stand-in here.
pub trait Work {
    /// Runs a trial or a final cell; nothing where it was told to stop, and is kept as far as it came.
    ///
    /// # Errors
    /// Why it could not be run. A loss that stops being finite is no error but [`seqbench_record::Status::Diverged`].
    fn run(&self, job: &Job, progress: &mut dyn FnMut(Progress)) -> Result<Option<Findings>, String>;

    /// Prepares a timing cell for so many of its rounds: batches, an untimed run, warm-up.
    ///
    /// # Errors
    /// Why it could not be.
    fn prepare(&self, spec: &CellSpec, rounds: u32) -> Result<Box<dyn Timed + '_>, String>;

    /// Instruction set of the kernels: `portable`, `avx2` or `avx512`.
    fn isa(&self) -> String;

    /// What a fixed piece of arithmetic takes now, in nanoseconds: the pace of the processor before a round.
    fn pace(&self) -> u64 {
        pace()
    }
}

/// A timing cell that is ready.
pub trait Timed {
    /// One timed pass.
    ///
    /// # Errors
    /// Why there was none.
    fn round(&mut self, mode: Mode) -> Result<TimedRound, String>;

    /// What there is beside the rounds: facts and memory.
    ///
    /// # Errors
    /// Why there is none.
    fn finish(self: Box<Self>) -> Result<Findings, String>;
}

/// Makes this process end with its parent, so that a killed run leaves no worker behind. Where the system has no such
/// thing, a worker ends when it next finds its pipe closed.
pub fn end_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        // Refused, it is as if the system had no such thing.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}

/// Answers requests until [`Request::Exit`] or the end of the input.
///
/// # Errors
/// The parent is gone, or what it sent is no request.
pub fn serve(work: &dyn Work, input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<()> {
    let threads = rayon::current_num_threads() as u32;
    let mut timed: Option<(Box<dyn Timed + '_>, f64)> = None;
    while let Some(request) = receive::<Request>(input)? {
        let start = Instant::now();
        let reply = match request {
            Request::Exit => return Ok(()),
            Request::Run(job) => {
                let mut lost = None;
                let mut progress = |progress: Progress| {
                    if let Err(error) = send(output, &Reply::Progress(progress)) {
                        lost = Some(error);
                    }
                };
                let found = work.run(&job, &mut progress);
                if let Some(error) = lost {
                    return Err(error);
                }
                found.and_then(|found| match found {
                    Some(found) => {
                        encode(found, work, threads, start.elapsed().as_secs_f64()).map(Reply::Done)
                    }
                    None => Ok(Reply::Stopped),
                })
            }
            Request::Prepare(job, rounds) => {
                // The last one goes first: two at once would count in each other's memory.
                timed = None;
                work.prepare(&job.spec, rounds).map(|ready| {
                    timed = Some((ready, start.elapsed().as_secs_f64()));
                    Reply::Prepared
                })
            }
            Request::Round(mode) => match &mut timed {
                None => Err("a round was asked for before its cell".to_owned()),
                Some((ready, seconds)) => {
                    let pace_ns = work.pace();
                    let round = ready.round(mode).map(|round| TimedRound { pace_ns, ..round });
                    *seconds += start.elapsed().as_secs_f64();
                    round.map(Reply::Round)
                }
            },
            Request::Finish => match timed.take() {
                None => Err("an end was asked for before its cell".to_owned()),
                Some((ready, seconds)) => {
                    ready.finish().and_then(|found| encode(found, work, threads, seconds)).map(Reply::Done)
                }
            },
        };
        send(output, &reply.unwrap_or_else(Reply::Failed))?;
    }
    Ok(())
}

/// Nanoseconds of a fixed chain of dependent multiplications. The first of two turns wakes the processor up.
fn pace() -> u64 {
    const TURNS: u64 = 20_000;
    let mut took = 0;
    for _ in 0..2 {
        let start = Instant::now();
        let chain = (0..TURNS).fold(1u64, |x, turn| black_box(x).wrapping_mul(0x5851_f42d_4c95_7f2d) ^ turn);
        black_box(chain);
        took = start.elapsed().as_nanos() as u64;
    }
    took
}

fn encode(found: Findings, work: &dyn Work, threads: u32, seconds: f64) -> Result<Box<Encoded>, String> {
    found.encode(provenance(&work.isa(), threads, seconds)).map(Box::new)
}
