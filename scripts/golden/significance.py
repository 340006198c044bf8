#!/usr/bin/env python3
"""Makes crates/report/tests/golden/statistics.json: what scipy and statsmodels say of the statistics of `report`.

    pip install numpy scipy statsmodels
    python3 scripts/golden/significance.py > crates/report/tests/golden/statistics.json

scipy has the permutation tests, the sign test, Fisher's exact test, Welch's interval, the Kaplan-Meier curve and the log-rank
test. statsmodels has Holm's correction, Newcombe's interval, the interval of a median time and the power of a t test. The
interval that inverts the permutation test, and the bootstrap with its generator, are written out here from their definitions.
The tests in crates/report/tests/statistics.rs read the file.
"""

import itertools
import json

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep

DRAW = np.random.Generator(np.random.PCG64(20))
SIDES = ["greater", "less", "two-sided"]


def sixtyfourths(n, about):
    """Accuracies as they come: with ties, and exact in binary."""
    return np.clip(np.round(DRAW.normal(about, 0.1, n) * 64), 0, 64) / 64


def mean_difference(a, b, axis):
    return np.mean(a, axis=axis) - np.mean(b, axis=axis)


def permutation():
    for n, m, shift, margin in [(3, 3, 0.3, 0), (5, 5, 0.1, 0), (8, 8, 0.08, 0), (9, 4, 0.1, 0.03125), (2, 6, 0.2, 0), (7, 6, 0, 0)]:
        drawn = n == 7
        a = DRAW.normal(0, 1, n) if drawn else sixtyfourths(n, 0.5 + shift)
        b = DRAW.standard_t(2, m) if drawn else sixtyfourths(m, 0.5)

        def p(side):
            found = stats.permutation_test(
                (a - margin, b), mean_difference, permutation_type="independent", n_resamples=np.inf, alternative=side
            )
            return found.pvalue

        yield {"a": a.tolist(), "b": b.tolist(), "margin": margin, "p": [float(p(side)) for side in SIDES]}


def inverted():
    """Every split's threshold, and the order statistics among them that the level leaves."""
    for n, m, level in [(4, 4, 0.95), (5, 6, 0.95), (8, 8, 0.95), (6, 3, 0.9)]:
        a, b = DRAW.normal(1, 1, n), DRAW.normal(0, 2, m)
        found = []
        for size in range(1, min(n, m) + 1):
            for out in itertools.combinations(a, size):
                found += [(sum(out) - sum(new)) / size for new in itertools.combinations(b, size)]
        found.sort()
        k = int(np.floor((len(found) + 1) * (1 - level) / 2 * (1 + 1e-12)))
        yield {"a": a.tolist(), "b": b.tolist(), "level": level, "low": found[k - 1], "high": found[-k]}


