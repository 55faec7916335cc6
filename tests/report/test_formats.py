"""How numbers stand in the page's tables."""

import pytest

from diascope.report.formats import needs


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"seeds": 12, "images": 1_742}, "12 seeds or 1,800 images"),
        ({"seeds": None, "groups": 900}, "900 groups"),
        ({"seeds": 50, "images": 2_000, "together": 1}, "50 seeds and 2,000 images"),
        ({"seeds": None, "images": None}, "–"),
        ({}, "–"),
    ],
)
def test_what_it_would_take(found: dict[str, int | None], said: str) -> None:
    assert needs(found) == said
