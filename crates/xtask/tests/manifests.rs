//! Versions, lints and forbidden functions are stated once, in the root.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{Document, documents, none, read};
use toml::{Table, Value};

fn parse(file: &Document) -> Table {
    file.text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

fn inherits(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")) == Some(&Value::Boolean(true))
}

/// What a member states although the root does, or does not inherit although it should.
fn stated_twice(member: &Document) -> Vec<String> {
    let manifest = parse(member);
    let mut faults = Vec::new();
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !inherits(manifest["package"].get(key)) {
            faults.push(format!("{}: `{key}` is not the workspace's", member.path));
        }
    }
    if !inherits(manifest.get("lints")) {
        faults.push(format!("{}: lints are not the workspace's", member.path));
    }
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let found = tables.iter().filter_map(|name| manifest.get(*name).and_then(Value::as_table));
    for (name, dependency) in found.flatten() {
        if !inherits(Some(dependency)) {
            faults.push(format!("{}: the version of `{name}` is not the workspace's", member.path));
        }
    }
    if manifest.contains_key("target") || manifest.contains_key("profile") {
        faults.push(format!("{}: profiles and platforms belong to the root", member.path));
    }
    faults
}

/// Entries of `clippy.toml` that do not say why.
fn unreasoned(clippy: &Table) -> Vec<String> {
    let lists = ["disallowed-methods", "disallowed-types", "disallowed-macros"];
    let entries = lists.iter().filter_map(|name| clippy.get(*name)).filter_map(Value::as_array).flatten();
    let silent = entries.filter(|entry| {
        let reason = entry.get("reason").and_then(Value::as_str);
        reason.is_none_or(|reason| reason.split_whitespace().count() < 3)
    });
    silent.map(|entry| format!("clippy.toml: {entry} has no reason")).collect()
}

/// Functions and types of candle without a usable backward, or without a seed, that nothing forbids.
fn unfenced(clippy: &Table) -> Vec<String> {
    const FENCED: [&str; 12] = [
        "candle_nn::ops::softmax_last_dim",
        "candle_nn::ops::layer_norm",
        "candle_nn::ops::rms_norm",
        "candle_nn::ops::sdpa",
        "candle_nn::rotary_emb::rope",
        "candle_core::Tensor::rand",
        "candle_core::Tensor::randn",
        "candle_core::Tensor::cumsum",
        "candle_nn::LayerNorm",
        "candle_nn::RmsNorm",
        "candle_nn::VarMap",
        "candle_nn::Dropout",
    ];
    let lists = ["disallowed-methods", "disallowed-types"];
    let entries = lists.iter().filter_map(|name| clippy.get(*name)).filter_map(Value::as_array).flatten();
    let paths: Vec<&str> = entries.filter_map(|entry| entry.get("path")?.as_str()).collect();
    let open = FENCED.iter().filter(|path| !paths.contains(path));
    open.map(|path| format!("clippy.toml: `{path}` is not disallowed")).collect()
}

#[test]
fn members_state_nothing_that_the_root_states() {
    let members = documents(|path| {
        path.ends_with("/Cargo.toml") && (path.starts_with("crates/") || path.starts_with("examples/"))
    });
    assert!(members.len() >= 10);
    none(members.iter().flat_map(stated_twice).collect());
}

#[test]
fn whatever_is_forbidden_has_a_reason_and_what_cuts_gradients_is_forbidden() {
    let clippy: Table = read("clippy.toml").parse().unwrap();
    none(unreasoned(&clippy));
    none(unfenced(&clippy));
}

const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
                    rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n\
                    [lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";

#[test]
fn a_version_a_missing_lint_table_and_a_profile_are_found() {
    let faults = |text: &str| stated_twice(&Document::new("a/Cargo.toml", text)).len();
    assert_eq!(faults(GOOD), 0);
    assert_eq!(faults(&GOOD.replace("serde.workspace = true", "serde = \"1\"")), 1);
    assert_eq!(faults(&GOOD.replace("edition.workspace = true", "edition = \"2024\"")), 1);
    assert_eq!(faults(&GOOD.replace("[lints]\nworkspace = true\n", "")), 1);
    assert_eq!(faults(&format!("{GOOD}[profile.dev]\nopt-level = 1\n")), 1);
}

#[test]
fn a_forbidden_function_without_a_reason_is_found() {
    let table = |text: &str| text.parse::<Table>().unwrap();
    assert_eq!(unreasoned(&table("disallowed-methods = [{ path = \"a::b\" }, \"c::d\"]")).len(), 2);
    assert_eq!(
        unreasoned(&table("disallowed-types = [{ path = \"a\", reason = \"it cuts gradients\" }]")),
        [""; 0]
    );
    assert_eq!(unfenced(&table("disallowed-types = [{ path = \"candle_nn::VarMap\" }]")).len(), 11);
}
