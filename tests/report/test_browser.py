"""The page in a real browser, 390 and 1280 pixels wide: every chart drawn, nothing too wide, a silent console."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from diascope.report.page import Pictures, render, sample_pictures
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (390, 1280)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --window-size=1400,1000"
).split()

# The page once for each width, in a frame of it; when all are drawn, what is seen is written into #seen.
HARNESS = """<!doctype html><meta charset="utf-8"><body>%s<pre id="seen"></pre><script>
const frames = [...document.querySelectorAll("iframe")];
function look(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const charts = [...page.querySelectorAll(".chart")];
  const size = (chart) => {
    const box = chart.querySelector("svg").getBoundingClientRect();
    return [box.width, box.height];
  };
  return {
    width: frame.clientWidth, scroll: root.scrollWidth, charts: charts.length,
    marks: charts.map((chart) => chart.querySelectorAll("svg path").length), sizes: charts.map(size),
  };
}
const timer = setInterval(() => {
  if (!frames.every((frame) => frame.contentDocument?.documentElement?.dataset.drawn)) return;
  clearInterval(timer);
  document.getElementById("seen").textContent = JSON.stringify(frames.map(look));
}, 100);
</script>"""


def _look(page: str, scratch: Path) -> tuple[list[dict[str, Any]], str]:
    """What a browser shows of the page at each of WIDTHS, and what it wrote to its console."""
    frames = [
        f'<iframe width="{width}" height="800" style="border:0" srcdoc="{escape(page)}"></iframe>' for width in WIDTHS
    ]
    harness = scratch / "harness.html"
    harness.write_text(HARNESS % "".join(frames), encoding="utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={scratch / 'profile'}", "--virtual-time-budget=60000"]
    done = subprocess.run(
        [*command, "--dump-dom", harness.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(scratch)},
        check=False,
    )
    seen = re.search(r'<pre id="seen">(.+?)</pre>', done.stdout)
    assert seen, done.stderr[-3000:]
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return json.loads(unescape(seen[1])), console


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(
    "options",
    [
        {
            "columns": {"sex": lambda number: ("male", "female")[number % 2], "age": lambda number: str(number // 9)},
            "more": {"report": {"subgroups": ["sex", "age"]}, "compare": {"margin": 0.03}},
        },
        {
            "classes": ["akiec", "bcc", "a class of a name that is long", "mel", "nv"],
            "per_class": [20, 30, 20, 40, 90],
            "arms": {f"an-arm-with-a-rather-long-name-{number}": {"model.dropout": number / 10} for number in range(9)},
            "folds": 2,
            "seeds": 1,
            "epochs": 3,
        },
    ],
    ids=["two arms, two columns of subgroups", "nine arms, five classes, two folds"],
)
def test_every_chart_is_drawn_and_nothing_overflows(
    make_study: MakeStudy, tmp_path: Path, options: dict[str, Any]
) -> None:
    record = StudyRecord(make_study(**options))
    summary = summarize(record)
    page = render(summary, Pictures(sample_pictures(record)))
    seen, console = _look(page, tmp_path)
    assert console == ""
    for found, width in zip(seen, WIDTHS, strict=True):
        assert found["width"] == width
        assert found["scroll"] <= width
        subgroups = len(options.get("columns", ()))
        more = int(options.get("folds", 1) > 1) + int(summary["balance"]["unequal"])
        assert found["charts"] == 7 + subgroups + more + 4 * len(options.get("arms", ("baseline", "dropout")))
        assert min(found["marks"]) > 0
        assert all(100 < wide <= width and high > 60 for wide, high in found["sizes"])
