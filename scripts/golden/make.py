#!/usr/bin/env python3
"""Makes crates/models/tests/golden/*.json: PyTorch's own numbers for rnn, lstm, gru, attention and mamba.

    pip install torch numpy
    python scripts/golden/make.py

Everything is double precision on one thread, from fixed seeds. A case holds a model's settings, parameters
under their PyTorch names, inputs, incoming state, outputs, the state after the last step, the cotangents the
loss weighs them with (loss = sum(ys * ys_cotangent) + sum(state * state_cotangent)), and the gradient of that
loss with respect to every input and parameter. The tests in crates/models/tests/golden.rs read them.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).resolve().parents[2] / "crates" / "models" / "tests" / "golden"


def packed(tensor):
    return {"shape": list(tensor.shape), "values": tensor.detach().reshape(-1).tolist()}


def normal(*shape):
    return torch.randn(*shape, requires_grad=True)


def case(name, config, dim, parameters, xs, state, ys, last):
    """Runs the backward pass and packs the case; `state` and `last` are dictionaries of [batch, dim]."""
    cotangents = {"ys": torch.randn(ys.shape), **{key: torch.randn(value.shape) for key, value in last.items()}}
    loss = sum((value * cotangents[key]).sum() for key, value in {"ys": ys, **last}.items())
    leaves = {"xs": xs, **state, **parameters}
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return {
        "name": name,
        "config": config,
        "dim": dim,
        "parameters": {key: packed(value) for key, value in parameters.items()},
        "xs": packed(xs),
        "state": {key: packed(value) for key, value in state.items()},
        "ys": packed(ys),
        "last": {key: packed(value) for key, value in last.items()},
        "cotangents": {key: packed(value) for key, value in cotangents.items()},
        "gradients": {key: packed(value) for key, value in zip(leaves, gradients)},
    }


def rnn(activation):
    batch, time, dim = 3, 7, 5
    model = torch.nn.RNN(dim, dim, nonlinearity=activation, batch_first=True)
    xs, h0 = normal(batch, time, dim), normal(batch, dim)
    ys, h = model(xs, h0[None])
    parameters = dict(model.named_parameters())
    return case(activation, {"activation": activation}, dim, parameters, xs, {"h": h0}, ys, {"h": h[0]})


def lstm():
    batch, time, dim = 3, 7, 5
    model = torch.nn.LSTM(dim, dim, batch_first=True)
    xs, h0, c0 = normal(batch, time, dim), normal(batch, dim), normal(batch, dim)
    ys, (h, c) = model(xs, (h0[None], c0[None]))
    parameters = dict(model.named_parameters())
    return case("lstm", {}, dim, parameters, xs, {"h": h0, "c": c0}, ys, {"h": h[0], "c": c[0]})


def gru():
    batch, time, dim = 3, 7, 5
    model = torch.nn.GRU(dim, dim, batch_first=True)
    xs, h0 = normal(batch, time, dim), normal(batch, dim)
    ys, h = model(xs, h0[None])
    parameters = dict(model.named_parameters())
    return case("gru", {}, dim, parameters, xs, {"h": h0}, ys, {"h": h[0]})


def mamba():
    """Gu & Dao 2023, algorithm 2 and figure 3, with PyTorch's own convolution, maps, softplus and SiLU; step by step."""
    batch, time, dim, states, taps, rank = 2, 7, 5, 3, 4, 2
    inner = 2 * dim
    shapes = {
        "in_proj.weight": (2 * inner, dim),
        "conv1d.weight": (inner, 1, taps),
        "conv1d.bias": (inner,),
        "x_proj.weight": (rank + 2 * states, inner),
        "dt_proj.weight": (inner, rank),
        "dt_proj.bias": (inner,),
        "A_log": (inner, states),
        "D": (inner,),
        "out_proj.weight": (dim, inner),
    }
    parameters = {name: normal(*shape) for name, shape in shapes.items()}
    xs, conv, ssm = normal(batch, time, dim), normal(batch, taps - 1, inner), normal(batch, inner, states)
    u, z = F.linear(xs, parameters["in_proj.weight"]).chunk(2, dim=-1)
    line = torch.cat([conv, u], 1)
    v = F.conv1d(line.transpose(1, 2), parameters["conv1d.weight"], parameters["conv1d.bias"], groups=inner)
    v = F.silu(v.transpose(1, 2))
    low, b, c = F.linear(v, parameters["x_proj.weight"]).split([rank, states, states], dim=-1)
    delta = F.softplus(F.linear(low, parameters["dt_proj.weight"], parameters["dt_proj.bias"]))
    a = -torch.exp(parameters["A_log"])
    h, outputs = ssm, []
    for t in range(time):
        decay = torch.exp(delta[:, t, :, None] * a)
        h = decay * h + (delta[:, t] * v[:, t])[:, :, None] * b[:, t, None, :]
        outputs.append((h * c[:, t, None, :]).sum(-1) + parameters["D"] * v[:, t])
    ys = F.linear(torch.stack(outputs, 1) * F.silu(z), parameters["out_proj.weight"])
    config = {"states": states, "convolution": taps, "dt_rank": rank}
    last = {"conv": line[:, -(taps - 1) :], "ssm": h}
    return case("mamba", config, dim, parameters, xs, {"conv": conv, "ssm": ssm}, ys, last)


