"""Runs the programs of a cell: one process at a time, in rounds that take every program once.

A process is pinned to as many processors as it has threads, on distinct cores as far as they go, so that no framework
has more than another whatever its own setting of threads means.
"""

import dataclasses
import os
import pathlib
import random
import statistics
import subprocess
import sys

import machine
import operations
import suites

HERE = pathlib.Path(__file__).resolve().parent
# What a first guess at a step's time assumes; afterwards the time is known.
GUESS_FLOPS = 20e9
GUESS_STEP_S = 20e-6


@dataclasses.dataclass
class Settings:
    """How long and how often. `budget` is seconds of timed steps a process, `least` and `most` bound their number."""

    binary: str
    outer: int = 5
    budget: float = 3.0
    least: int = 3
    most: int = 50
    timeout: float = 900.0
    seed: int = 0
    quick: bool = False
    compiled: bool = False
    seqbench: tuple = ()
    without: tuple = ()


def sizes(cell):
    names = {"length": cell.T, "batch": cell.batch, "dim": cell.dim, "layers": cell.layers, "vocab": cell.vocab}
    return [word for name, value in names.items() for word in (f"--{name}", str(value))]


def guess_ms(cell):
    count = operations.operations(cell.arch, cell.mode, cell.T, cell.batch, cell.dim, cell.layers, cell.vocab)
    steps = 1 if cell.mode == "decode" else cell.T
    return 1e3 * (count / (GUESS_FLOPS * cell.threads) + steps * GUESS_STEP_S)


def plan(settings, cell, ms):
    """Timed steps and steps before them. Processes that run side by side time long enough to overlap for most of it."""
    budget = settings.budget * (2 if cell.processes > 1 else 1) * 1e3
    most = settings.most if cell.processes == 1 else 100_000
    tokens = 16 if cell.mode == "decode" else 1
    rounds = max(1, min(most, int(budget / (ms * tokens))))
    if ms * settings.least < 3 * budget:
        rounds = max(rounds, settings.least)
    return rounds, 1 if ms > budget / 2 else 2


def command(settings, cell, variant, rounds, warmup):
    words = ["--mode", cell.mode, *sizes(cell), "--rounds", str(rounds), "--warmup", str(warmup)]
    words += ["--threads", str(cell.threads)]
    if variant.framework == "seqbench":
        return [*program(settings.binary), "bench", "--model", cell.arch, *words, "--as-peers", *variant.arguments]
    # A first guess may be far off; a peer stops by itself.
    words += ["--budget", str(4 * settings.budget)]
    return [sys.executable, str(HERE / variant.program), *variant.arguments, *words]


def program(binary):
    """How the binary is started: a Python file (the stub) by this Python."""
    return [sys.executable, binary] if str(binary).endswith(".py") else [binary]


def environment(threads):
    """The thread settings of every library, and none of an allocator that happens to be set."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NPROC", "PJRT_NPROC")
    return {**kept, **{name: str(threads) for name in names}, "PYTHONDONTWRITEBYTECODE": "1"}


def start(words, threads, cpus):
    def before():
        if cpus and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)
        try:
            # Where memory runs out, the measured process is the one to go.
            pathlib.Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        except OSError:
            pass

    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment(threads), preexec_fn=before)


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else ""


def finish(process, timeout):
    """(fields of the printed line, why there are none)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, f"no result within {timeout:.0f} s"
    if process.returncode:
        why = "killed, as where memory runs out" if process.returncode == -9 else f"exit code {process.returncode}"
        return None, f"{why}: {last_line(err)[:200]}".rstrip(": ")
    fields = last_line(out).split(",")
    try:
        median, least = float(fields[6]), float(fields[7])
        memory = [float(field) if field else None for field in fields[8:10]]
        done = int(fields[10]) if len(fields) > 10 else None
    except (IndexError, ValueError):
        return None, f"printed no line of nine columns but `{last_line(out)[:100]}`"
    if not (0 < least <= median < float("inf")):
        return None, f"printed times that cannot be: {median}, {least}"
    peak, base = (memory + [None])[:2]
    return {"ms_median": median, "ms_min": least, "peak_rss_mb": peak, "base_rss_mb": base, "done": done}, ""


def together(parts):
    """Processes side by side as one: the time a step takes where all count, and all their memory."""

    def joint(key):
        return 1 / sum(1 / part[key] for part in parts)

    def total(key):
        return None if any(part[key] is None for part in parts) else sum(part[key] for part in parts)

    return {
        "ms_median": joint("ms_median"),
        "ms_min": joint("ms_min"),
        "peak_rss_mb": total("peak_rss_mb"),
        "base_rss_mb": total("base_rss_mb"),
        "done": parts[0]["done"],
    }


def run_once(settings, cell, variant, ms):
    """One row's figures of one program in one round, or why there are none."""
    rounds, warmup = plan(settings, cell, ms)
    words = command(settings, cell, variant, rounds, warmup)
    cpus = machine.usable()

    def own(at):
        return {cpus[(at * cell.threads + offset) % len(cpus)] for offset in range(cell.threads)}

    processes = [start(words, cell.threads, own(at)) for at in range(cell.processes)]
    results = [finish(process, settings.timeout) for process in processes]
    figures = {"inner_rounds": rounds, "err": "; ".join(why for _, why in results if why)}
    if not figures["err"]:
        joint = together([fields for fields, _ in results])
        figures["inner_rounds"] = joint.pop("done") or rounds
        figures.update(joint)
    return figures


def run_cell(settings, cell, suite, revision, say):
    """All rows of a cell. A program that fails in a round is asked no more: its time would be of another kind."""
    wanted = suites.variants(cell, settings.quick, settings.compiled, settings.seqbench, settings.without)
    rows, known, failed = [], {}, set()
    for round_ in range(settings.outer):
        order = list(wanted)
        random.Random(f"{settings.seed} {cell} {round_}").shuffle(order)
        for place, variant in enumerate(order):
            if variant.name in failed:
                continue
            figures = {}
            needed, there = suites.predicted_mb(variant, cell), machine.available_mb()
            if needed > 0.9 * there:
                figures["err"] = f"skipped: keeps {needed:.0f} MB of scores, {there:.0f} MB are there"
            else:
                ms = statistics.median(known.get(variant.name, [guess_ms(cell)]))
                figures = run_once(settings, cell, variant, ms)
            if figures["err"]:
                failed.add(variant.name)
                say(f"    {variant.name}: {figures['err']}")
            else:
                # Side by side, every process still takes a step's own time.
                known.setdefault(variant.name, []).append(figures["ms_median"] * cell.processes)
            about = {"suite": suite, "framework": variant.framework, "variant": variant.name, "revision": revision}
            rows.append({**about, **dataclasses.asdict(cell), "round": round_, "order": place, **figures})
    return rows
