"""CMP002 and CMP004: which differences between runs are settled, and which runs nobody needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import ClassVar

from lossacc_mlflow.comparison.base import ComparisonRule
from lossacc_mlflow.comparison.rows import known_accuracy, sample_size
from lossacc_mlflow.pairing import least_disagreement
from lossacc_mlflow.records import Comparison, ComparisonRow, Evidence, Finding, Level, PairTest
from lossacc_mlflow.wording import number, p_value, percent

__all__ = ["Dominated", "NotSignificant"]

_MAX_LISTED = 5
_ROUNDING = 1e-9
"""Nats: two models that differ by a temperature alone have the same loss after it, up to this."""


@dataclass(frozen=True, slots=True)
class NotSignificant(ComparisonRule):
    """The lead of the best run could be chance.

    How it is detected: runs that were judged on the same samples are tested in pairs: accuracy by McNemar's exact test,
    the loss by a paired t test (by Brier scores where a probability sits at the clip, and then as undecided while three
    such samples more could turn the order round), all pairs together by Holm's method. A run is found whose accuracy is
    not significantly below the best one at level ``alpha``. Where only figures are known, and the number of samples:
    a gap of m samples cannot be significant if even m answers that only the better run has right are too few (6 for one
    pair, 7 for three, 9 for ten).

    Why it matters: on a few hundred samples a point of accuracy is a handful of answers. Another seed or another split
    turns such an order round.

    What to do: among runs that do not differ choose by loss, cost or simplicity; evaluate on more samples, or over
    several seeds, where the difference matters.

    References
    ----------
    Q. McNemar (1947), doi:10.1007/BF02295996; S. Holm (1979); T. Dietterich, "Approximate statistical tests for
    comparing supervised classification learning algorithms" (1998), doi:10.1162/089976698300017197.

    Parameters
    ----------
    alpha : float
        Level of all tests together.
    """

    code: ClassVar[str] = "CMP002"
    title: ClassVar[str] = "Difference not significant"
    level: ClassVar[Level] = "note"
    alpha: float = 0.05

    def check(self, comparison: Comparison) -> Finding:
        """Count the pairs that differ significantly, and name the runs that the best one is not ahead of."""
        best = _best(comparison)
        if best is None:
            return self.not_applicable("No two runs have an accuracy, or they are not comparable (CMP003).")
        tests = _tests_of(comparison, best)
        untested = self._cannot_differ(comparison, best, tests)
        if not tests and untested is None:
            return self.not_applicable(
                "Neither predictions of the same samples nor the number of samples is known: log the predictions."
            )
        near = self._near(comparison)
        all_tests = comparison.tests
        by_accuracy = sum(t.mcnemar_p < self.alpha for t in all_tests)
        by_loss = sum(t.loss_decided for t in all_tests)
        evidence = [
            Evidence("runs_not_behind_the_best", len(near), 0),
            Evidence("pairs_tested", len(all_tests)),
            Evidence("pairs_significant_in_accuracy", by_accuracy),
            Evidence("pairs_significant_in_loss", by_loss),
        ]
        total = len(all_tests)
        settled = (
            f"Of {total} pairs on the same samples {by_accuracy} differ significantly in accuracy and {by_loss} in"
        )
        settled = f"{settled} loss (Holm)." if total else ""
        if not near:
            return self.clear(f"No run comes near the accuracy of '{best.name}'. {settled}".strip(), evidence)
        names = {row.run_id: row for row in comparison.rows}
        listed = [f"'{names[i].name}' ({why})" for i, why in list(near.items())[:_MAX_LISTED]]
        more = f" and {len(near) - _MAX_LISTED} more" if len(near) > _MAX_LISTED else ""
        return self.flagged(
            f"Not significant: the lead in accuracy of '{best.name}' ({percent(best.accuracy)}) over "
            f"{', '.join(listed)}{more}. {settled}".strip(),
            evidence,
            "Among these choose by loss, cost or simplicity; a larger evaluation set or several seeds would tell them "
            "apart.",
            split=comparison.split,
        )

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:
        """Tell each run that it is not significantly behind the best one."""
        best = _best(comparison)
        if best is None:
            return {}
        return {
            run_id: f"Not significantly behind '{best.name}' in accuracy: {why}."
            for run_id, why in self._near(comparison).items()
        }

    def _near(self, comparison: Comparison) -> dict[str, str]:
        """Runs that the best one is not significantly ahead of, and why that cannot be said."""
        best = _best(comparison)
        if best is None:
            return {}
        tests = _tests_of(comparison, best)
        near = dict(self._cannot_differ(comparison, best, tests) or {})
        rows = {row.run_id: row for row in comparison.rows}
        for test in tests:
            if not test.mcnemar_p < self.alpha:
                other = rows[test.run_id_b if test.run_id_a == best.run_id else test.run_id_a]
                near[other.run_id] = f"{percent(other.accuracy)}, {p_value(test.mcnemar_p)}"
        return {row.run_id: near[row.run_id] for row in comparison.rows if row.run_id in near}

    def _cannot_differ(
        self, comparison: Comparison, best: ComparisonRow, tests: Sequence[PairTest]
    ) -> dict[str, str] | None:
        """Runs without common predictions whose gap is too small for any test; None where no size is known."""
        tested = {run_id for t in tests for run_id in (t.run_id_a, t.run_id_b)}
        sizes = {d.run_id: sample_size(d.run, comparison.split) for d in comparison.diagnoses}
        others = [
            row
            for row in _comparable(comparison)
            if row.run_id != best.run_id and row.run_id not in tested and known_accuracy(row) is not None
        ]
        n = sizes.get(best.run_id)
        known = [row for row in others if n is not None and sizes.get(row.run_id) in (n, None)]
        if n is None or not known:
            return None
        n_ranked = sum(known_accuracy(row) is not None for row in _comparable(comparison))
        least = least_disagreement(n_ranked * (n_ranked - 1) // 2)
        near = {}
        for row in known:
            gap = round(n * ((best.accuracy or 0.0) - (row.accuracy or 0.0)))
            if gap < least:
                near[row.run_id] = (
                    f"{percent(row.accuracy)}, {gap} of {n:,} samples apart, where less than {least} cannot be "
                    "significant"
                )
        return near


@dataclass(frozen=True, slots=True)
class Dominated(ComparisonRule):
    """Another run is as good in everything and significantly better in something.

    How it is detected: on the same samples, another run has no lower accuracy, no higher loss, no higher loss after
    each model's own temperature, and is significantly better at level ``alpha`` (all pairs together, see CMP002) in
    accuracy or in loss. Runs that cannot be compared (CMP003), that diverged or never learned dominate nobody.

    Why it matters: whatever one needs, answers or probabilities, there is no reason to take such a run for its quality.

    What to do: drop it, unless it is cheaper, smaller or simpler.

    Parameters
    ----------
    alpha : float
        Level of all tests together.
    """

    code: ClassVar[str] = "CMP004"
    title: ClassVar[str] = "Dominated"
    level: ClassVar[Level] = "note"
    alpha: float = 0.05

    def check(self, comparison: Comparison) -> Finding:
        """Name the runs that another one makes superfluous."""
        if not comparison.tests:
            return self.not_applicable("Predictions of at least two runs on the same samples are needed.")
        found = self.find(comparison)
        rows = {row.run_id: row for row in comparison.rows}
        tested = {run_id for t in comparison.tests for run_id in (t.run_id_a, t.run_id_b)}
        evidence = [Evidence("dominated_runs", len(found), 0), Evidence("runs_tested", len(tested))]
        if not found:
            return self.clear("No run is at least as good as another in everything and significantly better.", evidence)
        listed = [_sentence(rows[i], rows[_other(t, i)], t) for i, t in list(found.items())[:_MAX_LISTED]]
        more = f" And {len(found) - _MAX_LISTED} more; see the rows." if len(found) > _MAX_LISTED else ""
        return self.flagged(
            f"{len(found)} of {len(tested)} runs are dominated. {' '.join(listed)}{more}",
            evidence,
            "Drop them, unless they are cheaper, smaller or simpler.",
            split=comparison.split,
        )

    def remarks(self, comparison: Comparison) -> Mapping[str, str]:
        """Tell each dominated run by which other, and by how much."""
        rows = {row.run_id: row for row in comparison.rows}
        return {i: _sentence(rows[i], rows[_other(t, i)], t) for i, t in self.find(comparison).items()}

    def find(self, comparison: Comparison) -> dict[str, PairTest]:
        """Find the dominated runs.

        Parameters
        ----------
        comparison : Comparison

        Returns
        -------
        dict of str to PairTest
            The test against the highest row that dominates a run, by the run's id, in the order of the rows.
        """
        worthy = {row.run_id for row in _comparable(comparison)}
        place = {row.run_id: i for i, row in enumerate(comparison.rows)}
        found: dict[str, PairTest] = {}
        for test in comparison.tests:
            for better, worse, sign in ((test.run_id_a, test.run_id_b, 1), (test.run_id_b, test.run_id_a, -1)):
                if better not in worthy or not self._dominates(test, sign):
                    continue
                known = found.get(worse)
                if known is None or place[better] < place[_other(known, worse)]:
                    found[worse] = test
        return {row.run_id: found[row.run_id] for row in comparison.rows if row.run_id in found}

    def _dominates(self, test: PairTest, sign: int) -> bool:
        accuracy, loss = sign * test.delta_accuracy, sign * test.delta_loss
        after = sign * test.delta_loss_after_temperature
        if not (accuracy >= 0 and loss <= 0 and (isnan(after) or after <= _ROUNDING)):
            return False
        decided = test.loss_decided and test.loss_p < self.alpha
        return (accuracy > 0 and test.mcnemar_p < self.alpha) or (loss < 0 and decided)


_WORTHLESS = ("diverged", "not_learning")


def _comparable(comparison: Comparison) -> list[ComparisonRow]:
    """Rows that can be compared with most others, and were worth training."""
    odd = comparison.odd_run_ids
    return [row for row in comparison.rows if row.run_id not in odd and row.verdict not in _WORTHLESS]


def _best(comparison: Comparison) -> ComparisonRow | None:
    """The most accurate of at least two comparable runs."""
    known = [
        row for row in _comparable(comparison) if known_accuracy(row) is not None and row.quality_name == "accuracy"
    ]
    return known[0] if len(known) > 1 else None


def _tests_of(comparison: Comparison, row: ComparisonRow) -> list[PairTest]:
    worthy = {r.run_id for r in _comparable(comparison)}
    return [
        t for t in comparison.tests if row.run_id in (t.run_id_a, t.run_id_b) and {t.run_id_a, t.run_id_b} <= worthy
    ]


def _other(test: PairTest, run_id: str) -> str:
    return test.run_id_b if test.run_id_a == run_id else test.run_id_a


def _sentence(worse: ComparisonRow, better: ComparisonRow, test: PairTest) -> str:
    """What one run has over another, each with its p value."""
    text = (
        f"'{worse.name}' is dominated by '{better.name}': accuracy {percent(worse.accuracy)} against "
        f"{percent(better.accuracy)} ({p_value(test.mcnemar_p)})"
    )
    if isfinite(test.delta_loss):
        text += f", loss {number(worse.loss)} against {number(better.loss)} ({p_value(test.loss_p)})"
    if isfinite(test.delta_loss_after_temperature):
        text += (
            f", after temperature {number(worse.loss_after_temperature)} against "
            f"{number(better.loss_after_temperature)}"
        )
    return f"{text}."
