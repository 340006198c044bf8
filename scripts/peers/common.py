"""What the PyTorch and the JAX program share: arguments, input, positions, timing, memory, and the line they print.

The model, the same in both and in `seqbench bench --as-peers`:

    tokens [batch, T] -> embedding [batch, T, dim] -> layers -> last step -> linear [batch, vocab] -> cross-entropy

    rnn, lstm    bare layers: no norm, no residual path
    transformer  pre-norm blocks (4 heads, MLP of 4 dim, exact GELU), sinusoidal positions, final layer norm
    ssm          x + W_out gelu(Re(c h) + D u), u = W_in norm(x), h_t = lambda h_(t-1) + b u_t, one complex state a
                 channel, lambda = exp(-exp(nu) + i theta), b = sqrt(1 - |lambda|^2); final layer norm

Imports neither framework, so that both may be started with another allocator before they are loaded.
"""

import argparse
import os
import resource
import sys
import time

HEADS = 4
# AdamW as both frameworks set it up; the moments' settings are the default of either.
RATE = 1e-3
EPSILON = 1e-5
# Tokens a round of decoding takes one after another; the reported time is that of one.
DECODED = 16

# glibc gives every large buffer back to the kernel, whose pages then fault again at the next step. These keep them.
REUSE = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 33),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 28),
}


def restart_with_malloc():
    """glibc reads its settings at start-up, so `--malloc reuse` sets them and starts the program once more. To be
    called before a framework is imported: what was resident before would count as this process's peak."""
    words = sys.argv
    asked = "reuse" in [words[at + 1] for at, word in enumerate(words[:-1]) if word == "--malloc"]
    if (asked or "--malloc=reuse" in words) and any(os.environ.get(key) != value for key, value in REUSE.items()):
        os.execve(sys.executable, [sys.executable, *words], {**os.environ, **REUSE})


def arguments(doc, archs, extra=lambda parser: None):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", required=True, choices=archs)
    parser.add_argument("--mode", default="train", choices=["train", "forward", "decode"])
    parser.add_argument("--length", type=int, default=256, help="steps of the sequence; of the context in decode")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--vocab", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10, help="timed steps")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--budget", type=float, default=float("inf"), help="stop after so many seconds of timed steps")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--malloc", default="default", choices=["default", "reuse"])
    parser.add_argument("--checkpoint", help="safetensors written by `seqbench model init --as-peers`")
    parser.add_argument("--input", help="safetensors with `tokens` [batch, T] and `targets` [batch]")
    parser.add_argument("--losses", type=int, help="print the losses of so many steps instead of a time")
    parser.add_argument("--weight-decay", type=float, default=0.01, help="of every parameter")
    extra(parser)
    return parser.parse_args()


def read_tensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


class Checkpoint:
    """Weights by their name in seqbench, each to be taken exactly once and with the shape that is expected."""

    def __init__(self, path):
        self.path = path
        self.left = read_tensors(path)

    def take(self, name, *shape):
        if name not in self.left:
            sys.exit(f"{self.path}: there is no `{name}`; left are {', '.join(sorted(self.left)) or 'none'}")
        found = self.left.pop(name)
        if found.shape != shape:
            sys.exit(f"{self.path}: `{name}` is {list(found.shape)}, expected {list(shape)}")
        return found

    def finish(self):
        if self.left:
            sys.exit(f"{self.path}: nothing takes {', '.join(sorted(self.left))}")


def inputs(options):
    """Tokens [batch, T] and targets [batch], 64-bit."""
    import numpy

    if options.input:
        tensors = read_tensors(options.input)
        tokens, targets = tensors["tokens"].astype(numpy.int64), tensors["targets"].astype(numpy.int64)
        options.batch, options.length = tokens.shape
        return tokens, targets
    random = numpy.random.default_rng(0)
    tokens = random.integers(options.vocab, size=(options.batch, options.length))
    return tokens, random.integers(options.vocab, size=options.batch)


def sinusoidal(count, dim):
    """[count, dim]: sin(p / 10000^(2i/dim)) and its cosine in turn, in double precision, rounded once."""
    import numpy

    column = numpy.arange(dim)
    angle = numpy.arange(count)[:, None] * 10000.0 ** (-2.0 * (column // 2) / dim)
    return numpy.where(column % 2 == 0, numpy.sin(angle), numpy.cos(angle)).astype(numpy.float32)


def status_mb(key):
    """A field of Linux's account of this process. Unlike `getrusage`, its peak begins at the last exec."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(step, options, steps_per_round=1):
    """Milliseconds of each timed round, which is over when `step` returns."""
    times = []
    for at in range(options.warmup + options.rounds):
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        if at >= options.warmup:
            times.append(seconds * 1e3 / steps_per_round)
            if sum(times) * steps_per_round > options.budget * 1e3:
                break
    return times


def report(framework, options, times, base_mb):
    """One line: framework,arch,T,batch,d_model,layers,ms_median,ms_min,peak_rss_mb, and what was resident before the
    model was built, and the number of rounds."""
    ordered = sorted(times)
    middle = len(ordered) // 2
    median = (ordered[middle] + ordered[-1 - middle]) / 2
    name = framework + ("-reuse" if options.malloc == "reuse" else "")
    sizes = f"{options.length},{options.batch},{options.dim},{options.layers}"
    print(
        f"{name},{options.arch},{sizes},{median:.6g},{ordered[0]:.6g},{status_mb('VmHWM'):.0f},{base_mb:.0f},{len(times)}",
        flush=True,
    )
