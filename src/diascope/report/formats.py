"""How numbers are written on the page and in the answer."""

import json
import re
from pathlib import PurePath
from typing import Any

from markupsafe import Markup, escape

DASH = "–"


def score(value: float | None) -> str:
    """0.730, or a dash where it is undefined."""
    return DASH if value is None else f"{value:.3f}".replace("-", "−")


def spread(found: dict[str, Any]) -> str:
    """A mean and its SD, as in 0.730 ± 0.013."""
    return score(found["mean"]) + ("" if found["sd"] is None else f" ± {found['sd']:.3f}")


def signed(value: float | None) -> str:
    """A difference with its sign; a true minus, as wide as the plus."""
    if value is None:
        return DASH
    text = f"{value:+.3f}".replace("-", "−")
    return "0.000" if text in ("−0.000", "+0.000") else text


def interval(found: dict[str, Any], *, sign: bool = False) -> str:
    """0.672 to 0.793, or a dash where there is none."""
    if found.get("low") is None or found.get("high") is None:
        return DASH
    form = signed if sign else score
    return f"{form(found['low'])} to {form(found['high'])}"


def estimate(found: dict[str, Any]) -> str:
    """A mean with its interval, 0.737 (0.672 to 0.793)."""
    limits = interval(found)
    return score(found["mean"]) if limits == DASH else f"{score(found['mean'])} ({limits})"


def p_value(value: float | None) -> str:
    """.012, < .001, or a dash."""
    if value is None:
        return DASH
    if value < 0.001:
        return "< .001"
    return f"{value:.3f}".replace("0.", ".") if value < 0.9995 else "1"


def code(text: str) -> Markup:
    """A sentence whose `commands` look like code; all else of it is escaped."""
    return Markup(re.sub(r"`([^`]+)`", r'<code class="code">\1</code>', str(escape(text))))


def setting(value: Any, key: str = "") -> str:
    """A configuration value as it would stand in a study file; of the file of weights its name alone."""
    if key == "model.weights":
        return PurePath(value).name
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def needs(found: dict[str, int | None]) -> str:
    """12 seeds or 1,800 images, or both together; two digits of a number are all that it is worth."""
    counts = {what: count for what, count in found.items() if what != "together" and count is not None}
    known = [f"{_two_digits(count)} {what}" for what, count in counts.items()]
    return (" and " if "together" in found else " or ").join(known) or DASH


def milestone(found: dict[str, Any]) -> str:
    """A reading over runs: mean and SD, or median and how many runs did not come there."""
    if found["n"] == 0:
        return DASH
    if found["censored"]:
        missing = f"not in {found['censored']} of {found['n']} runs"
        return missing if found["median"] is None else f"median {found['median']:g}; {missing}"
    decimals = 1 if isinstance(found["min"], int) else 4 if "improving" in found else 3
    text = f"{found['mean']:.{decimals}f}".replace("-", "−")
    return text + ("" if found["sd"] is None else f" ± {found['sd']:.{decimals}f}")


def _two_digits(number: int) -> str:
    scale = 10 ** max(0, len(str(number)) - 2)
    return f"{-(-number // scale) * scale:,}"
