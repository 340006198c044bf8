"""table.md: the summary in words and numbers a person reads, with every target and whether it was met."""

import suites

MODES = {"train": "Training step", "forward": "Forward pass over a prompt", "decode": "One decoded token"}


def number(value, digits=3):
    """Significant digits, never an exponent."""
    if value is None:
        return "–"
    if value >= 10 ** (digits - 1):
        return f"{value:.0f}"
    text = f"{value:.{digits}g}"
    return f"{value:.{digits + 3}f}" if "e" in text else text


def ratio(triple):
    return "–" if triple is None else f"**{number(triple[0])}** ({number(triple[1])}–{number(triple[2])})"


def verdict(value, target, percent=False):
    if target is None:
        return ""
    asked = f"≥ {target:.0%}" if percent else f"≥ {target:g}"
    if value is None:
        return f"{asked}: not known"
    return f"{asked}: {'met' if value >= target else 'missed'}"


def verdicts(line):
    """(value, target) of everything that is asked of a line."""
    best, stock, share = line["targets"]
    middle = [triple[0] if triple else None for triple in (line["to_best"], line["to_stock"])]
    values, asked = [*middle, line["share"], memory_ratio(line)], [best, stock, share, memory_target(line)]
    return [pair for pair in zip(values, asked) if pair[1] is not None]


def memory_ratio(line):
    return line["least_peer_mb"] / line["mb"] if line["mb"] and line["least_peer_mb"] else None


def memory_target(line):
    """Below every peer, at the sizes the targets are stated for."""
    return 1.0 if line["suite"] == "targets" and line["program"] == "seqbench" else None


def grid(header, rows):
    left = {"arch", "program", "best peer", "fastest to slowest"}
    rule = [":---" if name in left else "---:" for name in header]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])


def varying(lines):
    """Sizes that differ between lines, which so need a column."""
    names = ("T", "batch", "dim")
    return [name for name in names if name == "T" or len({getattr(line["cell"], name) for line in lines}) > 1]


def sizes_of(lines):
    cell = lines[0]["cell"]
    fixed = [name for name in ("batch", "dim", "layers", "vocab", "threads") if name not in varying(lines)]
    words = [f"{name} {getattr(cell, name)}" for name in fixed]
    if cell.processes > 1:
        words.append(f"{cell.processes} processes at once")
    return ", ".join(words)


def section(lines):
    mode, side_by_side = lines[0]["cell"].mode, lines[0]["cell"].processes > 1
    own = len({line["program"] for line in lines}) > 1
    columns = varying(lines)
    header = ["arch", *columns, *(["program"] if own else []), "seqbench ms", "best peer", "its ms", "× best peer", "target"]
    header += ["stock PyTorch ms", "× stock", "target", "share of peak", "target"]
    header += ["MB", "target", "least peer's MB", "above start"]
    if side_by_side:
        header.insert(header.index("best peer"), "steps/s")
    rows = []
    for line in lines:
        cell, (best, stock, share) = line["cell"], line["targets"]
        to_best, to_stock = ((triple or [None])[0] for triple in (line["to_best"], line["to_stock"]))
        own_ms = "failed" if line["err"] else f"{number(line['ms'])} ({number(line['ms_low'])}–{number(line['ms_high'])})"
        row = [cell.arch, *(str(getattr(cell, name)) for name in columns)]
        row += [line["program"]] if own else []
        row.append(own_ms)
        if side_by_side:
            row.append(number(1e3 / line["ms"]) if line["ms"] else "–")
        row += [line["best_peer"] or "–", number(line["best_ms"]), ratio(line["to_best"]), verdict(to_best, best)]
        row += [number(line["stock_ms"]), ratio(line["to_stock"]), verdict(to_stock, stock)]
        row += ["–" if line["share"] is None else f"{line['share']:.0%}", verdict(line["share"], share, percent=True)]
        less = memory_target(line) and memory_ratio(line)
        row += [number(line["mb"]), "" if not less else f"below: {'met' if less > 1 else 'missed'}"]
        row += [number(line["least_peer_mb"]), number(line["least_peer_less_mb"])]
        rows.append(row)
    # A column nobody fills says nothing.
    kept = [at for at in range(len(header)) if any(row[at] not in ("", "–") for row in rows)]
    header, rows = [header[at] for at in kept], [[row[at] for at in kept] for row in rows]
    return f"## {MODES[mode]} ({lines[0]['suite']})\n\n{sizes_of(lines)}.\n\n{grid(header, rows)}\n"


