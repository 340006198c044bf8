#!/usr/bin/env python3
"""The driver without any peer: cells, rows, ratios, targets, and how a process that fails is told.

    python -m unittest discover -s scripts/peers -p test_scripts.py

Needs the standard library alone.
"""

import contextlib
import dataclasses
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import compare
import losses
import markdown
import measure
import operations
import rows as table
import suites
import summary

CELL = suites.Cell("rnn", "train", 64)


def row(variant, round_, ms, cell=CELL, err="", mb=100.0):
    about = {"suite": "targets", "framework": variant.split("-")[0], "variant": variant, "revision": "abc"}
    figures = {"ms_median": ms, "ms_min": ms, "peak_rss_mb": mb, "base_rss_mb": 40.0} if not err else {}
    order = {"round": round_, "order": 0, "inner_rounds": 3, "err": err}
    return {**about, **dataclasses.asdict(cell), **order, **figures}


class Rows(unittest.TestCase):
    def test_what_is_written_is_read_and_replaced_by_cell(self):
        other = suites.Cell("lstm", "train", 64)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "rows.csv"
            self.assertEqual(table.read(path), [])
            table.write(path, [row("seqbench", 0, 1.5), row("torch-default", 0, None, other, err="a, \"b\"")])
            found = table.read(path)
            self.assertEqual([table.cell_of(one) for one in found], [CELL, other])
            self.assertEqual((found[0]["ms_median"], found[0]["round"]), (1.5, 0))
            self.assertEqual((found[1]["ms_median"], found[1]["err"]), (None, 'a, "b"'))
            self.assertEqual(len(table.replace(found, CELL, [])), 1)
            path.write_text("a,b\n1,2\n", encoding="utf-8")
            with self.assertRaisesRegex(SystemExit, "other columns"):
                table.read(path)

    def test_a_cell_is_done_when_every_program_has_its_rounds_or_its_reason(self):
        rows = [row("seqbench", 0, 1.0), row("seqbench", 1, 1.0), row("jax-default", 0, None, err="skipped")]
        self.assertTrue(compare.is_done(rows, CELL, ["seqbench", "jax-default"], 2))
        self.assertFalse(compare.is_done(rows, CELL, ["seqbench", "jax-default"], 3))
        self.assertFalse(compare.is_done(rows, CELL, ["seqbench", "torch-default"], 2))
        self.assertFalse(compare.is_done([row("seqbench", 0, None, err="killed")], CELL, ["seqbench"], 1))


class Summary(unittest.TestCase):
    def test_ratios_are_of_medians_and_their_range_is_within_rounds(self):
        times = {"seqbench": [1.0, 2.0, 4.0], "torch-default": [6.0, 8.0, 20.0], "jax-reuse": [3.0, 5.0, 8.0]}
        rows = [row(name, at, ms) for name, all_ms in times.items() for at, ms in enumerate(all_ms)]
        rows.append(row("torch-reuse", 0, None, err="killed"))
        (line,) = summary.summarise(rows, {2: 100.0})
        self.assertEqual((line["best_peer"], line["to_best"]), ("jax-reuse", (2.5, 2.0, 3.0)))
        self.assertEqual(line["to_stock"], (4.0, 4.0, 6.0))
        count = operations.operations("rnn", "train", 64, 32, 128, 2, 64)
        self.assertAlmostEqual(line["share"], count / 2e-3 / 1e11)
        self.assertEqual((line["least_peer_mb"], line["least_peer_less_mb"]), (100.0, 60.0))
        self.assertEqual(line["errors"], {"torch-reuse": "killed"})
        self.assertEqual(markdown.verdicts(line)[:2], [(2.5, 2.5), (4.0, 5.0)])

    def test_a_program_that_failed_in_a_later_round_has_no_time(self):
        rows = [row("seqbench", 0, 1.0), row("torch-default", 0, 0.5), row("torch-default", 1, None, err="killed")]
        (line,) = summary.summarise(rows, {})
        self.assertEqual((line["best_peer"], line["to_stock"], line["share"]), (None, None, None))

    def test_the_exponent_of_a_power_is_its_own(self):
        cells = [suites.Cell("rnn", "train", T) for T in (64, 256, 1024, 4096)]
        rows = [row("seqbench", 0, 1e3 if cell.T == 64 else cell.T**1.25, cell) for cell in cells]
        self.assertAlmostEqual(summary.exponents(rows)["rnn", "seqbench"], 1.25)
        self.assertEqual(summary.exponents(rows[:3]), {})


