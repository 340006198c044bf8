#!/usr/bin/env python3
"""JAX on the CPU (XLA): one jitted training step with donated buffers, one forward pass, or one decoded token.

  rnn, lstm    one product for all inputs, then lax.scan; --unroll sets its unrolling
  transformer  jax.nn.dot_product_attention(is_causal); decodes with keys and values kept in place
  ssm-fft      the recurrence as a convolution by FFT (S4D)
  ssm-assoc    the recurrence as lax.associative_scan over complex numbers
               either decodes as a recurrence

The model is described in common.py. Compilation is warm-up and is never timed.
"""

import os

import common

if __name__ == "__main__":
    common.restart_with_malloc()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import functools
import math

import jax
import jax.numpy as jnp
import numpy
import optax
from jax import lax

TIME_FIRST = ("rnn", "lstm", "ssm-assoc")


def dense(p, xs):
    return xs @ p["w"] + p["b"]


def norm(p, xs):
    mean = xs.mean(-1, keepdims=True)
    variance = ((xs - mean) ** 2).mean(-1, keepdims=True)
    return (xs - mean) * lax.rsqrt(variance + common.EPSILON) * p["g"] + p["b"]


def gelu(xs):
    return jax.nn.gelu(xs, approximate=False)


# Recurrent layers: `xs` [T, batch, dim].


def rnn_cell(p, h, pre):
    h = jnp.tanh(pre + h @ p["hh"]["w"])
    return h, h


