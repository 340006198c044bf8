//! Where and how a cell ran, without host name, user or path.

use crate::schema::Provenance;
use std::collections::BTreeMap;

/// Fills [`Provenance`]: version, revision, compiler and system from the build, the processor from the
/// machine, the rest as measured by the caller; claims are added by who writes the cell. `isa` is `portable`, `avx2` or `avx512`.
pub fn provenance(isa: &str, threads: u32, wall_seconds: f64) -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").into(),
        revision: env!("SEQBENCH_REVISION").into(),
        compiler: env!("SEQBENCH_COMPILER").into(),
        isa: isa.into(),
        threads,
        processor: processor(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        wall_seconds,
        claims: BTreeMap::new(),
    }
}

/// The first `model name` of `/proc/cpuinfo`, or `unknown`.
fn processor(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_the_first_model_name_or_unknown() {
        let text = "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD  EPYC 9B45 \nmodel name\t: other\n";
        assert_eq!(processor(text), "AMD EPYC 9B45");
        assert_eq!(processor("model name\t: \n"), "unknown");
        assert_eq!(processor(""), "unknown");
    }

    #[test]
    fn every_field_is_filled_and_none_is_a_path() {
        let made = provenance("avx2", 3, 1.5);
        assert_eq!((made.isa.as_str(), made.threads, made.wall_seconds), ("avx2", 3, 1.5));
        assert!(made.compiler.starts_with("rustc ") || made.compiler.starts_with("unknown "), "{made:?}");
        assert!(made.compiler.ends_with(" debug") || made.compiler.ends_with(" release"), "{made:?}");
        let revision = made.revision.trim_end_matches("-dirty");
        assert!(
            revision == "unknown" || (revision.len() == 12 && u64::from_str_radix(revision, 16).is_ok()),
            "{made:?}"
        );
        assert_eq!(made.system.split(' ').count(), 2);
        for text in [&made.version, &made.revision, &made.compiler, &made.processor, &made.system] {
            assert!(!text.is_empty() && !text.contains('/'), "{made:?}");
        }
    }
}
