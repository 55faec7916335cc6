"""The page as text: what it says, what it escapes, that it asks nobody, and that it is the same every time."""

import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from diascope.core.errors import RunError
from diascope.report.answer import verdicts
from diascope.report.page import Pictures, readable_json, render, sample_pictures, write_report
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def _page(folder: Path) -> str:
    """The page alone, without the chart files."""
    record = StudyRecord(folder)
    return render(summarize(record), Pictures(sample_pictures(record)))


def _visible(page: str) -> str:
    """The page without scripts and styles, blanks collapsed but for those at which no line ends."""
    return re.sub(r"\s+", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL), flags=re.ASCII)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_has_its_page_numbers_and_charts(make_study: MakeStudy) -> None:
    folder = make_study()
    page = write_report(folder)
    assert page == folder / "report.html"
    summary = json.loads((folder / "summary.json").read_text())
    text = _visible(page.read_text(encoding="utf-8"))
    assert summary["answer"] in page.read_text()
    assert "Does dropout raise validation accuracy?" in text
    mean = summary["arms"]["dropout"]["metrics"]["accuracy"]["mean"]
    assert f"{mean:.3f} (" in text
    assert (folder / "checklist.md").read_text().startswith("# Reporting checklist")
    names = {"comparisons", "scores", "learning-curves", "roc"}
    names |= {f"{arm}-{kind}" for arm in summary["arms"] for kind in ("learning-curves", "errors")}
    assert {path.name for path in (folder / "charts").iterdir()} == {
        f"{n}.{end}" for n in names for end in ("svg", "png")
    }
    for path in (folder / "charts").glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 100
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10

    (folder / "charts/gone-errors.svg").write_text("")
    before = {
        path: path.read_bytes()
        for path in [page, *folder.glob("charts/*"), folder / "summary.json", folder / "checklist.md"]
    }
    write_report(folder)
    assert not (folder / "charts/gone-errors.svg").exists()
    before.pop(folder / "charts/gone-errors.svg")
    assert {path: path.read_bytes() for path in before} == before


def test_the_page_is_well_formed_and_asks_nobody(make_study: MakeStudy) -> None:
    tags = _Tags()
    tags.feed(_page(make_study(seeds=1, epochs=2)))
    assert tags.open == []
    for tag, attributes in tags.found:
        for name in ("src", "href"):
            if name in attributes:
                assert re.match(r"data:|#|summary\.json$", attributes[name] or ""), (tag, attributes)
    assert all(attributes.get("alt") for tag, attributes in tags.found if tag == "img")
    charts = [attributes for _, attributes in tags.found if "data-spec" in attributes]
    assert charts
    assert all(attributes["aria-label"] for attributes in charts)


def test_what_users_write_is_escaped(make_study: MakeStudy) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    folder = make_study(classes=["a<b>", evil], question=f"Is {evil} & more?", seeds=1, epochs=2)
    text = _page(folder)
    assert evil not in text
    assert "Is &lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; &amp; more?" in text
    assert "<b>:" not in text.split("How to read this")[0]


def test_an_incomplete_study_says_so_on_top(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs/baseline/fold0-seed0")
    text = _visible(_page(folder))
    assert text.index("Incomplete: 5 of 6 runs are finished") < text.index("Arms</h2>")
    assert "2 of 3" in text


def test_a_study_without_runs_has_a_page(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs")
    page = write_report(folder)
    assert "No run has finished yet" in _visible(page.read_text(encoding="utf-8"))


def test_the_verdict_comes_before_everything_else(make_study: MakeStudy) -> None:
    folder = make_study(more={"compare": {"margin": 0.02}})
    summary = summarize(StudyRecord(folder))
    text = _visible(_page(folder))
    (found,) = verdicts(summary)
    assert text.index(f"{found['mark']}</span>{found['title']}") < text.index(summary["answer"]) < text.index("<nav")
    order = ("Comparisons", "Arms", "Learning curves", "Errors and ROC", "Runs", "Reporting checklist", "Data")
    places = [text.index(f"{name}</h2>") for name in (*order, "How to read this", "Provenance")]
    assert places == sorted(places)
    assert "What the curves say</h3>" in text
    assert "the margin of ±0.02" in text
    tables = [int(number) for number in re.findall(r"<b>Table (\d+)\.", text)]
    figures = [int(number) for number in re.findall(r"<b>Figure (\d+)\.", text)]
    assert tables == list(range(1, len(tables) + 1))
    assert figures == list(range(1, len(figures) + 1))


def test_subgroups_and_classes_are_shown(make_study: MakeStudy) -> None:
    sites = {"site": lambda number: "eye" if number < 20 else "back"}
    folder = make_study(columns=sites, epochs=3, more={"report": {"subgroups": ["site", "age"]}})
    text = _visible(_page(folder))
    assert "all nevus" in text
    assert "undefined" in text
    assert "has no column age" in text
    assert "report.subgroups" not in text.split("The base configuration")[1].split("</table>")[0]
    many = _visible(_page(make_study(folder="many", classes=["a", "b", "c"], epochs=3, seeds=1)))
    assert "Every class against the rest" in many


def test_findings_are_listed(make_study: MakeStudy) -> None:
    folder = make_study(seeds=1, epochs=2)
    finding = {"code": "unreadable", "severity": "warning", "outcome": "issue", "sentence": "2 files < left out"}
    (folder / "findings.json").write_text(json.dumps([finding]))
    assert "2 files &lt; left out" in _visible(_page(folder))


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no study\.yaml"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "tree", [{"a": [1, 2.5, None]}, {"a": ["x, y", "[\n 1\n]"]}, {"a": [], "b": {"c": [[1, 2], [3]]}}]
)
def test_readable_json_is_the_same_tree(tree: dict[str, object]) -> None:
    assert json.loads(readable_json(tree)) == tree


def test_readable_json_keeps_a_curve_on_one_line() -> None:
    assert readable_json({"curve": [1, 2, 3]}) == '{\n "curve": [1, 2, 3]\n}\n'
