//! Puts the code revision, the compiler and the profile into the binary, for the provenance of every cell.

use std::{env, path::Path, process::Command};

fn main() {
    let root = Path::new("../..");
    let sources = ["crates", "Cargo.toml", "Cargo.lock"];
    let profile = env::var("PROFILE").unwrap_or_else(|_| "unknown".into());
    let mut revision = revision(root, &sources);
    println!("cargo::rerun-if-changed=build.rs");
    watch_git(root, "HEAD");
    if profile == "release" {
        // Results come from release builds, which follow every commit and every edit. A branch moves without
        // HEAD changing, so its file and the log of HEAD count as well.
        let branch = git(root, &["symbolic-ref", "-q", "HEAD"]);
        for name in ["logs/HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
            watch_git(root, name);
        }
        for source in sources {
            watch(&root.join(source));
        }
    } else if revision != "unknown" && !revision.ends_with("-dirty") {
        // Other builds follow neither, to save rebuilding all that depends on this crate at every commit: so
        // they do not claim to be clean.
        revision.push_str("-dirty");
    }
    println!("cargo::rustc-env=SEQBENCH_REVISION={revision}");
    println!("cargo::rustc-env=SEQBENCH_COMPILER={} {profile}", compiler());
}

fn watch_git(root: &Path, name: &str) {
    if let Some(path) = git(root, &["rev-parse", "--git-path", name]) {
        watch(&root.join(path));
    }
}

fn watch(path: &Path) {
    // Cargo takes a missing file for one that always changes.
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn revision(root: &Path, sources: &[&str]) -> String {
    let Some(revision) = git(root, &["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--"];
    status.extend(sources);
    match git(root, &status) {
        Some(changes) if changes.is_empty() => revision[..12.min(revision.len())].into(),
        _ => format!("{}-dirty", &revision[..12.min(revision.len())]),
    }
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let text = Command::new(rustc).arg("--version").output().ok().map(|run| run.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let words: Vec<_> = text.split_whitespace().take(2).collect();
    if words.len() == 2 { words.join(" ") } else { "unknown".into() }
}

/// What git says, trimmed; nothing where it fails, or is not there.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let run = Command::new("git").args(arguments).current_dir(root).output().ok()?;
    run.status.success().then(|| String::from_utf8_lossy(&run.stdout).trim().to_string())
}
