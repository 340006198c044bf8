"""Figures of summary.csv's lines: time, ratio and memory against T, one panel an architecture, as SVG.

Every program has a colour (Okabe and Ito's, told apart with any colour vision), a marker and a line style of its own, so
that a figure survives a grey printer. Filled markers on full lines keep their memory, open ones on dashed lines use the
system's allocator.
"""

import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

import suites

BLACK, ORANGE, BLUE, GREEN, VERMILION, PURPLE = "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7"
# colour, marker, line style, filled, label
STYLES = {
    "seqbench": (BLACK, "o", "-", True, "seqbench"),
    "seqbench-folded": (BLACK, "P", "-.", False, "seqbench, folded embedding"),
    "torch-reuse": (VERMILION, "s", "-", True, "PyTorch, memory kept"),
    "torch-default": (VERMILION, "s", "--", False, "PyTorch, stock"),
    "torch-compile": (PURPLE, "*", "-.", True, "PyTorch, compiled, memory kept"),
    "torch-loop": (ORANGE, "x", ":", True, "PyTorch, loop over time"),
    "jax-reuse": (BLUE, "^", "-", True, "JAX, memory kept"),
    "jax-default": (BLUE, "^", "--", False, "JAX, stock"),
    "jax-assoc-reuse": (GREEN, "D", "-", True, "JAX, associative scan, memory kept"),
    "jax-assoc-default": (GREEN, "D", "--", False, "JAX, associative scan, stock"),
}
SPARE = (GREEN, "v", ":", False)
TITLES = {"rnn": "RNN", "lstm": "LSTM", "transformer": "Transformer", "ssm": "SSM"}
TIMES = {
    "train": "Time of a training step (ms)",
    "forward": "Time of a forward pass (ms)",
    "decode": "Time of a decoded token (ms)",
}
X_LABELS = {"train": "Sequence length T (steps)", "forward": "Prompt length T (steps)", "decode": "Context T (steps)"}
STYLE = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "seqbench",
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
}


def style(name):
    colour, marker, line, filled, label = STYLES.get(name, (*SPARE, name))
    face = colour if filled else "white"
    return {"color": colour, "marker": marker, "linestyle": line, "markerfacecolor": face, "label": label}


def plain(value, _=None):
    return f"{value:g}"


def log_axis(axis, low, high):
    """Decades, with ticks at 2, 3 and 5 where there are few of them; numbers as people write them."""
    few = high / low < 50
    axis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_minor_locator(NullLocator() if few else LogLocator(10, subs=range(2, 10)))
    axis.set_minor_formatter(NullFormatter())


def length_axis(ax, lengths):
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(sorted(lengths)))
    ax.xaxis.set_major_formatter(FuncFormatter(plain))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(min(lengths) / 1.5, max(lengths) * 1.5)


def panels(archs, height=2.5):
    figure, axes = plt.subplots(1, len(archs), figsize=(1.0 + 1.75 * len(archs), height), sharey=True, squeeze=False)
    for ax, arch in zip(axes[0], archs):
        ax.set_title(TITLES[arch])
        ax.grid(True, which="major", linewidth=0.3, color="0.85")
        ax.set_axisbelow(True)
    return figure, axes[0]


