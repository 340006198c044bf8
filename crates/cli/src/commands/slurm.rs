//! `seqbench slurm`: the scripts that run an experiment as a job array, one shard a task, and merge what came of it.

use crate::arguments::Slurm;
use crate::experiments::find;
use crate::failure::{Failure, Outcome};
use crate::terminal;
use anyhow::{Context, anyhow};
use seqbench_core::Registry;
use seqbench_harness::checkpoint::write_whole;
use seqbench_harness::plan::{self, Shard};
use seqbench_record::RealDisk;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes both scripts, and submits them where asked.
pub(crate) fn run(arguments: &Slurm, registry: &Registry) -> Outcome {
    let source = find(&arguments.experiment)?;
    // Whatever is wrong with it is said here, and not by each task.
    let experiment = plan::plan(&source.name, &source.path, &source.text, registry, &arguments.set)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let shards = arguments.shards as usize;
    let filled =
        Shard::all(shards).filter(|shard| !experiment.clone().shard(*shard).groups.is_empty()).count();
    if filled < shards {
        terminal::note(&format!("note: there are groups for {filled} of {shards} shards only"));
    }
    let folder = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&experiment.name));
    let folder = std::path::absolute(&folder).context("cannot tell where this is")?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let scripts = folder.join("slurm");
    std::fs::create_dir_all(&scripts).with_context(|| format!("cannot create {}", scripts.display()))?;
    // The tasks run this copy: what is edited meanwhile changes no task.
    let copy = scripts.join(format!("{}.toml", experiment.name));
    let script =
        Script { arguments, name: &experiment.name, program: &program, folder: &folder, copy: &copy };
    let (array, merge) = (scripts.join("array.sh"), scripts.join("merge.sh"));
    for (path, text) in [(&copy, source.text.clone()), (&array, script.array()), (&merge, script.merge())] {
        write_whole(&RealDisk, path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if !arguments.submit {
        terminal::print(&format!(
            "sbatch --parsable {}\nsbatch --dependency=afterany:JOB {}",
            quoted(&array.display().to_string()),
            quoted(&merge.display().to_string())
        ));
        return Ok(());
    }
    let job = submit(&[], &array)?;
    let merging = submit(&[format!("--dependency=afterany:{job}")], &merge)?;
    terminal::print(&format!("array {job}, merge {merging}, results in {}", folder.display()));
    Ok(())
}

struct Script<'a> {
    arguments: &'a Slurm,
    name: &'a str,
    program: &'a Path,
    folder: &'a Path,
    copy: &'a Path,
}

impl Script<'_> {
    /// One task a shard, each in a folder of its own: nothing depends on what a shared file system says of locks. The shell
    /// is replaced, because Slurm signals it alone; the number of shards stands in the script, because a part of the array
    /// that is submitted again counts as a smaller one.
    fn array(&self) -> String {
        let Slurm { shards, cores, minutes, set, .. } = self.arguments;
        let set: String = set.iter().map(|own| format!(" --set {}", quoted(own))).collect();
        let mut text = self.head("", &format!("{}/%a.log", self.folder.join("slurm").display()));
        text.push_str(&format!(
            "#SBATCH --array=0-{}\n#SBATCH --cpus-per-task={cores}\n#SBATCH --time={minutes}\n#SBATCH --requeue\n\
             #SBATCH --signal=B:TERM@60\n\nset -eu\n\
             exec {} --quiet run {} --shard env/{shards} --jobs {cores}{set} \\\n  --out {}/\"$SLURM_ARRAY_TASK_ID\"\n",
            shards - 1,
            self.program(),
            quoted(&self.copy.display().to_string()),
            quoted(&self.folder.join("shards").display().to_string()),
        ));
        text
    }

    /// Runs whatever became of the tasks: what is missing is counted from cells, because a task that has vanished may have
    /// ended with status 0.
    fn merge(&self) -> String {
        let mut text = self.head("-merge", &format!("{}/merge.log", self.folder.join("slurm").display()));
        text.push_str(&format!(
            "#SBATCH --cpus-per-task=1\n#SBATCH --time=60\n\nset -eu\nexec {} merge {}/* --output {}\n",
            self.program(),
            quoted(&self.folder.join("shards").display().to_string()),
            quoted(&self.folder.display().to_string()),
        ));
        text
    }

    fn head(&self, suffix: &str, log: &str) -> String {
        let Slurm { memory, sbatch, .. } = self.arguments;
        let more: String = sbatch.iter().map(|option| format!("#SBATCH {option}\n")).collect();
        format!(
            "#!/bin/bash\n#SBATCH --job-name=seqbench-{}{suffix}\n#SBATCH --output=\"{}\"\n#SBATCH --open-mode=append\n\
             #SBATCH --mem={memory}\n{more}",
            self.name, log
        )
    }

    fn program(&self) -> String {
        quoted(&self.program.display().to_string())
    }
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Submits a script and returns its job.
fn submit(options: &[String], script: &PathBuf) -> Result<String, Failure> {
    let output = Command::new("sbatch").arg("--parsable").args(options).arg(script).output();
    let output =
        output.context("cannot run sbatch; without --submit the scripts are written and nothing more")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::Environment(anyhow!("sbatch refused {}: {said}", script.display())));
    }
    // `job` or `job;cluster`.
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().split(';').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_a_shell_as_they_are() {
        assert_eq!(quoted("/a/b-1.toml"), "/a/b-1.toml");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$x"), "'$x'");
    }
}
