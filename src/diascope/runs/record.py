"""A study folder and its run folders as they lie on disk: a view that only reads.

    study = StudyRecord(Path("out"))
    study.arms                          ("baseline", "dropout")
    study.runs[0].history               pandas data frame, one row an epoch
    study.runs[0].predictions           pandas data frame, one row an image, checkpoint and side

Files are read when they are asked for. pandas is imported then, not before.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from diascope.config import RunConfig, StudyConfig, as_recorded, same_as_planned
from diascope.core.csv_cells import unguard_frame
from diascope.core.errors import RunError
from diascope.core.findings import Finding
from diascope.runs.folder import ADDED_COLUMNS, HISTORY_COLUMNS, run_path
from diascope.runs.judged_log import Look, read_test_log
from diascope.runs.look_log import VerdictLook, asked_seeds, read_look_log
from diascope.runs.written import Done, Folds, first_problem, read_as, read_object, read_text
from diascope.studyfile import Arm, Study, load_study

if TYPE_CHECKING:
    from pandas import DataFrame

State = Literal["done", "unfinished", "missing", "stale"]

PREDICTION_COLUMNS = ("checkpoint", "side", "path", "group", "label")
_TRAIN_AGAIN = "delete the folder {folder} and run the study again: it trains what is missing"


@dataclass(frozen=True)
class RunRecord:
    """One training: arm x fold x seed, and the folder that it owns (which need not exist yet)."""

    arm: str
    fold: int
    seed: int
    folder: Path
    planned: Arm | None = None  # what the study asks of it now

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def state(self) -> State:
        """done.json is written last, so a run with it is complete; stale: of another configuration than planned.

        A power loss may bring back the done.json of an earlier run, which names that one.
        """
        if not self.folder.is_dir():
            return "missing"
        if not self.done or self.done.get("run_id") != self.run_id:
            return "unfinished"
        return "stale" if self._is_stale() else "done"

    @property
    def failure(self) -> str:
        """The last line of the error that ended an unfinished run; empty if there was none."""
        path = self.folder / "error.txt"
        lines = self._text(path).strip().splitlines() if path.exists() else []
        return lines[-1] if lines else ""

    def _is_stale(self) -> bool:
        if self.planned is None:
            return False
        try:
            found = RunConfig.model_validate_json(json.dumps(as_recorded(self.config)), strict=True)
        except ValidationError as error:
            raise self._damaged(self.folder / "config.json", first_problem(error)) from error
        return not same_as_planned(found, self.planned)

    @property
    def run_id(self) -> str:
        return str(self._identity["run_id"])

    @property
    def config(self) -> dict[str, Any]:
        """The run's resolved configuration: data, split, model, augmentation, training, fold and seed."""
        found: dict[str, Any] = self._identity["config"]
        return found

    @property
    def bits(self) -> int | None:
        """How many of 16 the gray values of its images were taken to use; None where that was not written down."""
        found = self._identity.get("bits")
        return found if isinstance(found, int) else None

    @cached_property
    def _identity(self) -> dict[str, Any]:
        found = self._json("config.json")
        if not isinstance(found.get("run_id"), str) or not isinstance(found.get("config"), dict):
            raise self._damaged(self.folder / "config.json", "it holds no run_id or no config")
        return found

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, machine and time; empty if none was recorded yet."""
        return self._json("provenance.json") if (self.folder / "provenance.json").exists() else {}

    @cached_property
    def done(self) -> dict[str, Any]:
        """What was written when the run ended: run_id, epochs, best_epoch, seconds, finished; empty before."""
        path = self.folder / "done.json"
        return read_as(Done, path, _TRAIN_AGAIN.format(folder=self.folder)) if path.exists() else {}

    @property
    def probes(self) -> dict[str, Any]:
        """probes.json: what shortcut probes found of this run; empty if it was not probed, or is another run by now."""
        found = self._json("probes.json") if (self.folder / "probes.json").exists() else {}
        return found if found.get("run_id") == self.run_id else {}

    @cached_property
    def history(self) -> "DataFrame":
        """One row an epoch, HISTORY_COLUMNS; no rows before the first epoch has ended. What an older version of
        Diascope did not write is NaN.

        While a run is being written its last line may be half there: a line without an end is left out.
        """
        import pandas as pd

        path = self.folder / "history.csv"
        if not self.done and not path.exists():
            return pd.DataFrame({column: pd.Series(dtype=float) for column in HISTORY_COLUMNS})
        always = tuple(column for column in HISTORY_COLUMNS if column not in ADDED_COLUMNS)
        frame = self._csv(path, always, text=()).reindex(columns=list(HISTORY_COLUMNS))
        if frame["epoch"].tolist() != list(range(1, len(frame) + 1)):
            raise self._damaged(path, "its epochs are not 1, 2, 3, ... in order")
        return frame.astype({"epoch": int})

    @cached_property
    def predictions(self) -> "DataFrame":
        """One row an image, checkpoint (last, best) and side (validation, test): PREDICTION_COLUMNS and p_<class>."""
        path = self.folder / "predictions.csv"
        frame = self._csv(path, PREDICTION_COLUMNS, text=PREDICTION_COLUMNS)
        classes = predicted_classes(frame)
        if len(classes) < 2:
            raise self._damaged(path, "it holds probabilities of fewer than two classes")
        if not set(frame["label"]) <= set(classes):
            raise self._damaged(path, "it names a class that it has no probabilities of")
        if not frame[[f"p_{name}" for name in classes]].apply(lambda column: column.between(0, 1)).all(axis=None):
            raise self._damaged(path, "it holds a probability outside 0 to 1")
        return frame

    def _csv(self, path: Path, required: tuple[str, ...], text: tuple[str, ...]) -> "DataFrame":
        """A table with at least the required columns, the columns in `text` as strings and the rest as numbers."""
        from io import StringIO

        import pandas as pd

        content = self._text(path)
        complete = content[: content.rfind("\n") + 1]
        if self.done and complete != content:
            raise self._damaged(path, "its last line is cut off")
        try:
            frame = pd.read_csv(StringIO(complete), dtype=str, keep_default_na=False)
        except ValueError as error:
            raise self._damaged(path, f"not a table ({error})") from error
        missing = [column for column in required if column not in frame]
        if missing:
            raise self._damaged(path, f"it has no column {', '.join(missing)}")
        frame = unguard_frame(frame, text)
        for name in [str(column) for column in frame if column not in text]:
            try:
                frame[name] = (
                    frame[name].map(float).astype(float)
                )  # Python's parsing is exact in every version of pandas
            except ValueError as error:
                raise self._damaged(path, f"column {name}: {error}") from error
        return frame

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        return read_object(path, _TRAIN_AGAIN.format(folder=self.folder))

    def _text(self, path: Path) -> str:
        return read_text(path, _TRAIN_AGAIN.format(folder=self.folder))

    def _damaged(self, path: Path, what: str) -> RunError:
        return RunError(f"damaged: {what}", where=str(path), remedy=_TRAIN_AGAIN.format(folder=self.folder))


class StudyRecord:
    """One study folder. Raises RunError if `folder` does not hold a study, or a file of it is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "study.yaml").is_file():
            what = "there is no study.yaml in it" if self.folder.is_dir() else "there is no such folder"
            remedy = "name the folder that was given to `diascope run ... --out`"
            raise RunError(what, where=str(self.folder), remedy=remedy)

    @cached_property
    def _loaded(self) -> Study:
        return load_study(self.folder / "study.yaml", recorded=True)

    @property
    def study(self) -> StudyConfig:
        """The study's configuration, every default spelled out."""
        return self._loaded.config

    @property
    def arm_configs(self) -> tuple[Arm, ...]:
        """The arms, their overrides applied, in the study's order."""
        return self._loaded.arms

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms, in the study's order."""
        return tuple(arm.name for arm in self.arm_configs)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are asked for now: where they are added until a decision, those up to the next look."""
        return asked_seeds(self.study, self.looks)

    @cached_property
    def looks(self) -> tuple[VerdictLook, ...]:
        """Every time that verdicts were seen, the oldest first."""
        return read_look_log(self.folder)

    @cached_property
    def runs(self) -> tuple[RunRecord, ...]:
        """Every run that the study asks for, by arm, then fold, then seed; whether it exists says its state."""
        return tuple(
            RunRecord(arm.name, fold, seed, run_path(self.folder, arm.name, fold, seed), arm)
            for arm in self.arm_configs
            for fold in range(len(self.folds["folds"]))
            for seed in self.seeds
        )

    def runs_of(self, arm: str) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.arm == arm)

    @cached_property
    def strays(self) -> tuple[Path, ...]:
        """Run folders that the study, as it stands, does not ask for: left by another list of arms, folds or seeds."""
        wanted = {run.folder for run in self.runs}
        return tuple(sorted(path for path in self.folder.glob("runs/*/fold*-seed*") if path not in wanted))

    @cached_property
    def folds(self) -> dict[str, Any]:
        """folds.json: {"kind", "folds": [{"training": [path, ...], "validation": [path, ...]}, ...], "test": [...]}."""
        path = self.folder / "folds.json"
        remedy = "run the study again: it writes the file anew"
        found = read_as(Folds, path, remedy)
        sides = [found.get("test", []), *(fold[side] for fold in found["folds"] for side in ("training", "validation"))]
        unknown = set(chain.from_iterable(sides)) - set(self.index["path"])
        if unknown:
            what = f"names {min(unknown)!r}, which index.csv does not"
            raise RunError(f"damaged: {what}", where=str(path), remedy=remedy)
        return found

    @cached_property
    def index(self) -> "DataFrame":
        """index.csv: one row an image, all columns as strings; at least path and label."""
        from io import StringIO

        import pandas as pd

        path = self.folder / "index.csv"
        remedy = "run the study again: it writes the file anew"
        try:
            frame = pd.read_csv(StringIO(read_text(path, remedy)), dtype=str, keep_default_na=False)
        except ValueError as error:
            raise RunError(f"damaged: not a table ({error})", where=str(path), remedy=remedy) from error
        if not {"path", "label"} <= set(frame):
            raise RunError("damaged: it has no column path or label", where=str(path), remedy=remedy)
        return unguard_frame(frame, [*frame])

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """findings.json; empty if there is none."""
        path = self.folder / "findings.json"
        if not path.exists():
            return ()
        remedy = "run the study again: it writes the file anew"
        try:
            return tuple(Finding.model_validate(item) for item in json.loads(read_text(path, remedy)))
        except (ValueError, TypeError) as error:
            raise RunError(f"damaged: not a list of findings ({error})", where=str(path), remedy=remedy) from error

    @cached_property
    def test_log(self) -> tuple[Look, ...]:
        """Every time that the test side was judged, the oldest first."""
        return read_test_log(self.folder)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order that the networks were trained with."""
        if self.study.data.classes is not None:
            return self.study.data.classes
        for run in self.runs:
            if run.state == "done":
                return predicted_classes(run.predictions)
        return tuple(sorted(set(self.index["label"])))

    def samples(self, class_name: str) -> tuple[Path, ...]:
        """PNG files of a few training images of a class, as a network sees them, in order."""
        stem = sample_stem(class_name)
        found = [path for path in (self.folder / "samples").glob("*.png") if path.stem.rpartition("-")[0] == stem]
        return tuple(sorted(found, key=lambda path: (len(path.stem), path.stem)))

    @property
    def positive(self) -> str:
        """The positive class; the last one unless the study says otherwise."""
        return self.study.data.positive or self.classes[-1]


def sample_stem(class_name: str) -> str:
    """How the sample pictures of a class are called, before "-<number>.png": letters that no file may have become _.

    So does a dot that the name begins with: it would hide the file.
    """
    stem = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in class_name)
    return f"_{stem[1:]}" if stem.startswith(".") else stem


def predicted_classes(predictions: "DataFrame") -> tuple[str, ...]:
    """The classes of a table of predictions, in the order of its columns p_<class>."""
    return tuple(str(name).removeprefix("p_") for name in predictions if str(name).startswith("p_"))