def finish(figure, path, handles, png, columns=4):
    """Legend below the panels, each program once; then the file, and its picture where one is wanted."""
    ordered = [handles[name] for name in STYLES if name in handles]
    ordered += [handle for name, handle in handles.items() if name not in STYLES]
    # Five stand in one row rather than four and one.
    columns = 5 if len(ordered) == 5 else min(columns, len(ordered))
    rows = -(-len(ordered) // columns)
    below = (0.16 * rows + 0.05) / figure.get_figheight()
    figure.tight_layout(rect=(0, below, 1, 1), w_pad=0.6)
    figure.legend(handles=ordered, loc="lower center", ncols=columns, handlelength=2.6, columnspacing=1.2)
    figure.savefig(path, metadata={"Date": None, "Creator": "seqbench scripts/peers"})
    if png:
        figure.savefig(path.with_suffix(".png"), dpi=150)
    plt.close(figure)


def archs_of(lines):
    return [arch for arch in suites.ARCHS if any(line["cell"].arch == arch for line in lines)]


def against_length(lines, key, label, path, png):
    """One quantity of every program against T."""
    archs = archs_of(lines)
    figure, axes = panels(archs)
    handles, values = {}, []
    for ax, arch in zip(axes, archs):
        own = [line for line in lines if line["cell"].arch == arch and line["program"] == "seqbench"]
        own.sort(key=lambda line: line["cell"].T)
        for name in dict.fromkeys(name for line in own for name in line[key]):
            points = [(line["cell"].T, line[key].get(name)) for line in own]
            points = [(T, value) for T, value in points if value and name not in failed(own, T)]
            if points:
                over = 3 if name == "seqbench" else 2
                handles[name] = ax.plot(*zip(*points), zorder=over, **style(name))[0]
                values += [value for _, value in points]
        length_axis(ax, {line["cell"].T for line in lines})
        ax.set_xlabel(X_LABELS[lines[0]["cell"].mode])
    axes[0].set_yscale("log")
    log_axis(axes[0].yaxis, min(values), max(values))
    axes[0].set_ylabel(label)
    finish(figure, path, handles, png)


def failed(lines, T):
    return {name for line in lines if line["cell"].T == T for name in line["errors"]}


RATIOS = {
    "to_best": (BLACK, "o", "-", True, "against the best peer", 0),
    "to_stock": (BLUE, "s", "--", False, "against stock PyTorch", 1),
}


def ratios(lines, path, png):
    """How many times faster seqbench is, with the range within rounds, and the targets as bars of their own."""
    archs = archs_of(lines)
    figure, axes = panels(archs)
    handles, values = {}, [1.0]
    for ax, arch in zip(axes, archs):
        own = [line for line in lines if line["cell"].arch == arch and line["program"] == "seqbench"]
        own.sort(key=lambda line: line["cell"].T)
        for key, (colour, marker, dash, filled, label, place) in RATIOS.items():
            points = [(line["cell"].T, *line[key]) for line in own if line[key]]
            asked = [(line["cell"].T, line["targets"][place]) for line in own if line["targets"][place]]
            if points:
                lengths, middle, low, high = zip(*points)
                face = colour if filled else "white"
                handles[key] = ax.plot(
                    lengths, middle, color=colour, marker=marker, linestyle=dash, markerfacecolor=face, label=label
                )[0]
                ax.vlines(lengths, low, high, color=colour, linewidth=0.7)
                values += [*low, *high]
            for T, target in asked:
                bar = ax.plot(
                    [T / 1.35, T * 1.35], [target] * 2, color=colour, linewidth=2.2, alpha=0.45,
                    linestyle="-" if filled else (0, (1, 0.6)), solid_capstyle="butt", label=f"target {label}", zorder=1,
                )  # fmt: skip
                handles["target " + key] = bar[0]
                values.append(target)
        ax.axhline(1, color="0.4", linewidth=0.8)
        length_axis(ax, {line["cell"].T for line in lines})
        ax.set_xlabel(X_LABELS[lines[0]["cell"].mode])
    axes[0].set_yscale("log")
    log_axis(axes[0].yaxis, min(values), max(values))
    axes[0].set_ylabel("Times faster than the peer (×)")
    finish(figure, path, handles, png)


def dots(lines, path, png):
    """Ratios at shapes that form no line: one row a shape, one panel an architecture."""
    archs = archs_of(lines)
    shapes = sorted({(line["cell"].dim, line["cell"].batch, line["cell"].T) for line in lines})
    figure, axes = panels(archs, height=1.1 + 0.2 * len(shapes))
    handles, values = {}, [1.0]
    for ax, arch in zip(axes, archs):
        for line in lines:
            cell = line["cell"]
            if cell.arch != arch or line["program"] != "seqbench":
                continue
            y = shapes.index((cell.dim, cell.batch, cell.T))
            for key, (colour, marker, _, filled, label, _) in RATIOS.items():
                if line[key]:
                    middle, low, high = line[key]
                    # Where stock PyTorch is the best peer, both marks stand at one place: one inside the other.
                    face, size = (colour, 3.5) if filled else ("none", 6)
                    off = y + (-0.1 if filled else 0.1)
                    ax.hlines(off, low, high, color=colour, linewidth=0.8, linestyle="-" if filled else (0, (2, 1)))
                    handles[key] = ax.plot(
                        middle, off, color=colour, marker=marker, markersize=size, linestyle="none",
                        markerfacecolor=face, label=label,
                    )[0]  # fmt: skip
                    values += [low, high]
        ax.axvline(1, color="0.4", linewidth=0.8)
        ax.set_xscale("log")
        ax.set_xlim(min(values) / 1.2, max(values) * 1.2)
        ax.set_xlabel("Times faster (×)")
    for ax in axes:
        ax.set_xlim(min(values) / 1.2, max(values) * 1.2)
        log_axis(ax.xaxis, min(values), max(values))
    axes[0].set_yticks(range(len(shapes)), [f"dim {dim}, batch {batch}, T {T}" for dim, batch, T in shapes])
    axes[0].set_ylim(len(shapes) - 0.5, -0.5)
    finish(figure, path, handles, png)


def draw(folder, lines, png=False):
    """All figures of all suites into `folder`; those of suites without a line stay as they are."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with plt.rc_context(STYLE):
        for suite in suites.SUITES:
            for mode in TIMES:
                chosen = [line for line in lines if line["suite"] == suite and line["cell"].mode == mode]
                chosen = [line for line in chosen if line["ms"] is not None]
                if not chosen:
                    continue
                one_shape = len({(line["cell"].dim, line["cell"].batch) for line in chosen}) == 1
                if not one_shape or len({line["cell"].T for line in chosen}) < 3:
                    made.append(folder / f"ratio-{suite}-{mode}.svg")
                    dots(chosen, made[-1], png)
                    continue
                made.append(folder / f"time-{suite}-{mode}.svg")
                against_length(chosen, "programs", TIMES[mode], made[-1], png)
                if any(line["mb"] for line in chosen):
                    made.append(folder / f"memory-{suite}-{mode}.svg")
                    against_length(chosen, "memory", "Peak resident memory (MB)", made[-1], png)
                made.append(folder / f"ratio-{suite}-{mode}.svg")
                ratios(chosen, made[-1], png)
    return made
