"""How numbers stand in the page's tables."""

import pytest

from diascope.report.formats import code, needs


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


def test_commands_in_a_sentence_look_like_code_and_nothing_in_it_is_markup() -> None:
    said = code("<b>: `diascope audit 'a & <i>.csv'`, or `b`; one ` alone")
    assert said == (
        '&lt;b&gt;: <code class="code">diascope audit &#39;a &amp; &lt;i&gt;.csv&#39;</code>, '
        'or <code class="code">b</code>; one ` alone'
    )
