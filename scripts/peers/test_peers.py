#!/usr/bin/env python3
"""The two programs compute one function: losses, forward passes and decoded tokens agree from the same weights.

    python -m unittest discover -s scripts/peers

Needs the packages of requirements.txt. Sizes are primes, so that no transposition passes by luck.
"""

import pathlib
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import jax.numpy as jnp
import numpy
import torch

import common
import peers_jax
import peers_torch
from stub import random_weights

BATCH, TIME, VOCAB, LAYERS = 3, 13, 7, 2
DIM = 20
TORCH = {"rnn": ["rnn"], "lstm": ["lstm"], "transformer": ["transformer"], "ssm": ["ssm-fft", "ssm-loop"]}
JAX = {"rnn": ["rnn"], "lstm": ["lstm"], "transformer": ["transformer"], "ssm": ["ssm-fft", "ssm-assoc"]}


def options(arch):
    return types.SimpleNamespace(
        arch=arch, dim=DIM, layers=LAYERS, vocab=VOCAB, unroll=1, compile=False, weight_decay=0.0
    )


class Agreement(unittest.TestCase):
    def setUp(self):
        random = numpy.random.default_rng(5)
        self.tokens = random.integers(VOCAB, size=(BATCH, TIME + 1))
        self.targets = random.integers(VOCAB, size=BATCH)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def weights(self, arch):
        from safetensors.numpy import save_file

        path = f"{self.folder.name}/{arch}.safetensors"
        save_file(random_weights(arch, DIM, LAYERS, VOCAB, seed=3), path)
        return common.Checkpoint(path)

    def torch_model(self, arch, form):
        model = peers_torch.Model(options(form), TIME + 2)
        model.load(self.weights(arch))
        return model

    def test_forward_is_the_same_function(self):
        for arch in TORCH:
            models = [self.torch_model(arch, form) for form in TORCH[arch]]
            logits = [model(torch.from_numpy(self.tokens)).detach().numpy() for model in models]
            for form in JAX[arch]:
                p = peers_jax.parameters(options(form), self.weights(arch))
                logits.append(numpy.asarray(peers_jax.forward(options(form), p, jnp.asarray(self.tokens))))
            for other in logits[1:]:
                numpy.testing.assert_allclose(other, logits[0], rtol=2e-4, atol=2e-5, err_msg=arch)

    def test_a_decoded_token_is_the_forward_pass(self):
        capacity = TIME + 2
        for arch in TORCH:
            for form in TORCH[arch]:
                model = self.torch_model(arch, form)
                tokens = torch.from_numpy(self.tokens)
                with torch.inference_mode():
                    state = model.prefill(tokens[:, :TIME], capacity)[1]
                    got = model.step(tokens[:, TIME], state, TIME)[0].numpy()
                    want = model(tokens).numpy()
                numpy.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5, err_msg=form)
            for form in JAX[arch]:
                p = peers_jax.parameters(options(form), self.weights(arch))
                tokens = jnp.asarray(self.tokens)
                states = peers_jax.forward(options(form), p, tokens[:, :TIME], capacity)[1]
                got = peers_jax.step_token(options(form), capacity, p, states, tokens[:, TIME], TIME)[0]
                want = peers_jax.forward(options(form), p, tokens)
                numpy.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5, err_msg=form)

    def test_training_takes_the_same_steps(self):
        for arch in TORCH:
            losses = []
            for form in TORCH[arch]:
                model = self.torch_model(arch, form)
                batch = torch.from_numpy(self.tokens), torch.from_numpy(self.targets)
                step = peers_torch.trainer(model, options(form), *batch)
                losses.append([step().item() for _ in range(5)])
            for form in JAX[arch]:
                p = peers_jax.parameters(options(form), self.weights(arch))
                step = peers_jax.trainer(options(form), p, jnp.asarray(self.tokens), jnp.asarray(self.targets))
                losses.append([float(step()) for _ in range(5)])
            for other in losses[1:]:
                numpy.testing.assert_allclose(other, losses[0], rtol=1e-4, err_msg=arch)
            self.assertLess(losses[0][-1], losses[0][0])

    def test_positions_are_those_of_the_paper(self):
        got = common.sinusoidal(2, 4)
        want = [[0, 1, 0, 1], [numpy.sin(1), numpy.cos(1), numpy.sin(0.01), numpy.cos(0.01)]]
        numpy.testing.assert_allclose(got, want, atol=1e-7)

    def test_a_checkpoint_of_another_model_is_refused(self):
        with self.assertRaisesRegex(SystemExit, "there is no `layers.0.core.weight_ih_l0`"):
            peers_jax.parameters(options("rnn"), self.weights("ssm"))
        wide = options("rnn")
        wide.dim += 1
        with self.assertRaisesRegex(SystemExit, "expected"):
            peers_jax.parameters(wide, self.weights("rnn"))


if __name__ == "__main__":
    unittest.main()
