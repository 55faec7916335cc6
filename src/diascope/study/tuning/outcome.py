"""What a search leaves for people and for the report: DIR/search/trials.csv, search.json, and DIR/tuned.yaml."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from diascope.compare.primary import Primary
from diascope.config import SearchConfig
from diascope.core.csv_cells import csv_text
from diascope.core.errors import RunError
from diascope.core.files import write_atomic, write_json
from diascope.metrics import REGISTRY
from diascope.study.tuning.ledger import Ledger, Result
from diascope.study.tuning.space import Values, name_of, overridden
from diascope.studyfile import Study, parse_study

DEFAULT, TUNED = "default", "tuned"


@dataclass(frozen=True)
class Found:
    """How a search ended. `default` is None where the configuration that it started from lies outside its space."""

    results: tuple[Result, ...]
    best: Result
    default: Result | None
    begun_again: int

    @property
    def is_default(self) -> bool:
        """Whether nothing better than the default was found."""
        return self.default is not None and self.best.number == self.default.number


def conclude(ledger: Ledger, default: Values | None, folder: Path, *, lower_is_better: bool) -> Found:
    """The best of the trials that were not ended early; of equal ones the first. RunError where there is none."""
    results = ledger.results()
    judged = [(result.value, result) for result in results if result.value is not None]
    if not judged:
        problems = Counter(result.problem for result in results if result.problem)
        last = problems.most_common(1)[0][0] if problems else "no trial has ended"
        remedy = "put that right, then give another --out"
        raise RunError(f"not one of {len(results)} trials came to a score: {last}", where=str(folder), remedy=remedy)
    sign = 1 if lower_is_better else -1
    best = min(judged, key=lambda found: (sign * found[0], found[1].number))[1]
    start = default and [result for result in results if name_of(result.values) == name_of(default)]
    return Found(tuple(results), best, start[0] if start else None, ledger.begun_again())


def write_search(found: Found, search: SearchConfig, primary: Primary, importances: dict[str, float], to: Path) -> None:
    """All that the report says of the search, into the folder DIR/search."""
    counts = Counter(result.state for result in found.results)
    write_atomic(to / "trials.csv", _table(found.results, search))
    write_json(
        to / "search.json",
        {
            "metric": primary.metric,
            "lower_is_better": REGISTRY[primary.metric].lower_is_better,
            "folds": search.folds,
            "seed": search.seed,
            "pruner": search.pruner,
            "warmup_trials": search.warmup_trials,
            "space": {key: _range(search, key) for key in search.space},
            "counts": {state: counts[state] for state in ("complete", "pruned", "failed")},
            "begun_again": found.begun_again,
            "seconds": round(sum(result.seconds for result in found.results), 1),
            "best": _named(found.best),
            "default": _named(found.default) if found.default else None,
            "importances": importances,
        },
    )


def _range(search: SearchConfig, key: str) -> dict[str, Any]:
    return search.space[key].model_dump(mode="json", exclude_defaults=True)


def _named(result: Result) -> dict[str, Any]:
    return {"trial": result.number, "value": result.value, "values": result.values}


def _table(results: Sequence[Result], search: SearchConfig) -> str:
    """A row a trial; values of the space are written as in JSON."""
    folds = [f"fold{number}" for number in range(search.folds)]
    rows: list[Sequence[object]] = [["trial", "state", "value", *folds, "seconds", "problem", *search.space]]
    for result in results:
        scores = [*result.scores, *[""] * (search.folds - len(result.scores))]
        values = [json.dumps(result.values[key], ensure_ascii=False) for key in search.space]
        value = "" if result.value is None else result.value
        rows.append([result.number, result.state, value, *scores, result.seconds, result.problem, *values])
    return csv_text(rows)


def tuned_study(study: Study, found: Found) -> tuple[Study, str]:
    """The study of the default against what was found, and its file. Nothing else of the study is changed."""
    arms = {DEFAULT: overridden(study, {})}
    if not found.is_default:
        arms[TUNED] = overridden(study, found.best.values)
    compare = study.config.compare.model_copy(update={"pairs": None})
    config = study.config.model_copy(update={"arms": arms, "compare": compare, "search": None})
    stream = StringIO()
    yaml = YAML()
    yaml.default_flow_style, yaml.width = False, 120
    tree = {"diascope": 1, **config.model_dump(mode="json", exclude_defaults=True), "arms": arms}
    tree["data"]["channels"] = config.data.channels  # which would follow the images if it were left out
    yaml.dump(tree, stream)
    text = _header(study, found) + stream.getvalue()
    return parse_study(text, [], where=study.config.name, folder=Path.cwd()), text


def _header(study: Study, found: Found) -> str:
    search = study.config.search
    assert search is not None
    lines = [
        f"What a search of {len(found.results)} trials found for {study.config.name}, beside what it started from",
        "",
        "  diascope run tuned.yaml --out .",
        "",
        f"default: the first arm of the study that was searched; inner score {_score(found.default)}.",
    ]
    if found.is_default:
        lines += ["The search found nothing better, so there is no other arm."]
    else:
        lines += [f"tuned: trial {found.best.number}, the best one; inner score {_score(found.best)}."]
    lines += [
        f"Inner scores are means over {search.folds} folds of the training side alone. That of the best of many trials",
        "is too good: only the study's own validation side, which no trial saw, tells what the configuration is worth.",
    ]
    if study.split.kind == "kfold":
        lines += ["Of several folds that holds of the first alone: the others' validation sides were searched on."]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n"


def _score(result: Result | None) -> str:
    return "unknown, since it lies outside the space" if result is None else _number(result.value)


def _number(value: float | None) -> str:
    return "unknown, since its trial was ended early or failed" if value is None else f"{value:.3f}"
