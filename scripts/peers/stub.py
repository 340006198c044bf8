#!/usr/bin/env python3
"""Stands in for `seqbench` where the scripts themselves are tested: the same command line, made-up times, and losses
that PyTorch computes. No figure that it gives means anything.

    scripts/peers/run --binary scripts/peers/stub.py --suite smoke --out target/peers-stub
"""

import argparse
import pathlib
import subprocess
import sys

import numpy


def random_weights(arch, dim, layers, vocab, seed):
    """Weights under the names that `seqbench model init --as-peers` writes."""
    random = numpy.random.default_rng(seed)
    weights = {}

    def uniform(name, *shape):
        bound = 1 / numpy.sqrt(shape[-1])
        weights[name] = random.uniform(-bound, bound, shape).astype(numpy.float32)

    def normal(name, *shape):
        weights[name] = random.standard_normal(shape).astype(numpy.float32)

    def affine(name, out, into):
        uniform(name + ".weight", out, into)
        uniform(name + ".bias", out)

    def scale(name):
        weights[name + ".weight"] = random.uniform(0.5, 1.5, dim).astype(numpy.float32)
        uniform(name + ".bias", dim)

    normal("encoder.weight", vocab, dim)
    affine("readout", vocab, dim)
    if arch in ("transformer", "ssm"):
        scale("norm")
    for at in range(layers):
        name, core = f"layers.{at}", f"layers.{at}.core"
        if arch in ("rnn", "lstm"):
            gates = {"rnn": 1, "lstm": 4}[arch]
            for kind in ("ih", "hh"):
                uniform(f"{core}.weight_{kind}_l0", gates * dim, dim)
                uniform(f"{core}.bias_{kind}_l0", gates * dim)
            continue
        scale(name + ".norm")
        if arch == "transformer":
            scale(name + ".mlp_norm")
            uniform(core + ".in_proj_weight", 3 * dim, dim)
            for part in "qkv":
                uniform(f"{core}.in_proj_bias.{part}", dim)
            affine(core + ".out_proj", dim, dim)
            affine(name + ".mlp.up", 4 * dim, dim)
            affine(name + ".mlp.down", dim, 4 * dim)
        else:
            affine(core + ".w_in", dim, dim)
            affine(core + ".w_out", dim, dim)
            weights[core + ".nu"] = numpy.log(-numpy.log(random.uniform(0.9, 0.999, (dim, 1)))).astype(numpy.float32)
            weights[core + ".theta"] = random.uniform(0, 0.3, (dim, 1)).astype(numpy.float32)
            for part in ("c_re", "c_im"):
                normal(f"{core}.{part}", dim, 1)
            normal(core + ".D", dim)
    return weights


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["bench", "model"])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--model")
    parser.add_argument("-o", "--out")
    parser.add_argument("--mode", default="train")
    for name in ("length", "batch", "dim", "layers", "vocab", "rounds", "warmup", "threads", "losses", "seed"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--checkpoint")
    parser.add_argument("--input")
    parser.add_argument("--as-peers", action="store_true")
    parser.add_argument("--peak", action="store_true")
    options = parser.parse_args()
    if options.command == "model":
        from safetensors.numpy import save_file

        arch = options.words[1]
        save_file(random_weights(arch, options.dim, options.layers, options.vocab, options.seed), options.out)
    elif options.peak:
        print(100.0 * options.threads)
    elif options.losses:
        peer = pathlib.Path(__file__).with_name("peers_torch.py")
        arch = {"ssm": "ssm-loop"}.get(options.model, options.model)
        sizes = [f"--{name}={getattr(options, name)}" for name in ("dim", "layers", "vocab", "losses")]
        files = ["--checkpoint", options.checkpoint, "--input", options.input]
        sys.exit(subprocess.run([sys.executable, peer, "--arch", arch, *sizes, *files]).returncode)
    else:
        time = 1e-3 * options.length * options.batch * options.dim / options.threads
        sizes = f"{options.length},{options.batch},{options.dim},{options.layers}"
        print(f"seqbench,{options.model},{sizes},{time:.4f},{time * 0.95:.4f},{20 + time:.0f}")


if __name__ == "__main__":
    main()
