//! Dependencies point down only, and two crates stay free of candle: what `cargo metadata` says against what
//! ARCHITECTURE.md says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use support::{none, root};

/// What each of our packages may name in its manifest, of ours. Tests get no exception: `harness` is tested with toys.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("seqbench-core", &[]),
    ("seqbench-kernels", &[]),
    ("seqbench-record", &[]),
    ("seqbench-layers", &["seqbench-core", "seqbench-kernels"]),
    ("seqbench-models", &["seqbench-core", "seqbench-kernels", "seqbench-layers"]),
    ("seqbench-tasks", &["seqbench-core"]),
    ("seqbench-harness", &["seqbench-core", "seqbench-kernels", "seqbench-layers", "seqbench-record"]),
    ("seqbench-report", &["seqbench-record"]),
    (
        "seqbench",
        &[
            "seqbench-core",
            "seqbench-models",
            "seqbench-tasks",
            "seqbench-harness",
            "seqbench-report",
            "seqbench-record",
        ],
    ),
    ("own-architecture", &["seqbench", "seqbench-core", "seqbench-kernels", "seqbench-layers"]),
    ("xtask", &[]),
];

/// Crates that must not be reached, by whatever path, from a package: (package, beginning of the crates' names).
const UNREACHABLE: [(&str, &str); 9] = [
    ("seqbench-record", "candle"),
    ("seqbench-report", "candle"),
    ("seqbench-harness", "seqbench-models"),
    ("seqbench-harness", "seqbench-tasks"),
    ("seqbench-harness", "seqbench-report"),
    ("seqbench-harness", "clap"),
    ("seqbench-models", "seqbench-record"),
    ("seqbench-tasks", "seqbench-record"),
    ("xtask", "candle"),
];

/// Crates that must not stand in a manifest: (package, beginning of the crates' names).
const UNNAMED: [(&str, &str); 1] = [("seqbench-tasks", "candle")];

fn names(package: &Value) -> impl Iterator<Item = &str> {
    package["dependencies"].as_array().unwrap().iter().filter_map(|found| found["name"].as_str())
}

/// Dependencies of our packages on each other that are not allowed, and packages nobody has ruled on. Build and
/// development dependencies count like others.
fn upward(metadata: &Value) -> Vec<String> {
    let rules: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let packages = metadata["packages"].as_array().unwrap();
    let own = packages.iter().filter(|package| members.contains(package["id"].as_str().unwrap()));
    let own: BTreeMap<&str, &Value> =
        own.map(|package| (package["name"].as_str().unwrap(), package)).collect();
    let mut faults = Vec::new();
    for (name, package) in &own {
        let Some(allowed) = rules.get(name) else {
            faults.push(format!("{name}: its place in the house is not stated"));
            continue;
        };
        let wrong = names(package).filter(|other| own.contains_key(other) && !allowed.contains(other));
        faults.extend(wrong.map(|other| format!("{name} must not depend on {other}")));
        let unnamed = UNNAMED.iter().filter(|(of, _)| of == name);
        for (_, prefix) in unnamed {
            let wrong = names(package).filter(|other| other.starts_with(prefix));
            faults.extend(wrong.map(|other| format!("{name} must not name {other}")));
        }
    }
    faults
}

/// Crates that a package reaches although it must not; development dependencies do not count, they are in no program.
fn reached(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().unwrap();
    let name: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let edges: BTreeMap<&str, Vec<&str>> =
        nodes.iter().map(|node| (node["id"].as_str().unwrap(), normal_edges(node))).collect();
    let mut faults = Vec::new();
    for (package, prefix) in UNREACHABLE {
        let Some((start, _)) = name.iter().find(|(_, name)| **name == package) else { continue };
        let mut open = vec![(*start, package.to_owned())];
        let mut seen = BTreeSet::from([*start]);
        while let Some((id, path)) = open.pop() {
            for next in edges.get(id).into_iter().flatten() {
                let path = format!("{path} → {}", name[next]);
                if name[next].starts_with(prefix) {
                    faults.push(path);
                } else if seen.insert(next) {
                    open.push((next, path));
                }
            }
        }
    }
    faults
}

fn normal_edges(node: &Value) -> Vec<&str> {
    let counts =
        |edge: &&Value| edge["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev");
    node["deps"].as_array().unwrap().iter().filter(counts).filter_map(|edge| edge["pkg"].as_str()).collect()
}

fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let host = String::from_utf8(rustc).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Only this platform's crates are sure to be on the disk.
    let arguments = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn dependencies_point_down_only() {
    none(upward(&metadata()));
}

#[test]
fn record_and_report_build_without_candle_and_the_harness_without_what_it_measures() {
    none(reached(&metadata()));
}

/// A workspace of two packages, the first depending on the second as `kind` says.
fn toy(first: &str, second: &str, kind: Value) -> Value {
    serde_json::json!({
        "workspace_members": ["a", "b"],
        "packages": [
            { "id": "a", "name": first, "dependencies": [{ "name": second, "kind": kind }] },
            { "id": "b", "name": second, "dependencies": [] },
        ],
        "resolve": { "nodes": [
            { "id": "a", "deps": [{ "pkg": "b", "dep_kinds": [{ "kind": kind }] }] },
            { "id": "b", "deps": [] },
        ] },
    })
}

#[test]
fn a_dependency_that_points_up_is_found_in_tests_too() {
    for kind in [Value::Null, "dev".into()] {
        assert_eq!(upward(&toy("seqbench-harness", "seqbench-models", kind)).len(), 1);
    }
    assert_eq!(upward(&toy("seqbench-models", "seqbench-core", Value::Null)), [""; 0]);
    assert!(
        upward(&toy("seqbench-tasks", "candle-core", Value::Null))
            .contains(&"seqbench-tasks must not name candle-core".into())
    );
    assert_eq!(
        upward(&toy("newcomer", "seqbench-core", Value::Null)),
        ["newcomer: its place in the house is not stated"]
    );
}

#[test]
fn a_crate_that_is_reached_is_found_with_its_path() {
    assert_eq!(
        reached(&toy("seqbench-report", "candle-core", Value::Null)),
        ["seqbench-report → candle-core"]
    );
    assert_eq!(reached(&toy("seqbench-report", "candle-core", "dev".into())), [""; 0]);
}
