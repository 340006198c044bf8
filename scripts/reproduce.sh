#!/usr/bin/env bash
# Runs the reference experiments on this machine and compares what comes out with the committed results.
#
#   scripts/reproduce.sh                        all of them (hours; an interrupted run goes on where it was)
#   scripts/reproduce.sh --dry-run              how long each will take
#   scripts/reproduce.sh digits text            only these
#   scripts/reproduce.sh --out DIR --jobs N …   results there instead of reproduced/, so many cells at once
#
# Exit code 1 where something came out worse, or did not run to its end; scores that are the same bytes are said to be
# identical, which they are on the same instruction set. Times are those of another machine, and are compared all the same.
set -euo pipefail
cd "$(dirname "$0")/.."

out=reproduced
jobs=()
dry=
experiments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --out) out=${2:?--out needs a folder}; shift ;;
        --jobs) jobs=(--jobs "${2:?--jobs needs a number}"); shift ;;
        --dry-run) dry=1 ;;
        -h|--help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
        -*) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
        *) experiments+=("$1") ;;
    esac
    shift
done

cargo build --release --quiet
seqbench=target/release/seqbench
if [ ${#experiments[@]} -eq 0 ]; then
    for folder in results/*/*/cells; do
        experiments+=("$(basename "$(dirname "$(dirname "$folder")")")")
    done
fi

failed=()
for experiment in "${experiments[@]}"; do
    reference=$(find "results/$experiment" -mindepth 2 -maxdepth 2 -name cells 2>/dev/null | sort | head -n 1)
    if [ -z "$reference" ]; then
        echo "error: there are no committed results of $experiment (see results/)" >&2
        exit 2
    fi
    reference=$(dirname "$reference")
    if [ -n "$dry" ]; then
        echo "$experiment: $("$seqbench" run "$reference" --out "$out/$experiment" "${jobs[@]}" --dry-run 2>/dev/null | tail -n 1)"
        continue
    fi
    echo "== $experiment"
    # The committed folder says what was run; results go elsewhere.
    "$seqbench" run "$reference" --out "$out/$experiment" "${jobs[@]}" >/dev/null || failed+=("$experiment (run)")
    "$seqbench" compare "$reference" "$out/$experiment" --fail-on regression || failed+=("$experiment (compare)")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf 'not reproduced: %s\n' "${failed[@]}" >&2
    exit 1
fi
