"""Numbers in sentences: signs, rounding, and p where it decides."""

import pytest

from diascope.compare.wording import NO_BREAK, _number, _p, _signed


@pytest.mark.parametrize(
    ("value", "said"), [(0.0002, "0.000"), (-0.0002, "0.000"), (0.012, "+0.012"), (-0.012, "−0.012")]
)
def test_signs_follow_the_rounded_number(value: float, said: str) -> None:
    assert _signed(value) == said
    assert _number(value) == said.removeprefix("+")


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0004, "p < .001"), (0.012, "p = .012"), (0.04996, "p = .049960"), (0.05004, "p = .050040"), (0.9999, "p = 1")],
)
def test_p_shows_on_which_side_of_the_limit_it_lies(p: float, said: str) -> None:
    assert _p(p) == said.replace(" ", NO_BREAK)