class Suites(unittest.TestCase):
    def test_no_cell_stands_in_two_suites_and_all_have_stock_pytorch_and_seqbench(self):
        cells = [cell for name in suites.SUITES for cell in suites.suite(name, 2, 2)]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertEqual([len(suites.suite(name, 2, 2)) for name in suites.SUITES], [16, 32, 28, 24, 6])
        for cell in cells:
            names = [one.name for one in suites.variants(cell)]
            self.assertEqual(len(names), len(set(names)))
            self.assertTrue({suites.STOCK, "seqbench"} <= set(names))

    def test_what_is_left_out_is_left_out(self):
        cell = suites.Cell("ssm", "train", 64)
        names = {one.name for one in suites.variants(cell)}
        kept = [one.name for one in suites.variants(cell, without=("torch-default", "torch-loop"))]
        self.assertEqual(set(kept), names - {"torch-default", "torch-loop"})

    def test_the_targets_are_those_that_were_set(self):
        self.assertEqual(suites.targets(CELL), (2.5, 5.0, 0.6))
        self.assertEqual(suites.targets(suites.Cell("lstm", "train", 64)), (1.3, None, 0.75))
        self.assertEqual(suites.targets(suites.Cell("ssm", "train", 1024)), (4.0, 6.0, None))
        self.assertEqual(suites.targets(suites.Cell("ssm", "train", 1024, batch=8)), (1.0, None, None))
        self.assertEqual(suites.targets(suites.Cell("ssm", "decode", 1024)), (None, None, None))

    def test_only_chooses_by_value_and_refuses_what_is_no_size(self):
        cells = suites.suite("targets", 2, 2)
        chosen = compare.chosen(cells, ["arch=rnn", "arch=ssm", "T=64"])
        self.assertEqual([(cell.arch, cell.T) for cell in chosen], [("rnn", 64), ("ssm", 64)])
        with self.assertRaisesRegex(SystemExit, "expected KEY=VALUE"):
            compare.chosen(cells, ["architecture=rnn"])

    def test_scores_that_do_not_fit_are_foreseen(self):
        cell = suites.Cell("transformer", "train", 4096)
        needed = {one.name: suites.predicted_mb(one, cell) for one in suites.variants(cell)}
        self.assertGreater(needed["jax-reuse"], 60_000)
        self.assertEqual(needed["torch-reuse"], 0)


class Measure(unittest.TestCase):
    def test_steps_fill_the_budget_within_their_bounds(self):
        settings = measure.Settings("x", budget=3.0)
        self.assertEqual(measure.plan(settings, CELL, 100.0), (30, 2))
        self.assertEqual(measure.plan(settings, CELL, 0.1), (50, 2))
        self.assertEqual(measure.plan(settings, CELL, 2000.0), (3, 1))
        self.assertEqual(measure.plan(settings, CELL, 13_000.0), (1, 1))
        side = dataclasses.replace(CELL, processes=2)
        self.assertEqual(measure.plan(settings, side, 1.0), (6000, 2))

    def test_processes_side_by_side_add_their_speeds_and_their_memory(self):
        part = {"ms_median": 4.0, "ms_min": 2.0, "peak_rss_mb": 10.0, "base_rss_mb": None, "done": 3}
        joint = measure.together([part, {**part, "ms_median": 12.0}])
        self.assertEqual((joint["ms_median"], joint["ms_min"], joint["peak_rss_mb"]), (3.0, 1.0, 20.0))
        self.assertIsNone(joint["base_rss_mb"])

    def finish(self, code, timeout=60):
        return measure.finish(measure.start([sys.executable, "-c", code], 1, None), timeout)

    def test_a_process_gives_its_line_or_the_reason_why_not(self):
        fields, why = self.finish("print('noise'); print('seqbench,rnn,64,32,128,2,3.5,3.25,')")
        self.assertEqual((fields["ms_median"], fields["ms_min"], fields["peak_rss_mb"], why), (3.5, 3.25, None, ""))
        self.assertIn("no line of nine columns", self.finish("print('a,b')")[1])
        self.assertIn("times that cannot be", self.finish("print('s,r,1,1,1,1,1.0,2.0,5')")[1])
        self.assertIn("exit code 3: why", self.finish("import sys; print('why', file=sys.stderr); sys.exit(3)")[1])
        self.assertIn("killed", self.finish("import os; os.kill(os.getpid(), 9)")[1])
        self.assertIn("no result within", self.finish("import time; time.sleep(60)", timeout=0.2)[1])

    def test_every_cell_has_its_rows_and_a_program_that_failed_is_asked_no_more(self):
        with tempfile.TemporaryDirectory() as folder:
            binary = pathlib.Path(folder) / "fails.py"
            binary.write_text("raise SystemExit('broken')", encoding="utf-8")
            settings = measure.Settings(str(binary), outer=3, quick=True)
            own = [one for one in suites.variants(CELL, quick=True) if one.framework == "seqbench"]
            everything, suites.variants = suites.variants, lambda *_: own
            try:
                rows = measure.run_cell(settings, CELL, "smoke", "abc", lambda text: None)
            finally:
                suites.variants = everything
        self.assertEqual([one["err"] for one in rows], ["exit code 1: broken"])


class Losses(unittest.TestCase):
    def test_losses_that_differ_stop_everything_and_say_where(self):
        want = [4.0, 3.0, 2.0]
        self.assertEqual(losses.compare("rnn", "jax", want, want), (0.0, 0.0))
        with self.assertRaisesRegex(losses.Disagreement, "rnn: the loss of step 0"):
            losses.compare("rnn", "jax", want, [4.001, 3.0, 2.0])
        with self.assertRaisesRegex(losses.Disagreement, "the loss of step 2"):
            losses.compare("rnn", "jax", want, [4.0, 3.0, 2.01])
        with self.assertRaisesRegex(losses.Disagreement, "step 1"):
            losses.compare("rnn", "jax", want, [4.0, float("nan"), 2.0])


class Operations(unittest.TestCase):
    def test_the_count_agrees_with_the_walk(self):
        operations.self_test()


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        unittest.main()
