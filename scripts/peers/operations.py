"""What a model computes, in operations, and so its share of what the machine can do.

Counted are the model's own multiplications and additions in products, recurrences, attention and scan. Not counted are
element-wise functions (norms, sigmoid, tanh, exp, GELU, softmax, residual sums, AdamW), the embedding, which is a lookup,
and whatever an implementation computes twice.
"""

MLP = 4  # width of the transformer's MLP over that of the model
SCAN = 8  # multiply-adds a channel and step: lambda h 4, b u 1, Re(c h) 2, D u 1


def multiply_adds(arch, time, dim, layers, vocab, start=0):
    """Multiply-adds of one sequence's steps `start` to `start + time` and of one readout, forward.

    A step of one layer costs
        rnn          2 d^2    input and recurrent weight
        lstm         8 d^2    the same for four gates
        transformer  12 d^2   query, key, value, output 4, MLP 8
                     + 2 d n  scores and mixture over the n steps seen, itself included: the causal half
        ssm          2 d^2 + 8 d    both linear maps, the scan
    """
    per_step = {
        "rnn": 2 * dim * dim,
        "lstm": 8 * dim * dim,
        "transformer": (4 + 2 * MLP) * dim * dim,
        "ssm": 2 * dim * dim + SCAN * dim,
    }[arch]
    total = time * per_step
    if arch == "transformer":
        seen = time * start + time * (time + 1) // 2  # sum over t of start + t + 1
        total += 2 * dim * seen
    return layers * total + dim * vocab


def operations(arch, mode, time, batch, dim, layers, vocab):
    """Floating-point operations, two a multiply-add, of what one figure of a mode times.

    train: a step of training, three forward passes' worth (backward: one for the inputs, one for the weights; attention
    and scan likewise have two factors each). forward: one pass over a prompt. decode: one token of each sequence, after
    `time` others.
    """
    if mode == "decode":
        return 2 * batch * multiply_adds(arch, 1, dim, layers, vocab, start=time)
    return 2 * batch * multiply_adds(arch, time, dim, layers, vocab) * (3 if mode == "train" else 1)


def share_of_peak(operation_count, ms, peak_gflops):
    """Operations over what the peak would do in the same time; None where either is unknown."""
    return operation_count / (ms * 1e-3) / (peak_gflops * 1e9) if ms and peak_gflops else None


def self_test():
    """Counts again by walking every product of small models, one multiply-add at a time."""

    def product(rows, inner, columns):
        return sum(1 for _ in range(rows) for _ in range(inner) for _ in range(columns))

    time, dim, layers, vocab = 5, 3, 2, 7
    gates = {"rnn": 1, "lstm": 4}
    for arch in ("rnn", "lstm", "transformer", "ssm"):
        walked = product(1, dim, vocab)
        for _ in range(layers):
            for step in range(time):
                if arch in gates:
                    walked += 2 * product(1, dim, gates[arch] * dim)
                elif arch == "transformer":
                    walked += product(1, dim, 3 * dim) + product(1, dim, dim)
                    walked += product(1, dim, step + 1) + product(1, step + 1, dim)
                    walked += product(1, dim, MLP * dim) + product(1, MLP * dim, dim)
                else:
                    walked += 2 * product(1, dim, dim)
                    # (h_re, h_im) by (lambda_re, lambda_im), then b u, then c_re h_re - c_im h_im, then D u.
                    walked += dim * (4 + 1 + 2 + 1)
        assert multiply_adds(arch, time, dim, layers, vocab) == walked, (arch, walked)
        # A prompt is its tokens one after another, but for the readouts between them.
        steps = [multiply_adds(arch, 1, dim, layers, vocab, start=start) for start in range(time)]
        assert sum(steps) - (time - 1) * dim * vocab == walked, arch
    # LSTM of width 128 in two layers, batch 32, 1024 steps: 6 * 32 * (1024 * 2 * 8 * 128^2 + 128 * 64).
    assert operations("lstm", "train", 1024, 32, 128, 2, 64) == 51_541_180_416
    assert share_of_peak(10**9, 10.0, 200.0) == 0.5 and share_of_peak(1, None, 1.0) is None


if __name__ == "__main__":
    self_test()
    print("operations: the count agrees with the walk")
