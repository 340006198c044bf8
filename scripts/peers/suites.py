"""What is measured: cells, the suites they come in, the programs that run each, and the targets they are held to."""

import dataclasses
import itertools

ARCHS = ("rnn", "lstm", "transformer", "ssm")
LOOP_STEPS = 64  # the longest sequence that PyTorch's loop over time is asked for


@dataclasses.dataclass(frozen=True)
class Cell:
    """One model, size and mode: everything that is compared with one another."""

    arch: str
    mode: str
    T: int
    batch: int = 32
    dim: int = 128
    layers: int = 2
    vocab: int = 64
    threads: int = 2
    processes: int = 1

    def label(self):
        side = f", {self.processes} processes" if self.processes > 1 else ""
        return f"{self.arch} {self.mode} T={self.T} batch={self.batch} dim={self.dim}{side}"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One program in one setting. `name` is what rows and figures call it."""

    name: str
    framework: str
    program: str
    arguments: tuple = ()


def suite(name, threads, cores):
    """The cells of a suite. `threads` is what the person asked for; `small` runs single threads on every core."""

    def cells(archs, modes, lengths, **sizes):
        sizes = {"threads": threads, **sizes}
        return [Cell(arch, mode, T, **sizes) for mode, arch, T in itertools.product(modes, archs, lengths)]

    if name == "targets":
        return cells(ARCHS, ["train"], [64, 256, 1024, 4096])
    if name == "grid":
        shapes = itertools.product([64, 256], [8, 64])
        return [cell for dim, batch in shapes for cell in cells(ARCHS, ["train"], [256, 1024], dim=dim, batch=batch)]
    if name == "inference":
        return cells(ARCHS, ["forward"], [64, 256, 1024, 4096]) + cells(ARCHS, ["decode"], [64, 1024, 4096])
    if name == "small":
        alone = {"layers": 1, "threads": 1, "processes": cores}
        return [cell for dim in (32, 64) for cell in cells(ARCHS, ["train"], [50, 100, 200], dim=dim, **alone)]
    if name == "smoke":
        tiny = {"batch": 4, "dim": 16, "vocab": 8}
        train = cells(["lstm", "ssm"], ["train"], [16, 32], **tiny)
        return train + cells(["transformer"], ["forward"], [16], **tiny) + cells(["rnn"], ["decode"], [16], **tiny)
    raise ValueError(name)


SUITES = ("targets", "grid", "inference", "small", "smoke")


def variants(cell, quick=False, compiled=False, seqbench=(), without=()):
    """The programs that take part in a cell: each peer as a user gets it and with memory kept, and seqbench.

    `quick` leaves out the second allocator. `seqbench` are (name, arguments) of further rows of seqbench's own;
    programs named in `without` are left out.
    """
    ssm = cell.arch == "ssm"
    forms = [("torch", "torch", "ssm-fft" if ssm else cell.arch), ("jax", "jax", "ssm-fft" if ssm else cell.arch)]
    # Decoding is a recurrence whatever trained the model.
    if ssm and cell.mode != "decode" and not quick:
        forms.append(("jax-assoc", "jax", "ssm-assoc"))
    found = []
    for name, framework, arch in forms:
        for malloc in ("default",) if quick else ("default", "reuse"):
            found.append(
                Variant(f"{name}-{malloc}", framework, f"peers_{framework}.py", ("--arch", arch, "--malloc", malloc))
            )
    if ssm and cell.mode == "train" and cell.T <= LOOP_STEPS and not quick:
        found.append(Variant("torch-loop", "torch", "peers_torch.py", ("--arch", "ssm-loop", "--malloc", "reuse")))
    if compiled and cell.mode != "decode":
        arguments = ("--arch", forms[0][2], "--malloc", "reuse", "--compile")
        found.append(Variant("torch-compile", "torch", "peers_torch.py", arguments))
    found.append(Variant("seqbench", "seqbench", "seqbench"))
    found += [Variant(f"seqbench-{name}", "seqbench", "seqbench", tuple(words)) for name, words in seqbench]
    return [one for one in found if one.name not in without]


STOCK = "torch-default"


def predicted_mb(variant, cell):
    """Memory that a program is known to need beyond what the others do: XLA's attention on the CPU keeps scores
    [batch, heads, T, T] whole, measured at four of them a layer in training and three in a forward pass."""
    if cell.arch != "transformer" or variant.framework != "jax" or cell.mode == "decode":
        return 0
    scores = cell.batch * 4 * cell.T**2 * 4 / 2**20
    return scores * (4 * cell.layers if cell.mode == "train" else 3)


def targets(cell, name="seqbench"):
    """(against the best peer, against stock PyTorch, share of peak), each None where nothing is asked."""
    if cell.mode != "train" or cell.processes > 1 or cell.layers != 2 or cell.dim < 64:
        return None, None, None
    short = cell.T == 64
    if (cell.batch, cell.dim) != (32, 128):
        return 1.0, None, None  # nothing is tuned to one shape
    if name == "seqbench-folded":
        return {"lstm": (1.6, None if short else 3.8, None)}.get(cell.arch, (None, None, None))
    return {
        "rnn": (2.5 if short else 3.5, 5.0, 0.60),
        "lstm": (1.3, None if short else 3.0, 0.75),
        # Sixty per cent hold for the time in products alone, which cannot be told from outside.
        "ssm": (3.0 if short else 4.0, 5.0 if short else 6.0, None),
        "transformer": (2.0, 2.3, 0.60),
    }[cell.arch]
