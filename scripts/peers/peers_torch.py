#!/usr/bin/env python3
"""PyTorch on the CPU: one training step, one forward pass over a prompt, or one decoded token.

  rnn, lstm    torch.nn.RNN and torch.nn.LSTM, time first
  transformer  F.scaled_dot_product_attention(is_causal); decodes with keys and values kept in place
  ssm-fft      the recurrence as a convolution by FFT (S4D); decodes as a recurrence
  ssm-loop     the same recurrence as a loop over time: a reference for small T

The model is described in common.py.
"""

import common

if __name__ == "__main__":
    common.restart_with_malloc()

import math

import numpy
import torch
import torch.nn.functional as F
from torch import nn


class Recurrent(nn.Module):
    """All layers in one module, as the library offers them. Time first, which spares a copy."""

    def __init__(self, kind, dim, layers):
        super().__init__()
        self.rnn = {"rnn": nn.RNN, "lstm": nn.LSTM}[kind](dim, dim, num_layers=layers)

    def load(self, weights, dim):
        gates = 4 if isinstance(self.rnn, nn.LSTM) else 1
        for at in range(self.rnn.num_layers):
            for kind in ("ih", "hh"):
                for part, shape in (("weight", (gates * dim, dim)), ("bias", (gates * dim,))):
                    found = weights.take(f"layers.{at}.core.{part}_{kind}_l0", *shape)
                    assign(getattr(self.rnn, f"{part}_{kind}_l{at}"), found)

    def forward(self, xs):  # [T, batch, dim] -> [batch, dim]
        return self.rnn(xs)[0][-1]

    def prefill(self, xs, _):
        ys, state = self.rnn(xs)
        return ys[-1], state

    def step(self, x, state, _):  # [batch, dim]
        ys, state = self.rnn(x[None], state)
        return ys[0], state


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def split(self, xs):  # [batch, T, dim] -> three of [batch, heads, T, dim / heads]
        batch, time, dim = xs.shape
        heads = (batch, time, 3, common.HEADS, dim // common.HEADS)
        return self.qkv(xs).view(heads).permute(2, 0, 3, 1, 4)

    def join(self, ys):
        batch, heads, time, width = ys.shape
        return self.out(ys.transpose(1, 2).reshape(batch, time, heads * width))

    def forward(self, xs):
        q, k, v = self.split(xs)
        return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def prefill(self, xs, capacity):
        q, k, v = self.split(xs)
        batch, heads, time, width = k.shape
        cache = torch.empty(2, batch, heads, capacity, width)
        cache[0, :, :, :time], cache[1, :, :, :time] = k, v
        return self.join(F.scaled_dot_product_attention(q, k, v, is_causal=True)), cache

    def step(self, x, cache, position):  # [batch, 1, dim]
        q, k, v = self.split(x)
        cache[0, :, :, position : position + 1], cache[1, :, :, position : position + 1] = k, v
        keys, values = cache[:, :, :, : position + 1]
        return self.join(F.scaled_dot_product_attention(q, keys, values))


class TransformerBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def load(self, weights, name, dim):
        core = name + ".core"
        load_affine(self.norm, weights, name + ".norm", dim)
        load_affine(self.mlp_norm, weights, name + ".mlp_norm", dim)
        assign(self.attention.qkv.weight, weights.take(core + ".in_proj_weight", 3 * dim, dim))
        biases = [weights.take(f"{core}.in_proj_bias.{part}", dim) for part in "qkv"]
        assign(self.attention.qkv.bias, numpy.concatenate(biases))
        load_affine(self.attention.out, weights, core + ".out_proj", dim, dim)
        load_affine(self.up, weights, name + ".mlp.up", 4 * dim, dim)
        load_affine(self.down, weights, name + ".mlp.down", dim, 4 * dim)

    def mlp(self, xs):
        return xs + self.down(F.gelu(self.up(self.mlp_norm(xs))))

    def forward(self, xs):
        return self.mlp(xs + self.attention(self.norm(xs)))

    def prefill(self, xs, capacity):
        ys, cache = self.attention.prefill(self.norm(xs), capacity)
        return self.mlp(xs + ys), cache

    def step(self, x, cache, position):
        return self.mlp(x + self.attention.step(self.norm(x), cache, position)), cache


class SsmBlock(nn.Module):
    def __init__(self, dim, loop):
        super().__init__()
        self.scan = self.scan_loop if loop else self.scan_fft
        self.norm = nn.LayerNorm(dim)
        self.w_in, self.w_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        # |lambda| in [0.9, 0.999], phase in [0, pi/10].
        self.nu = nn.Parameter(torch.log(-torch.log(torch.empty(dim, 1).uniform_(0.9, 0.999))))
        self.theta = nn.Parameter(torch.empty(dim, 1).uniform_(0, math.pi / 10))
        self.c_re, self.c_im = nn.Parameter(torch.randn(dim, 1)), nn.Parameter(torch.randn(dim, 1))
        self.D = nn.Parameter(torch.randn(dim))

    def load(self, weights, name, dim):
        core = name + ".core"
        load_affine(self.norm, weights, name + ".norm", dim)
        load_affine(self.w_in, weights, core + ".w_in", dim, dim)
        load_affine(self.w_out, weights, core + ".w_out", dim, dim)
        for part in ("nu", "theta", "c_re", "c_im"):
            assign(getattr(self, part), weights.take(f"{core}.{part}", dim, 1))
        assign(self.D, weights.take(core + ".D", dim))

    def coefficients(self):
        """log|lambda|, b and c, each [dim]."""
        log_modulus = -torch.exp(self.nu[:, 0])
        c = torch.complex(self.c_re[:, 0], self.c_im[:, 0])
        return log_modulus, torch.sqrt(1 - torch.exp(2 * log_modulus)), c

    def powers(self, log_modulus, time):  # lambda^k: [dim, T]
        return torch.exp(torch.complex(log_modulus, self.theta[:, 0])[:, None] * torch.arange(time))

    def scan_fft(self, us):  # [batch, T, dim]
        time = us.shape[1]
        log_modulus, b, c = self.coefficients()
        response = ((c * b)[:, None] * self.powers(log_modulus, time)).real
        spectrum = torch.fft.rfft(us.transpose(1, 2), n=2 * time) * torch.fft.rfft(response, n=2 * time)
        return torch.fft.irfft(spectrum, n=2 * time)[..., :time].transpose(1, 2)

    def system(self):
        """lambda, b and c in real numbers, each [dim]."""
        log_modulus, b, c = self.coefficients()
        modulus, theta = torch.exp(log_modulus), self.theta[:, 0]
        return modulus * torch.cos(theta), modulus * torch.sin(theta), b, c.real, c.imag

    def scan_loop(self, us):
        re, im, b, c_re, c_im = self.system()
        h_re = h_im = us.new_zeros(us.shape[0], us.shape[2])
        ys = []
        for x in (b * us).unbind(1):
            h_re, h_im = h_re * re - h_im * im + x, h_re * im + h_im * re
            ys.append(h_re * c_re - h_im * c_im)
        return torch.stack(ys, 1)

    def mix(self, xs, us, ys):
        return xs + self.w_out(F.gelu(ys + self.D * us))

    def forward(self, xs):
        us = self.w_in(self.norm(xs))
        return self.mix(xs, us, self.scan(us))

    def prefill(self, xs, _):
        us = self.w_in(self.norm(xs))
        log_modulus, b, _ = self.coefficients()
        powers = self.powers(log_modulus, us.shape[1]).flip(1)
        state = torch.einsum("dt,btd->bd", powers, (b * us).to(torch.complex64))
        # The system goes along: a decoder need not derive it at every token.
        return self.mix(xs, us, self.scan(us)), (state.real.contiguous(), state.imag.contiguous(), self.system())

    def step(self, x, state, _):  # [batch, dim]
        h_re, h_im, system = state
        re, im, b, c_re, c_im = system
        u = self.w_in(self.norm(x))
        h_re, h_im = h_re * re - h_im * im + b * u, h_re * im + h_im * re
        return self.mix(x, u, h_re * c_re - h_im * c_im), (h_re, h_im, system)


class Model(nn.Module):
    """`options` as parsed; a model for sequences of at most `horizon` steps."""

    def __init__(self, options, horizon):
        super().__init__()
        arch, dim, layers = options.arch, options.dim, options.layers
        self.encoder = nn.Embedding(options.vocab, dim)
        self.readout = nn.Linear(dim, options.vocab)
        self.recurrent = arch in ("rnn", "lstm")
        self.norm = None if self.recurrent else nn.LayerNorm(dim)
        self.register_buffer("positions", None)
        if self.recurrent:
            self.body = Recurrent(arch, dim, layers)
        elif arch == "transformer":
            self.body = nn.ModuleList(TransformerBlock(dim) for _ in range(layers))
            self.positions = torch.from_numpy(common.sinusoidal(horizon, dim))
        else:
            self.body = nn.ModuleList(SsmBlock(dim, arch == "ssm-loop") for _ in range(layers))

    @torch.no_grad()
    def load(self, weights):
        vocab, dim = self.encoder.weight.shape
        assign(self.encoder.weight, weights.take("encoder.weight", vocab, dim))
        load_affine(self.readout, weights, "readout", vocab, dim)
        if self.recurrent:
            self.body.load(weights, dim)
        else:
            load_affine(self.norm, weights, "norm", dim)
            for at, block in enumerate(self.body):
                block.load(weights, f"layers.{at}", dim)
        weights.finish()

    def encode(self, tokens):  # [batch, T] -> [batch, T, dim], or [T, batch, dim] where time comes first
        xs = self.encoder(tokens.t() if self.recurrent else tokens)
        return xs if self.positions is None else xs + self.positions[: tokens.shape[1]]

    def forward(self, tokens):  # [batch, T] -> [batch, vocab]
        xs = self.encode(tokens)
        if self.recurrent:
            return self.readout(self.body(xs))
        for block in self.body:
            xs = block(xs)
        return self.readout(self.norm(xs[:, -1]))

    def prefill(self, tokens, capacity):
        """Logits after the last token, and the state a later token starts from."""
        xs = self.encode(tokens)
        if self.recurrent:
            y, state = self.body.prefill(xs, capacity)
            return self.readout(y), state
        states = []
        for block in self.body:
            xs, state = block.prefill(xs, capacity)
            states.append(state)
        return self.readout(self.norm(xs[:, -1])), states

    def step(self, token, state, position):  # [batch] -> [batch, vocab]
        x = self.encoder(token)
        if self.recurrent:
            y, state = self.body.step(x, state, position)
            return self.readout(y), state
        if self.positions is not None:
            x = (x + self.positions[position])[:, None]
        states = []
        for block, carried in zip(self.body, state):
            x, carried = block.step(x, carried, position)
            states.append(carried)
        return self.readout(self.norm(x if self.positions is None else x[:, 0])), states


def assign(parameter, value):
    parameter.data.copy_(torch.from_numpy(value))


def load_affine(module, weights, name, *shape):
    assign(module.weight, weights.take(name + ".weight", *shape))
    assign(module.bias, weights.take(name + ".bias", shape[0]))


def trainer(model, options, tokens, targets):
    """A step of training, which returns its loss as a tensor."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=common.RATE, weight_decay=options.weight_decay, fused=True)

    def loss_of(tokens, targets):
        return F.cross_entropy(model(tokens), targets)

    if options.compile:
        loss_of = torch.compile(loss_of, dynamic=False)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(tokens, targets)
        loss.backward()
        optimizer.step()
        return loss

    return step


def decoder(model, tokens, capacity):
    """`common.DECODED` tokens, one after another, from the context `tokens`; each round from the same position."""
    context = tokens.shape[1]
    state = model.prefill(tokens, capacity)[1]

    def step():
        nonlocal state
        for at in range(common.DECODED):
            _, state = model.step(tokens[:, at % context], state, context + at)

    return step


def main():
    archs = ["rnn", "lstm", "transformer", "ssm-fft", "ssm-loop"]
    options = common.arguments(
        __doc__, archs, lambda parser: parser.add_argument("--compile", action="store_true", help="torch.compile")
    )
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    base = common.status_mb("VmRSS")
    tokens, targets = (torch.from_numpy(array) for array in common.inputs(options))
    capacity = options.length + common.DECODED
    model = Model(options, capacity)
    if options.checkpoint:
        model.load(common.Checkpoint(options.checkpoint))
    if options.losses:
        step = trainer(model, options, tokens, targets)
        for _ in range(options.losses):
            print(f"{step().item():.9g}")
        return
    framework = "torch-compile" if options.compile else "torch"
    if options.mode == "train":
        times = common.measure(trainer(model, options, tokens, targets), options)
    else:
        with torch.inference_mode():
            model.eval()
            if options.mode == "forward":
                run = torch.compile(model, dynamic=False) if options.compile else model
                times = common.measure(lambda: run(tokens), options)
            else:
                times = common.measure(decoder(model, tokens, capacity), options, common.DECODED)
    common.report(framework, options, times, base)


if __name__ == "__main__":
    main()
