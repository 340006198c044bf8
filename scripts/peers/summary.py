"""From rows to one line a cell: medians over rounds, ratios, share of peak, memory, exponents. Computes, and spells
nothing."""

import csv
import math
import statistics

import operations
import rows as table
import suites


def figures(rows):
    """{cell: {variant: {"ms": {round: ms}, "mb": [..], "less_mb": [..], "framework": .., "err": ..}}}, in the order of
    the rows."""
    found = {}
    for row in rows:
        variant = found.setdefault(table.cell_of(row), {}).setdefault(
            row["variant"], {"ms": {}, "mb": [], "less_mb": [], "framework": row["framework"], "err": ""}
        )
        if row["err"]:
            variant["err"] = row["err"]
            continue
        variant["ms"][row["round"]] = row["ms_median"]
        if row["peak_rss_mb"] is not None:
            variant["mb"].append(row["peak_rss_mb"])
            if row["base_rss_mb"] is not None:
                variant["less_mb"].append(row["peak_rss_mb"] - row["base_rss_mb"])
    return found


def median_of(values):
    values = list(values)
    return statistics.median(values) if values else None


def time_of(variant):
    """Median over rounds; None where any of them failed."""
    return None if variant["err"] else median_of(variant["ms"].values())


def ratio(slower, faster):
    """(ratio of medians, least, most of the ratios within a round); None where either has no time."""
    if slower is None or faster is None or time_of(slower) is None or time_of(faster) is None:
        return None
    paired = [slower["ms"][at] / faster["ms"][at] for at in slower["ms"] if at in faster["ms"]]
    middle = time_of(slower) / time_of(faster)
    return (middle, min(paired), max(paired)) if paired else (middle, middle, middle)


def summarise(rows, peak):
    """One dictionary for every cell and program of seqbench in it. `peak` is {threads: GFLOP/s or None}."""
    suite_of = {table.cell_of(row): row["suite"] for row in rows}
    lines = []
    for cell, programs in figures(rows).items():
        peers = {name: one for name, one in programs.items() if one["framework"] != "seqbench"}
        timed = {name: time_of(one) for name, one in peers.items() if time_of(one) is not None}
        best = min(timed, key=timed.get) if timed else None
        memory = [median_of(one["mb"]) for one in peers.values() if one["mb"] and not one["err"]]
        less = [median_of(one["less_mb"]) for one in peers.values() if one["less_mb"] and not one["err"]]
        count = operations.operations(cell.arch, cell.mode, cell.T, cell.batch, cell.dim, cell.layers, cell.vocab)
        for name, own in programs.items():
            if own["framework"] != "seqbench":
                continue
            ms = time_of(own)
            peak_here = peak.get(cell.threads * cell.processes)
            lines.append(
                {
                    "suite": suite_of[cell],
                    "cell": cell,
                    "program": name,
                    "ms": ms,
                    "ms_low": min(own["ms"].values(), default=None),
                    "ms_high": max(own["ms"].values(), default=None),
                    "err": own["err"],
                    "best_peer": best,
                    "best_ms": timed.get(best),
                    "to_best": ratio(peers.get(best), own),
                    "stock_ms": timed.get(suites.STOCK),
                    "to_stock": ratio(peers.get(suites.STOCK), own),
                    "share": operations.share_of_peak(count, ms, peak_here),
                    "mb": median_of(own["mb"]),
                    "least_peer_mb": min(memory, default=None),
                    "least_peer_less_mb": min(less, default=None),
                    "targets": suites.targets(cell, name),
                    "programs": {other: time_of(one) for other, one in programs.items()},
                    "memory": {other: median_of(one["mb"]) for other, one in programs.items()},
                    "errors": {other: one["err"] for other, one in programs.items() if one["err"]},
                    "rounds": len(own["ms"]),
                }
            )
    return lines


def exponents(rows, low=256, high=4096):
    """{(arch, program): exponent of time in T} of training, by least squares on log-log over at least three lengths."""
    points = {}
    for cell, programs in figures(rows).items():
        if cell.mode == "train" and low <= cell.T <= high and cell.processes == 1:
            for name, one in programs.items():
                if time_of(one) is not None:
                    shape = (cell.batch, cell.dim, cell.layers, cell.threads)
                    points.setdefault((cell.arch, name, shape), []).append((cell.T, time_of(one)))
    found = {}
    for (arch, name, _), values in points.items():
        if len(values) >= 3:
            found[arch, name] = slope([math.log(T) for T, _ in values], [math.log(ms) for _, ms in values])
    return found


def slope(xs, ys):
    x_mean, y_mean = statistics.fmean(xs), statistics.fmean(ys)
    above = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys))
    return above / sum((x - x_mean) ** 2 for x in xs)


def loss_differences(path):
    """{arch: the largest relative difference from seqbench over steps and peers} from losses.csv."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return {}
    own = {(row["arch"], row["step"]): float(row["loss"]) for row in rows if row["program"] == "seqbench"}
    found = {}
    for row in rows:
        want = own.get((row["arch"], row["step"]))
        if row["program"] != "seqbench" and want:
            found[row["arch"]] = max(found.get(row["arch"], 0.0), abs(float(row["loss"]) - want) / abs(want))
    return found


def write_csv(path, lines):
    """summary.csv: sizes, time of every program, ratios with their range over rounds, share, memory."""
    programs = list(dict.fromkeys(name for line in lines for name in line["programs"]))

    def spelled(value):
        return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)

    header = ["suite", *table.SIZES, "program", "rounds", *(f"ms_{name}" for name in programs), "best_peer"]
    for key in ("best_peer", "stock"):
        header += [f"ratio_to_{key}", f"ratio_to_{key}_low", f"ratio_to_{key}_high", f"target_to_{key}"]
    header += ["share_of_peak", "target_share", "peak_rss_mb", "least_peer_peak_rss_mb", "memory_ratio", "errors"]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for line in lines:
            best, stock, share = line["targets"]
            memory = line["mb"] / line["least_peer_mb"] if line["mb"] and line["least_peer_mb"] else None
            values = [line["suite"], *(getattr(line["cell"], name) for name in table.SIZES), line["program"]]
            values += [line["rounds"], *(line["programs"].get(name) for name in programs), line["best_peer"]]
            values += [*(line["to_best"] or [None] * 3), best, *(line["to_stock"] or [None] * 3), stock]
            values += [line["share"], share, line["mb"], line["least_peer_mb"], memory]
            values.append("; ".join(f"{name}: {err}" for name, err in line["errors"].items()))
            writer.writerow([spelled(value) for value in values])
