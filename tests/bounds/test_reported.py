"""Figures are read as they are rounded, and what cannot be meant is refused with a reason."""

import pytest

from lossacc_mlflow.bounds import read_figures
from lossacc_mlflow.bounds.reported import least_n, right_counts
from lossacc_mlflow.errors import InputError


@pytest.mark.parametrize(
    "text", ["98.1%/0.1882", "0.981/0.1882", " 98.1 % / 0.1882 ", "net=98.1%/0.1882", "a=b=0.981/.1882"]
)
def test_one_pair_in_many_spellings(text: str) -> None:
    (figure,) = read_figures([text])
    assert (figure.accuracy, figure.loss) == (0.981, 0.1882)
    assert figure.accuracy_interval == (0.9805, 0.9815)
    assert figure.loss_interval == (0.18815, 0.18825)
    assert figure.accuracy_text == "98.1 %"
    assert figure.name == (text.rpartition("=")[0] or "1")


def test_intervals_stay_where_figures_can_be() -> None:
    perfect, hopeless = read_figures(["100%/0.00", "0.0/7"])
    assert (perfect.accuracy_interval, perfect.loss_interval) == ((0.995, 1.0), (0.0, 0.005))
    assert (hopeless.accuracy_interval, hopeless.loss_interval) == ((0.0, 0.05), (6.5, 7.5))
    (precise,) = read_figures(["0.98123/1.5e-3"])
    assert precise.accuracy_text == "98.123 %"
    assert precise.loss_interval == (0.00145, 0.00155)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([], "no figures"),
        (["98.1/0.1882"], "write 98.1% if it is in percent"),
        (["981/0.1882"], "above 1"),
        (["101%/0.1"], "above 100 %"),
        (["-1%/0.1"], "negative"),
        (["0.9/-0.1"], "sign turned round"),
        (["0.9/nan"], "not finite"),
        (["inf/0.1"], "not finite"),
        (["0.9/1e999"], "too large"),
        (["98,1%/0,1882"], "need a point"),
        (["0.9"], "no pair"),
        (["=0.9/0.1"], "no pair"),
        (["0.9/"], "no number"),
        (["0.9/0.1/0.2"], "no number"),
        (["a=0.9/0.1", "a=0.8/0.1"], "'a'"),
        (["2=0.9/0.1", "0.8/0.1"], "'2'"),
    ],
)
def test_what_cannot_be_meant(texts: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_figures(texts)


def test_counts_of_right_answers_agree_with_trying_them_all() -> None:
    for text in ("99.1%/0", "0.333/0", "98%/0", "0.5/0", "100.0%/0"):
        low, high = read_figures([text])[0].accuracy_interval
        possible = [[s for s in range(n + 1) if low - 1e-12 <= s / n <= high + 1e-12] for n in range(1, 300)]
        for n, counts in enumerate(possible, start=1):
            assert right_counts((low, high), n) == ((counts[0], counts[-1]) if counts else None)
        assert least_n((low, high)) == next(n for n, counts in enumerate(possible, start=1) if counts)