def flips():
    for n, about, margin in [(3, 0.1, 0), (5, 0.1, 0), (10, 0.05, 0.015625), (12, 0.02, 0)]:
        values = sixtyfourths(n, 0.5 + about) - 0.5

        def p(side):
            found = stats.permutation_test(
                (values - margin,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", n_resamples=np.inf,
                alternative=side,
            )
            return found.pvalue

        above, below = int(np.sum(values > margin)), int(np.sum(values < margin))
        counted = [float(stats.binomtest(above, above + below, 0.5, side).pvalue) for side in SIDES]
        yield {"values": values.tolist(), "margin": margin, "p": [float(p(side)) for side in SIDES], "signs": counted}


def rates():
    for k, n, l, m in [(5, 5, 0, 5), (4, 5, 1, 5), (8, 8, 3, 8), (7, 10, 2, 9), (0, 6, 0, 4), (56, 70, 48, 80), (3, 8, 3, 8)]:
        table = [[k, n - k], [l, m - l]]
        exact = [float(stats.fisher_exact(table, side).pvalue) for side in SIDES]
        ends = confint_proportions_2indep(k, n, l, m, method="newcomb", compare="diff", alpha=0.05)
        yield {"first": [k, n], "second": [l, m], "p": exact, "low": float(ends[0]), "high": float(ends[1])}


def welch():
    for n, m in [(2, 2), (3, 5), (8, 8), (20, 4)]:
        a, b = DRAW.normal(1, 0.2, n), DRAW.normal(0, 3, m)
        ends = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        yield {"a": a.tolist(), "b": b.tolist(), "low": float(ends.low), "high": float(ends.high)}


def holm():
    for p in [[0.01, 0.04, 0.03, 0.005], [0.5, 0.001, 0.9, 0.02, 0.02, 0.3], DRAW.uniform(0, 0.2, 11).round(4).tolist()]:
        yield {"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()}


def splitmix64(seed):
    """Vigna's splitmix64.c."""
    mask = (1 << 64) - 1
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        yield z ^ (z >> 31)


def interquartile_mean(values):
    """Agarwal et al.'s, with values on the cut counted in part; scipy's trim_mean where n is a multiple of four."""
    values = np.sort(values)
    n = len(values)
    places = np.arange(n)
    weights = np.clip(np.minimum(3 * n / 4, places + 1) - np.maximum(n / 4, places), 0, None)
    if n % 4 == 0:
        assert np.isclose(np.sum(values * weights) / (n / 2), stats.trim_mean(values, 0.25))
    return float(np.sum(values * weights) / (n / 2))


def bootstrap():
    for seed, sizes in [(0, [8, 8, 8, 8, 8]), (7, [5, 3, 4])]:
        tasks = [sixtyfourths(n, about).tolist() for n, about in zip(sizes, [0.2, 0.5, 0.8, 0.9, 0.95])]
        draws = splitmix64(seed)
        values = []
        for _ in range(1000):
            drawn = [task[(next(draws) * len(task)) >> 64] for task in tasks for _ in task]
            values.append(interquartile_mean(drawn))
        low, high = np.quantile(values, [0.025, 0.975])
        yield {"seed": seed, "tasks": tasks, "resamples": 1000, "low": float(low), "high": float(high)}


def waits(n, scale, budget):
    """Steps until solved, in hundreds, and whether a budget was enough."""
    times = np.ceil(DRAW.exponential(scale, n) / 100) * 100
    return np.minimum(times, budget), times <= budget


def survival():
    for n, scale, budget in [(5, 500, 3000), (8, 2000, 3000), (12, 3000, 3000), (30, 1000, 2500)]:
        times, reached = waits(n, scale, budget)
        curve = stats.ecdf(stats.CensoredData.right_censored(times, ~reached)).sf
        drops = [(t, s) for t, s, event in zip(curve.quantiles, curve.probabilities, np.isin(curve.quantiles, times[reached])) if event]
        halves = [t for t, s in drops if s <= 0.5 + 1e-12]
        other = SurvfuncRight(times, reached.astype(int))
        low, high = other.quantile_ci(0.5, method="cloglog")
        last = np.isnan(low) or np.isinf(high)
        yield {
            "times": times.tolist(),
            "reached": reached.tolist(),
            "drops": [[float(t), float(s)] for t, s in drops],
            "median": halves[0] if halves else None,
            "low": None if np.isnan(low) else float(low),
            "high": None if last else float(high),
        }


def excess(times, reached, first):
    """Expected minus observed, time by time."""
    total = 0.0
    for t in np.unique(times[reached]):
        d = np.sum(reached & (times == t))
        total += d * np.sum(first & (times >= t)) / np.sum(times >= t) - np.sum(first & reached & (times == t))
    return total


def log_rank():
    for n, m, slow in [(4, 4, 4000), (6, 6, 1000), (7, 5, 2500)]:
        (x, x_reached), (y, y_reached) = waits(n, slow, 3000), waits(m, 800, 3000)
        times, reached = np.concatenate([x, y]), np.concatenate([x_reached, y_reached])
        own = excess(times, reached, np.arange(n + m) < n)
        every = np.array([excess(times, reached, np.isin(np.arange(n + m), c)) for c in itertools.combinations(range(n + m), n)])
        greater, less = np.mean(every >= own - 1e-9), np.mean(every <= own + 1e-9)
        two = stats.logrank(stats.CensoredData.right_censored(x, ~x_reached), stats.CensoredData.right_censored(y, ~y_reached))
        yield {
            "a": [x.tolist(), x_reached.tolist()],
            "b": [y.tolist(), y_reached.tolist()],
            "excess": float(own),
            "z": abs(float(two.statistic)),
            "normal_p": float(two.pvalue),
            "p": [float(greater), float(less), float(min(1, 2 * min(greater, less)))],
        }


def seeds():
    for d in [0.3, 0.5, 0.8, 1.0, 1.5, 2.0]:
        for alpha, side, name in [(0.05, "two-sided", "two-sided"), (0.05, "larger", "greater"), (0.005, "two-sided", "two-sided")]:
            n = TTestIndPower().solve_power(effect_size=d, alpha=alpha, power=0.8, alternative=side)
            yield {"difference": d, "alpha": alpha, "alternative": name, "n": int(np.ceil(n))}


def main():
    cases = [permutation, inverted, flips, rates, welch, holm, bootstrap, survival, log_rank, seeds]
    found = {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__}
    found |= {case.__name__: list(case()) for case in cases}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
