"""The section on a search: its numbers from the files of a search, in words, tables and charts."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diascope.core.errors import RunError
from diascope.report.charts import page_specs
from diascope.report.page import write_report
from diascope.report.search import place_of, search_tables
from diascope.report.summary import summarize
from diascope.report.tables import chart_tables
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
ARMS: dict[str, dict[str, object]] = {"default": {}, "tuned": {"training.learning_rate": 0.001}}
HEAD = "trial,state,value,fold0,fold1,seconds,problem,training.learning_rate,training.optimizer"
ROWS = (
    '1,complete,0.6,0.5,0.7,30,,0.0001,"""adam"""',
    '2,complete,0.8,0.85,0.75,30,,0.001,"""sgd"""',
    '3,pruned,,0.4,,15,,0.01,"""adam"""',
    '4,failed,,,,1,the training loss is nan,0.1,"""sgd"""',
    '5,complete,0.8,0.8,0.8,44,,0.002,"""adam"""',
)
SEARCH: dict[str, Any] = {
    "metric": "accuracy",
    "lower_is_better": False,
    "folds": 2,
    "seed": 0,
    "pruner": "median",
    "warmup_trials": 2,
    "space": {
        "training.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
        "training.optimizer": {"choices": ["adam", "sgd"]},
    },
    "counts": {"complete": 3, "pruned": 1, "failed": 1},
    "begun_again": 1,
    "seconds": 120,
    "best": {"trial": 2, "value": 0.8, "values": {"training.learning_rate": 0.001, "training.optimizer": "sgd"}},
    "default": {"trial": 1, "value": 0.6, "values": {"training.learning_rate": 0.0001, "training.optimizer": "adam"}},
    "importances": {"training.learning_rate": 0.9, "training.optimizer": 0.1},
}


def add_search(folder: Path, rows: tuple[str, ...] = ROWS, **changed: object) -> Path:
    (folder / "search").mkdir()
    (folder / "search" / "search.json").write_text(json.dumps(SEARCH | changed))
    (folder / "search" / "trials.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return folder


def searched(make_study: MakeStudy, **options: object) -> Path:
    return make_study(arms=ARMS, **options)


def test_a_study_without_a_search_has_no_section(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study()))
    assert summary["search"] is None
    assert not [name for name in page_specs(summary, chart_tables(summary)) if name.startswith("search")]


def test_the_trials_are_read_with_the_best_so_far(make_study: MakeStudy) -> None:
    search = summarize(StudyRecord(add_search(searched(make_study))))["search"]
    assert [trial["so_far"] for trial in search["trials"]] == [0.6, 0.8, 0.8, 0.8, 0.8]
    assert [trial["shown"] for trial in search["trials"]] == [0.6, 0.8, 0.4, None, 0.8]
    assert [trial["trial"] for trial in search["best_trials"]] == [2, 5, 1], "of equal ones the first"
    assert search["trials"][1]["values"] == {"training.learning_rate": 0.001, "training.optimizer": "sgd"}


def test_for_a_loss_less_is_better(make_study: MakeStudy) -> None:
    folder = add_search(searched(make_study), metric="loss", lower_is_better=True)
    search = summarize(StudyRecord(folder))["search"]
    assert [trial["so_far"] for trial in search["trials"]] == [0.6] * 5
    assert search["best_trials"][0]["trial"] == 1


def test_inner_minus_outer_is_of_the_first_fold_over_seeds(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(add_search(searched(make_study, folds=3, seeds=2))))
    for arm, inner in (("tuned", 0.8), ("default", 0.6)):
        scores = [run["last"]["accuracy"] for run in summary["arms"][arm]["runs"] if run["fold"] == 0]
        found = summary["search"]["optimism"][arm]
        assert len(scores) == found["seeds"] == 2
        assert found["outer"] == pytest.approx(sum(scores) / 2)
        assert found["sd"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
        assert found["difference"] == pytest.approx(inner - sum(scores) / 2)
    assert any("Only fold 0 is free of that" in sentence for sentence in summary["warnings"])


def test_the_words_say_what_was_done_and_found(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(add_search(searched(make_study))))
    done, best, inner, mattered = summary["search"]["sentences"]
    start = (
        "5 configurations were tried: 3 were trained on all 2 inner folds, 1 was ended early, being below the median,"
    )
    assert done.startswith(f"{start} 1 failed.")
    assert "Once a trial was taken up again" in done
    assert "2 min 0 s" in done
    assert "Trial 2 is the best: training.learning_rate 0.001, training.optimizer sgd." in best
    assert "Its inner accuracy is 0.800; the default has 0.600." in best
    difference = summary["search"]["optimism"]["tuned"]["difference"]
    assert f"inner minus outer is {difference:+.3f}".replace("-", "−") in inner
    assert ("believe the outer one" in inner) == (difference > 0)
    assert "training.learning_rate 90%, training.optimizer 10%" in mattered
    assert not any("fold 0" in sentence for sentence in summary["warnings"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"default": None}, "the default lies outside the space"),
        ({"default": SEARCH["default"] | {"value": None}}, "the default, trial 1, did not end with a score"),
        ({"best": SEARCH["default"]}, "No trial did better than the default (inner accuracy 0.600)"),
    ],
)
def test_what_is_said_of_the_default(make_study: MakeStudy, changed: dict[str, object], words: str) -> None:
    arms = {"default": {}} if "best" in changed else ARMS
    summary = summarize(StudyRecord(add_search(make_study(arms=arms), **changed)))
    assert words in summary["search"]["sentences"][1]


def test_places_along_an_axis_follow_its_scale() -> None:
    rate = {"low": 1e-5, "high": 1e-1, "log": True}
    assert [place_of(rate, value) for value in (1e-5, 1e-3, 1e-1)] == pytest.approx([0, 0.5, 1])
    assert place_of({"low": 2, "high": 6}, 3) == pytest.approx(0.25)
    assert [place_of({"choices": ["a", "b", [1, 2]]}, value) for value in ("a", "b", [1, 2])] == [0, 0.5, 1]


def test_the_charts_find_every_column_that_they_draw(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(add_search(searched(make_study))))
    tables = chart_tables(summary)
    lines = tables["search_lines"]
    assert {row["trial"] for row in lines} == {1, 2, 5}, "a trial that was ended early has no value to lead to"
    assert {row["trial"] for row in lines if row["best"]} == {2}
    assert len(lines) == 3 * 3
    specs = page_specs(summary, tables)
    for name in ("search-history", "search-parallel", "search-importances"):
        for layer in specs[name]["layer"]:
            columns = set(tables[layer.get("data", specs[name].get("data"))["name"]][0])
            fields = set(re.findall(r'"field": "(\w+)"', json.dumps(layer["encoding"])))
            assert fields <= columns, f"{name} draws {fields - columns}"
    assert search_tables(None) == {}


def test_the_page_shows_the_section_and_writes_its_charts(make_study: MakeStudy) -> None:
    folder = add_search(searched(make_study))
    page = write_report(folder).read_text(encoding="utf-8")
    section = page[page.index('<section id="search">') :].split("</section>")[0]
    for name in ("search-history", "search-parallel", "search-importances"):
        assert f'data-spec="{name}"' in section
        assert (folder / "charts" / f"{name}.svg").exists()
    assert "0.850, 0.750" in section, "scores by fold in the table of the best trials"
    assert '<a href="#search">Search</a>' in page
    assert json.loads((folder / "summary.json").read_text())["search"]["best"]["trial"] == 2


def test_without_importances_there_is_no_chart_of_them(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(add_search(searched(make_study), importances={})))
    assert "search-importances" not in page_specs(summary, chart_tables(summary))
    assert len(summary["search"]["sentences"]) == 3


@pytest.mark.parametrize("damage", ["{", "{}", '{"metric": "accuracy"}'])
def test_a_damaged_search_is_told_with_a_remedy(make_study: MakeStudy, damage: str) -> None:
    folder = add_search(searched(make_study))
    (folder / "search" / "search.json").write_text(damage)
    with pytest.raises(RunError, match=r"damaged.*diascope tune"):
        summarize(StudyRecord(folder))


def test_a_search_that_has_not_ended_is_left_out(make_study: MakeStudy) -> None:
    folder = searched(make_study)
    (folder / "search").mkdir()
    assert summarize(StudyRecord(folder))["search"] is None
