"""The gate before any time: from the same weights, on the same batch, all programs must lose the same.

Weights come from `seqbench model init --as-peers`, the batch from a fixed seed. AdamW everywhere with rate 1e-3 and
weight decay 0.01 of every parameter, as `--as-peers` and a peer's defaults have it: the same optimizer, not only the
same gradients.
"""

import csv
import os
import pathlib
import subprocess
import sys

import measure
import suites

STEPS = 20
# Single precision in another order of sums: the first loss has seen one forward pass, the last one twenty updates.
FIRST, EVERY = 1e-5, 1e-3
# A size that is timed, and one more step than any block of a kernel holds.
SIZES = {"dim": 128, "layers": 2, "vocab": 64}
BATCH, TIME = 32, 65
FORMS = {"ssm": (["ssm-fft", "ssm-loop"], ["ssm-fft", "ssm-assoc"])}


class Disagreement(Exception):
    """Programs that do not compute the same, or that say nothing."""


def write_batch(path):
    import numpy
    from safetensors.numpy import save_file

    random = numpy.random.default_rng(20)
    tokens = random.integers(SIZES["vocab"], size=(BATCH, TIME)).astype(numpy.uint32)
    targets = random.integers(SIZES["vocab"], size=BATCH).astype(numpy.uint32)
    save_file({"tokens": tokens, "targets": targets}, path)


def output(words, threads):
    done = subprocess.run(words, capture_output=True, text=True, env=measure.environment(threads))
    if done.returncode:
        raise Disagreement(f"`{' '.join(words[1:5])} …` failed: {done.stderr.strip()[-600:]}")
    return done.stdout


def losses_of(words, threads):
    lines = [line for line in output(words, threads).splitlines() if line.strip()]
    try:
        found = [float(line) for line in lines]
    except ValueError:
        raise Disagreement(f"`{' '.join(words[1:5])} …` printed no losses but `{lines[0][:100]}`") from None
    if len(found) != STEPS:
        raise Disagreement(f"`{' '.join(words[1:5])} …` printed {len(found)} losses, expected {STEPS}")
    return found


def compare(arch, name, want, got):
    """The largest relative differences: of the first step, of all."""
    differences = [abs(a - b) / abs(a) for a, b in zip(want, got)]
    for step, difference in enumerate(differences):
        allowed = FIRST if step == 0 else EVERY
        if not difference <= allowed:
            raise Disagreement(
                f"{arch}: the loss of step {step} is {want[step]:.7g} in seqbench and {got[step]:.7g} in {name}, "
                f"apart by {difference:.1e} where {allowed:.0e} is allowed. No time is measured of programs that "
                "compute different things."
            )
    return differences[0], max(differences)


def check_losses(binary, archs, threads, folder, say):
    """Writes losses.csv into `folder` and returns {arch: {program: (first, most)}}.

    Raises Disagreement at the first difference that is too large.
    """
    folder = pathlib.Path(folder)
    batch = folder / "batch.safetensors"
    write_batch(batch)
    sizes = [word for name, value in SIZES.items() for word in (f"--{name}", str(value))]
    summary, rows = {}, []
    try:
        for arch in archs:
            weights = folder / f"{arch}.safetensors"
            seqbench = measure.program(binary)
            output([*seqbench, "model", "init", arch, "--as-peers", *sizes, "--seed", "1", "-o", str(weights)], threads)
            files = ["--checkpoint", str(weights), "--input", str(batch), "--losses", str(STEPS)]
            want = losses_of([*seqbench, "bench", "--model", arch, "--as-peers", *sizes, *files], threads)
            rows += [(arch, "seqbench", step, loss) for step, loss in enumerate(want)]
            of_torch, of_jax = FORMS.get(arch, ([arch], [arch]))
            for framework, forms in (("torch", of_torch), ("jax", of_jax)):
                for form in forms:
                    peer = [sys.executable, str(measure.HERE / f"peers_{framework}.py"), "--arch", form]
                    got = losses_of([*peer, *sizes, *files, "--threads", str(threads)], threads)
                    name = framework if form == arch else f"{framework} {form}"
                    rows += [(arch, name, step, loss) for step, loss in enumerate(got)]
                    first, most = compare(arch, name, want, got)
                    summary.setdefault(arch, {})[name] = (first, most)
                    say(f"  losses of {arch}, {name}: apart by {first:.0e} at first, {most:.0e} at most")
            weights.unlink()
    finally:
        for leftover in [batch, *(folder / f"{arch}.safetensors" for arch in suites.ARCHS)]:
            leftover.unlink(missing_ok=True)
        with open(folder / "losses.new", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["arch", "program", "step", "loss"])
            writer.writerows(rows)
        os.replace(folder / "losses.new", folder / "losses.csv")
    return summary
