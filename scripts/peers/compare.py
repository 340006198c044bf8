#!/usr/bin/env python3
"""seqbench beside PyTorch and JAX: same models, same sizes, one after another in shuffled rounds.

Started by `run`, which makes the environment and builds seqbench. Checks that losses agree, measures what is missing,
and writes rows.csv, summary.csv, table.md, plots/*.svg, losses.csv and provenance.json.
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import subprocess
import sys
import time

import losses
import machine
import markdown
import measure
import operations
import rows as table
import suites
import summary

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse():
    parser = argparse.ArgumentParser(prog="scripts/peers/run", description=__doc__.split("\n")[0])
    parser.add_argument("--suite", nargs="+", default=["targets"], choices=suites.SUITES, help="what to measure")
    parser.add_argument("--out", type=pathlib.Path, help="results/peers/<machine> where absent")
    parser.add_argument("--only", action="append", default=[], metavar="KEY=VALUE", help="as arch=lstm or T=64")
    parser.add_argument("--threads", type=int, help="of every process; all cores where absent")
    parser.add_argument("--outer", type=int, help="rounds of processes; 5, in smoke 1")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds of timed steps a process")
    parser.add_argument("--compile", action="store_true", help="torch.compile as one more program")
    parser.add_argument(
        "--without", action="append", default=[], metavar="PROGRAM",
        help="a program to leave out, as torch-default: half the hours where nothing is asked of stock allocators",
    )  # fmt: skip
    parser.add_argument("--peak", type=float, metavar="GFLOPS", help="multiply-add peak of the threads, measured apart")
    parser.add_argument(
        "--seqbench-variant", action="append", default=[], metavar="NAME=WORDS",
        help="one more row of seqbench's own with further options, as `folded=--set fold=true`",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="measure again what is already there")
    parser.add_argument("--report", action="store_true", help="measure nothing: tables and plots of the rows there are")
    parser.add_argument("--png", action="store_true", help="pictures beside the SVG files")
    parser.add_argument("--binary", default=str(ROOT / "target" / "release" / "seqbench"), help="another seqbench")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def chosen(cells, only):
    """Cells that have all the values that were asked for; several of one key are alternatives."""
    wanted = {}
    for word in only:
        key, _, value = word.partition("=")
        if key not in table.SIZES or not value:
            sys.exit(f"--only {word}: expected KEY=VALUE, and one of {', '.join(table.SIZES)} as KEY")
        wanted.setdefault(key, set()).add(value)
    return [cell for cell in cells if all(str(getattr(cell, key)) in values for key, values in wanted.items())]


def is_done(rows, cell, names, outer):
    """Whether every program of a cell has all its rounds; a peer instead the row that says why it has not."""
    for name in names:
        own = [row for row in rows if row["variant"] == name and table.cell_of(row) == cell]
        timed = sum(1 for row in own if not row["err"])
        given_up = any(row["err"] and row["framework"] != "seqbench" for row in own)
        if timed < outer and not given_up:
            return False
    return True


def peak_of(options, counts):
    """{threads: GFLOP/s} from `seqbench bench --peak`, or what was given by hand, or None."""
    found = {}
    for count in sorted(counts):
        words = [*measure.program(options.binary), "bench", "--peak", "--threads", str(count)]
        done = subprocess.run(words, capture_output=True, text=True, env=measure.environment(count))
        try:
            found[count] = float(measure.last_line(done.stdout)) if done.returncode == 0 else options.peak
        except ValueError:
            found[count] = options.peak
    return found


def report(options, rows, facts):
    """Everything that is made from rows."""
    import plots

    peak = {int(count): value for count, value in facts.get("peak_gflops", {}).items()}
    lines = summary.summarise(rows, peak)
    summary.write_csv(options.out / "summary.csv", lines)
    differences = summary.loss_differences(options.out / "losses.csv")
    revisions = {row["revision"] for row in rows}
    markdown.write(options.out / "table.md", lines, summary.exponents(rows), revisions, facts, differences)
    return plots.draw(options.out / "plots", lines, options.png)


def gate(options, cells):
    """Ends the run where programs do not agree: no time is taken of a wrong result."""
    say("losses from the same weights:")
    archs = [arch for arch in suites.ARCHS if any(cell.arch == arch for cell in cells)]
    try:
        losses.check_losses(options.binary, archs, options.threads, options.out, say)
    except losses.Disagreement as error:
        sys.exit(f"error: {error}")


def revision_of(binary):
    """That of the repository for what was built from it; for any other binary its own digest."""
    path = pathlib.Path(binary).resolve()
    targets = ROOT / "target", pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
    if path.parent in [target / "release" for target in targets]:
        return machine.revision(ROOT)
    return "sha256-" + hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def run_missing(options, settings, work, rows):
    revision = revision_of(options.binary)
    for at, (suite, cell) in enumerate(work):
        say(f"[{at + 1}/{len(work)}] {cell.label()}")
        start = time.monotonic()
        own = dataclasses.replace(settings, quick=suite == "smoke", outer=outer_of(options, suite))
        rows = table.replace(rows, cell, measure.run_cell(own, cell, suite, revision, say))
        table.write(options.out / "rows.csv", rows)
        of_cell = summary.figures([row for row in rows if table.cell_of(row) == cell])[cell]
        times = {name: summary.time_of(one) for name, one in of_cell.items()}
        shown = ", ".join(f"{name} {markdown.number(ms)}" for name, ms in times.items() if ms is not None)
        say(f"    ms: {shown} ({time.monotonic() - start:.0f} s)")
    return rows


def outer_of(options, suite):
    return options.outer or (1 if suite == "smoke" else 5)


def extra_variants(words):
    found = []
    for word in words:
        name, _, rest = word.partition("=")
        if not name or not rest:
            sys.exit(f"--seqbench-variant {word}: expected NAME=WORDS")
        found.append((name, rest.split()))
    return tuple(found)


def main():
    operations.self_test()
    options = parse()
    options.threads = options.threads or machine.cores()
    options.out = options.out or ROOT / "results" / "peers" / machine.slug()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = table.read(options.out / "rows.csv")
    facts_path = options.out / "provenance.json"
    if options.report:
        made = report(options, rows, machine.read_provenance(facts_path))
        say(f"{options.out}: {len(made)} figures")
        return
    seqbench = extra_variants(options.seqbench_variant)
    cells = [(suite, cell) for suite in options.suite for cell in suites.suite(suite, options.threads, machine.cores())]
    known = {one.name for _, cell in cells for one in suites.variants(cell, False, True, seqbench)}
    for name in options.without:
        if name not in known or name == "seqbench":
            sys.exit(f"--without {name}: expected one of {', '.join(sorted(known - {'seqbench'}))}")
    kept = set(chosen([cell for _, cell in cells], options.only))
    cells = [(suite, cell) for suite, cell in cells if cell in kept]
    if not cells:
        sys.exit("no cell of these suites has what --only asks for")

    def names(suite, cell):
        programs = suites.variants(cell, suite == "smoke", options.compile, seqbench, options.without)
        return [one.name for one in programs]

    work = [
        (suite, cell)
        for suite, cell in cells
        if options.fresh or not is_done(rows, cell, names(suite, cell), outer_of(options, suite))
    ]
    say(f"{len(work)} of {len(cells)} cells to measure, into {options.out}")
    if work:
        gate(options, [cell for _, cell in work])
        counts = {row["threads"] * row["processes"] for row in rows}
        peak = peak_of(options, counts | {cell.threads * cell.processes for _, cell in work})
        machine.write_provenance(facts_path, machine.provenance(ROOT, revision_of(options.binary), options.threads, peak))
        settings = measure.Settings(
            options.binary,
            budget=options.budget,
            compiled=options.compile,
            seqbench=seqbench,
            without=tuple(options.without),
        )
        rows = run_missing(options, settings, work, rows)
    made = report(options, rows, machine.read_provenance(facts_path))
    say(f"{options.out / 'table.md'}, and {len(made)} figures")
    asked = {cell for _, cell in cells}
    failures = [row for row in rows if row["framework"] == "seqbench" and row["err"] and table.cell_of(row) in asked]
    if failures:
        sys.exit(f"error: seqbench gave no time in {len(failures)} rows, the first: {failures[0]['err']}")


if __name__ == "__main__":
    main()