def everything(lines):
    """Times of all programs, in the same order of cells."""
    lines = [line for line in lines if line["program"] == "seqbench"]
    columns = varying(lines)
    programs = list(dict.fromkeys(name for line in lines for name in line["programs"]))
    programs.sort(key=lambda name: (name.startswith("seqbench"), name))
    rows = []
    for line in lines:
        times = ["failed" if name in line["errors"] else number(line["programs"].get(name)) for name in programs]
        rows.append([line["cell"].arch, *(str(getattr(line["cell"], name)) for name in columns), *times])
    return f"Milliseconds of every program:\n\n{grid(['arch', *columns, *programs], rows)}\n"


def growth(found):
    """Exponents of time in T, seqbench first."""
    if not any(name.startswith("seqbench") for _, name in found):
        return ""
    programs = list(dict.fromkeys(name for _, name in found))
    programs.sort(key=lambda name: (not name.startswith("seqbench"), name))
    rows = []
    for arch in suites.ARCHS:
        own = found.get((arch, "seqbench"))
        if own is None:
            continue
        asked = "" if arch == "transformer" else f"≤ 1.05: {'met' if own <= 1.05 else 'missed'}"
        values = [f"{found[arch, name]:.2f}" if (arch, name) in found else "–" for name in programs]
        rows.append([arch, values[0], asked, *values[1:]])
    header = ["arch", programs[0], "target", *programs[1:]]
    text = "Exponent of the time of a training step in T, least squares on log–log from T = 256 to 4096."
    return f"## Growth\n\n{text}\n\n{grid(header, rows)}\n"


def notes(lines, revisions, facts, differences):
    text = ["## How to read this", ""]
    text.append(
        "Times are medians over outer rounds of each process's own median, least and most over rounds in parentheses. "
        "A ratio (×) is the peer's median over seqbench's; in parentheses the least and the most within one round, in "
        "which all programs ran one after another. *best peer* is the fastest of all peers in that row, *stock "
        "PyTorch* is PyTorch with the system's allocator. *share of peak* is the model's own operations "
        "(`operations.py`) over the measured multiply-add peak of the same threads. *MB* is the highest resident memory "
        "of the process, *least peer's MB* that of the most frugal peer, *above start* that of a peer less what was "
        "resident once its libraries were loaded."
    )
    if differences:
        most = ", ".join(f"{arch} {value:.0e}" for arch, value in differences.items())
        text.append(f"\nLosses over 20 steps of AdamW from the same weights differ from seqbench's by at most: {most}.")
    failed = {(line["cell"].label(), name, err) for line in lines for name, err in line["errors"].items()}
    for label, name, err in sorted(failed):
        text.append(f"\nNo time: {name} in {label}: {err}.")
    if len(revisions) > 1:
        text.append(f"\n**Rows of several revisions stand side by side: {', '.join(sorted(revisions))}.**")
    made = ("seqbench", "rustc", "torch", "jax", "python", "processor", "instruction_set")
    text.append("\nMade with " + ", ".join(f"{name} {facts[name]}" for name in made if facts.get(name)) + ".")
    return "\n".join(text) + "\n"


def write(path, lines, found, revisions, facts, differences):
    asked = [pair for line in lines for pair in verdicts(line)]
    parts = ["# seqbench beside PyTorch and JAX\n"]
    if asked:
        met = sum(1 for value, target in asked if value is not None and value >= target)
        unknown = sum(1 for value, _ in asked if value is None)
        rest = f", {unknown} not known" if unknown else ""
        parts.append(f"Of {len(asked)} targets of speed, share of peak and memory {met} are met{rest}.\n")
    for suite in suites.SUITES:
        for mode in MODES:
            chosen = [line for line in lines if line["suite"] == suite and line["cell"].mode == mode]
            chosen.sort(key=lambda line: order(line["cell"]))
            if chosen:
                parts += [section(chosen), everything(chosen)]
    parts += [growth(found), notes(lines, revisions, facts, differences)]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(part for part in parts if part))


def order(cell):
    return suites.ARCHS.index(cell.arch), cell.dim, cell.batch, cell.T