def lstm_cell(p, carried, pre):
    h, c = carried
    i, f, g, o = jnp.split(pre + h @ p["hh"]["w"], 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


CELLS = {"rnn": rnn_cell, "lstm": lstm_cell}


def from_inputs(p, xs):
    return xs @ p["ih"]["w"] + (p["ih"]["b"] + p["hh"]["b"])


def recurrent_layer(options, p, xs, capacity=None):
    zero = jnp.zeros(xs.shape[1:])
    start = (zero, zero) if options.arch == "lstm" else zero
    cell = functools.partial(CELLS[options.arch], p)
    state, ys = lax.scan(cell, start, from_inputs(p, xs), unroll=options.unroll)
    return (ys, state) if capacity else ys


def recurrent_step(options, p, x, state, position):  # [batch, dim]
    state, y = CELLS[options.arch](p, state, from_inputs(p, x))
    return y, state


# Transformer: `xs` [batch, T, dim].


def split_heads(p, xs):  # three of [batch, T, heads, dim / heads]
    batch, time, dim = xs.shape
    qkv = dense(p["qkv"], norm(p["norm"], xs)).reshape(batch, time, 3 * common.HEADS, dim // common.HEADS)
    return jnp.split(qkv, 3, axis=2)


def after_attention(p, xs, mixed):
    xs = xs + dense(p["out"], mixed.reshape(xs.shape))
    return xs + dense(p["down"], gelu(dense(p["up"], norm(p["mlp_norm"], xs))))


def transformer_layer(options, p, xs, capacity=None):
    q, k, v = split_heads(p, xs)
    ys = after_attention(p, xs, jax.nn.dot_product_attention(q, k, v, is_causal=True))
    if not capacity:
        return ys
    room = [(0, 0), (0, capacity - xs.shape[1]), (0, 0), (0, 0)]
    return ys, (jnp.pad(k, room), jnp.pad(v, room))


def transformer_step(options, p, x, state, position):  # [batch, dim]
    x = x[:, None]
    q, k, v = split_heads(p, x)
    keys, values = (lax.dynamic_update_slice_in_dim(old, new, position, 1) for old, new in zip(state, (k, v)))
    seen = (jnp.arange(keys.shape[1]) <= position)[None, None, None]
    mixed = jax.nn.dot_product_attention(q, keys, values, mask=seen)
    return after_attention(p, x, mixed)[:, 0], (keys, values)


# State space: `xs` [batch, T, dim] with FFT, [T, batch, dim] with the associative scan.


def ssm_system(p):
    """log|lambda|, b and c, each [dim]."""
    log_modulus = -jnp.exp(p["nu"][:, 0])
    return log_modulus, jnp.sqrt(1 - jnp.exp(2 * log_modulus)), p["c_re"][:, 0] + 1j * p["c_im"][:, 0]


def ssm_powers(p, time):  # lambda^k: [T, dim]
    log_lambda = ssm_system(p)[0] + 1j * p["theta"][:, 0]
    return jnp.exp(jnp.arange(time, dtype=jnp.float32)[:, None] * log_lambda)


def ssm_fft(p, us):
    time = us.shape[1]
    _, b, c = ssm_system(p)
    response = (c * b * ssm_powers(p, time)).real
    spectrum = jnp.fft.rfft(us, 2 * time, axis=1) * jnp.fft.rfft(response, 2 * time, axis=0)
    return jnp.fft.irfft(spectrum, 2 * time, axis=1)[:, :time]


def ssm_assoc(p, us):
    log_modulus, b, c = ssm_system(p)
    factor = jnp.exp(log_modulus + 1j * p["theta"][:, 0])

    def combine(left, right):
        return left[0] * right[0], right[0] * left[1] + right[1]

    # The factors are the same for the whole batch.
    factors = jnp.broadcast_to(factor, (us.shape[0], 1, us.shape[2]))
    states = lax.associative_scan(combine, (factors, (b * us).astype(jnp.complex64)), axis=0)[1]
    return states.real * c.real - states.imag * c.imag


def ssm_mix(p, xs, us, ys):
    return xs + dense(p["w_out"], gelu(ys + p["D"] * us))


def ssm_layer(options, p, xs, capacity=None):
    us = dense(p["w_in"], norm(p["norm"], xs))
    scan = ssm_assoc if options.arch == "ssm-assoc" else ssm_fft
    ys = ssm_mix(p, xs, us, scan(p, us))
    if not capacity:
        return ys
    at = "tbd" if options.arch in TIME_FIRST else "btd"
    time = us.shape[at.index("t")]
    weighted = (ssm_system(p)[1] * us).astype(jnp.complex64)
    return ys, jnp.einsum(f"td,{at}->bd", ssm_powers(p, time)[::-1], weighted)


def ssm_step(options, p, x, state, position):  # [batch, dim]
    u = dense(p["w_in"], norm(p["norm"], x))
    log_modulus, b, c = ssm_system(p)
    state = state * jnp.exp(log_modulus + 1j * p["theta"][:, 0]) + b * u
    return ssm_mix(p, x, u, state.real * c.real - state.imag * c.imag), state


LAYERS = {
    "rnn": (recurrent_layer, recurrent_step),
    "lstm": (recurrent_layer, recurrent_step),
    "transformer": (transformer_layer, transformer_step),
    "ssm-fft": (ssm_layer, ssm_step),
    "ssm-assoc": (ssm_layer, ssm_step),
}


class Fresh:
    """Weights drawn under the names of a checkpoint, for times, which need no particular ones."""

    def __init__(self):
        self.random = numpy.random.default_rng(0)

    def take(self, name, *shape):
        draw = self.random
        part = name.rsplit(".", 1)[-1]
        if part == "nu":
            return numpy.log(-numpy.log(draw.uniform(0.9, 0.999, shape))).astype(numpy.float32)
        if part == "theta":
            return draw.uniform(0, math.pi / 10, shape).astype(numpy.float32)
        if "norm" in name:
            return numpy.full(shape, float(part == "weight"), numpy.float32)
        if part in ("c_re", "c_im", "D") or name == "encoder.weight":
            return draw.standard_normal(shape).astype(numpy.float32)
        bound = 1 / math.sqrt(shape[-1])
        return draw.uniform(-bound, bound, shape).astype(numpy.float32)

    def finish(self):
        pass


def parameters(options, weights):
    """The tree of parameters; products take their weights as [in, out]."""
    dim = options.dim

    def affine(name, out, into):
        return {"w": weights.take(name + ".weight", out, into).T, "b": weights.take(name + ".bias", out)}

    def scale(name):
        return {"g": weights.take(name + ".weight", dim), "b": weights.take(name + ".bias", dim)}

    def recurrent(core, gates):
        def map_of(kind):
            weight = weights.take(f"{core}.weight_{kind}_l0", gates * dim, dim)
            return {"w": weight.T, "b": weights.take(f"{core}.bias_{kind}_l0", gates * dim)}

        return {"ih": map_of("ih"), "hh": map_of("hh")}

    def layer(at):
        name, core = f"layers.{at}", f"layers.{at}.core"
        if options.arch in CELLS:
            return recurrent(core, 4 if options.arch == "lstm" else 1)
        if options.arch == "transformer":
            weight = weights.take(core + ".in_proj_weight", 3 * dim, dim)
            biases = [weights.take(f"{core}.in_proj_bias.{part}", dim) for part in "qkv"]
            return {
                "norm": scale(name + ".norm"),
                "mlp_norm": scale(name + ".mlp_norm"),
                "qkv": {"w": weight.T, "b": numpy.concatenate(biases)},
                "out": affine(core + ".out_proj", dim, dim),
                "up": affine(name + ".mlp.up", 4 * dim, dim),
                "down": affine(name + ".mlp.down", dim, 4 * dim),
            }
        system = {part: weights.take(f"{core}.{part}", dim, 1) for part in ("nu", "theta", "c_re", "c_im")}
        maps = {part: affine(f"{core}.{part}", dim, dim) for part in ("w_in", "w_out")}
        return {"norm": scale(name + ".norm"), **maps, **system, "D": weights.take(core + ".D", dim)}

    tree = {
        "encoder": weights.take("encoder.weight", options.vocab, dim),
        "layers": [layer(at) for at in range(options.layers)],
        "readout": affine("readout", options.vocab, dim),
    }
    if options.arch not in CELLS:
        tree["norm"] = scale("norm")
    weights.finish()
    return jax.tree.map(jnp.asarray, tree)


def read_out(p, x):
    return dense(p["readout"], norm(p["norm"], x) if "norm" in p else x)


def forward(options, p, tokens, capacity=None):
    """Logits [batch, vocab] of the last step; with a capacity, the state of every layer too."""
    time_first = options.arch in TIME_FIRST
    xs = p["encoder"][tokens.T if time_first else tokens]
    if options.arch == "transformer":
        xs = xs + common.sinusoidal(tokens.shape[1], options.dim)
    layer = LAYERS[options.arch][0]
    states = []
    for at in p["layers"]:
        if capacity:
            xs, state = layer(options, at, xs, capacity)
            states.append(state)
        else:
            xs = layer(options, at, xs)
    logits = read_out(p, xs[-1] if time_first else xs[:, -1])
    return (logits, states) if capacity else logits


def step_token(options, capacity, p, states, token, position):
    """Logits [batch, vocab] and the states after one token."""
    x = p["encoder"][token]
    if options.arch == "transformer":
        x = x + jnp.asarray(common.sinusoidal(capacity, options.dim))[position]
    step = LAYERS[options.arch][1]
    after = []
    for at, state in zip(p["layers"], states):
        x, state = step(options, at, x, state, position)
        after.append(state)
    return read_out(p, x), after


def trainer(options, p, tokens, targets):
    """A step of training, which returns its loss once everything is computed."""
    optimizer = optax.adamw(common.RATE, weight_decay=options.weight_decay)

    def loss_of(p):
        return optax.softmax_cross_entropy_with_integer_labels(forward(options, p, tokens), targets).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(p, moments):
        loss, gradients = jax.value_and_grad(loss_of)(p)
        change, moments = optimizer.update(gradients, moments, p)
        return optax.apply_updates(p, change), moments, loss

    moments = optimizer.init(p)

    def step():
        nonlocal p, moments
        p, moments, loss = jax.block_until_ready(update(p, moments))
        return loss

    return step


def decoder(options, p, tokens, capacity):
    """`common.DECODED` tokens, one after another, from the context `tokens`; each round from the same position."""
    context = tokens.shape[1]
    states = jax.jit(functools.partial(forward, options, capacity=capacity))(p, tokens)[1]
    one = jax.jit(functools.partial(step_token, options, capacity), donate_argnums=(1,))
    columns = [tokens[:, at % context] for at in range(common.DECODED)]
    positions = [jnp.int32(context + at) for at in range(common.DECODED)]

    def step():
        nonlocal states
        for token, position in zip(columns, positions):
            logits, states = jax.block_until_ready(one(p, states, token, position))

    return step


def main():
    options = common.arguments(
        __doc__, list(LAYERS), lambda parser: parser.add_argument("--unroll", type=int, default=1, help="of lax.scan")
    )
    base = common.status_mb("VmRSS")
    tokens, targets = (jnp.asarray(array, jnp.int32) for array in common.inputs(options))
    p = parameters(options, common.Checkpoint(options.checkpoint) if options.checkpoint else Fresh())
    if options.losses:
        step = trainer(options, p, tokens, targets)
        for _ in range(options.losses):
            print(f"{float(step()):.9g}")
        return
    if options.mode == "train":
        times = common.measure(trainer(options, p, tokens, targets), options)
    elif options.mode == "forward":
        run = jax.jit(functools.partial(forward, options))
        times = common.measure(lambda: jax.block_until_ready(run(p, tokens)), options)
    else:
        step = decoder(options, p, tokens, options.length + common.DECODED)
        times = common.measure(step, options, common.DECODED)
    common.report("jax" + (f"-unroll{options.unroll}" if options.unroll > 1 else ""), options, times, base)


if __name__ == "__main__":
    main()