def split_bias(parameters):
    """in_proj_bias as the three parts under which seqbench holds it."""
    q, k, v = parameters.pop("in_proj_bias").detach().chunk(3)
    return {f"in_proj_bias.{part}": value.clone().requires_grad_() for part, value in zip("qkv", (q, k, v))}


def attention_model(dim, heads):
    model = torch.nn.MultiheadAttention(dim, heads, batch_first=True)
    # The module starts its biases at zero, where a test would not see them mixed up.
    torch.nn.init.normal_(model.in_proj_bias)
    torch.nn.init.normal_(model.out_proj.bias)
    parameters = dict(model.named_parameters())
    return model, {**parameters, **split_bias(dict(parameters))}


def module_attention(name, config, mask):
    """torch.nn.MultiheadAttention itself; `mask` makes the additive mask [heads, time, time]."""
    batch, time, dim, heads = 2, 5, 6, 3
    model, parameters = attention_model(dim, heads)
    xs = normal(batch, time, dim)
    joined = torch.cat([parameters[f"in_proj_bias.{part}"] for part in "qkv"])
    del parameters["in_proj_bias"]
    arguments = {**dict(model.named_parameters()), "in_proj_bias": joined}
    options = {"need_weights": False, "attn_mask": mask(heads, time).repeat(batch, 1, 1)}
    ys, _ = torch.func.functional_call(model, arguments, (xs, xs, xs), options)
    return case(name, {"heads": heads, **config}, dim, parameters, xs, {}, ys, {})


def causal(heads, time):
    return torch.full((time, time), -math.inf).triu(1).expand(heads, time, time)


def alibi(heads, time):
    """Press et al. 2022 for a number of heads that is no power of two: the even ones of the doubled series."""
    whole = 2 ** math.floor(math.log2(heads))
    series = [2.0 ** (-8.0 * (i + 1) / whole) for i in range(whole)]
    doubled = [2.0 ** (-8.0 * (i + 1) / (2 * whole)) for i in range(2 * whole)]
    slopes = torch.tensor(series + doubled[0::2][: heads - whole])
    steps = torch.arange(time)
    distance = (steps[:, None] - steps[None, :]).clamp(min=0)
    return causal(heads, time) - slopes[:, None, None] * distance


def rotary_attention():
    """RoFormer's rotation (Su et al. 2021, eq. 34) as complex numbers, neighbours being a pair."""
    batch, time, dim, heads, base = 2, 5, 8, 2, 10000.0
    _, parameters = attention_model(dim, heads)
    joined = torch.cat([parameters[f"in_proj_bias.{part}"] for part in "qkv"])
    del parameters["in_proj_bias"]
    xs = normal(batch, time, dim)
    width = dim // heads
    projected = F.linear(xs, parameters["in_proj_weight"], joined)
    q, k, v = projected.view(batch, time, 3, heads, width).permute(2, 0, 3, 1, 4)
    angles = torch.arange(time)[:, None] * base ** (-torch.arange(0, width, 2) / width)
    turn = torch.polar(torch.ones_like(angles), angles)

    def rotate(part):
        turned = torch.complex(part[..., 0::2], part[..., 1::2]) * turn
        return torch.view_as_real(turned).flatten(-2)

    mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
    joined_heads = mixed.transpose(1, 2).reshape(batch, time, dim)
    ys = F.linear(joined_heads, parameters["out_proj.weight"], parameters["out_proj.bias"])
    return case("rope", {"heads": heads, "positions": "rope"}, dim, parameters, xs, {}, ys, {})


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    files = {
        "rnn": lambda: [rnn("tanh"), rnn("relu")],
        "lstm": lambda: [lstm()],
        "gru": lambda: [gru()],
        "mamba": lambda: [mamba()],
        "transformer": lambda: [
            module_attention("none", {"positions": "none"}, causal),
            module_attention("alibi", {"positions": "alibi"}, alibi),
            rotary_attention(),
        ],
    }
    OUT.mkdir(parents=True, exist_ok=True)
    for name, cases in files.items():
        torch.manual_seed(20)
        content = {"architecture": name, "made_by": f"scripts/golden/make.py, torch {torch.__version__}", "cases": cases()}
        (OUT / f"{name}.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
