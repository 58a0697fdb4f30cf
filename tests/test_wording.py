"""Numbers for people: three digits, never rounded to certainty, and something for whatever a float can be."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from lossacc_mlflow.wording import number, percent, signed


def test_numbers() -> None:
    values = (99.96, 999.6, 0.99999, -0.5, 1e7, 0.0009999, -0.12345, 0.000137, -inf, 0.0)
    expected = ["100", "1,000", "1.00", "-0.500", "1.0e7", "0.0010", "-0.123", "0.00014", "-inf", "0"]
    assert [number(v) for v in values] == expected
    assert (signed(0.5), signed(-0.5), signed(nan)) == ("+0.500", "-0.500", "n/a")


def test_percentages_never_round_to_certainty() -> None:
    values = (0.99999, 0.00001, 0.5, 1.5, nan, -1e-12, 1.0)
    assert [percent(v) for v in values] == ["99.999 %", "0.001 %", "50.0 %", "150.0 %", "n/a", "0 %", "100 %"]


@given(st.floats())
def test_whatever_a_float_can_be(value: float) -> None:
    assert number(value)
    text = percent(value)
    if 0 < value < 1 and 1e-8 < value < 1 - 1e-8:
        assert 0 < float(text.removesuffix(" %")) < 100
