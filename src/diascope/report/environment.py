"""The templates of the pages, and what they can do with numbers."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from diascope.core.text import duration
from diascope.report import formats
from diascope.report.search import short

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """Jinja, in which a name that is missing is an error, with the filters that write numbers."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "score": formats.score,
        "spread": formats.spread,
        "signed": formats.signed,
        "estimate": formats.estimate,
        "interval": formats.interval,
        "signed_interval": lambda found: formats.interval(found, sign=True),
        "p": formats.p_value,
        "needs": formats.needs,
        "milestone": formats.milestone,
        "setting": formats.setting,
        "duration": duration,
        "short": short,
        "code": formats.code,
    }
    return found
