"""tuned.yaml: whatever stands in the study that was searched stands in it too."""

from pathlib import Path

import pytest

from diascope.study.tuning.ledger import Result
from diascope.study.tuning.outcome import Found, tuned_study
from diascope.studyfile import parse_study

SCHEDULES = ("constant", "step", "exponential", "{kind: cosine, warmup: 1}", "plateau", "one_cycle")


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("kind", ["holdout", "kfold"])
def test_the_base_of_the_study_is_kept(schedule: str, kind: str, tmp_path: Path) -> None:
    text = f"""
name: searched
data: {{source: "phantom:skin", image_size: 16}}
split: {{kind: {kind}}}
augmentation: {{rotation: 10, blur: {{range: 1, probability: 0.5}}}}
model: {{name: resnet, depth: 8}}
training: {{epochs: 3, schedule: {schedule}, early_stopping: 2, class_weights: balanced}}
search: {{space: {{training.learning_rate: [1e-4, 1e-3]}}}}
"""
    study = parse_study(text, [], where="s.yaml", folder=tmp_path)
    best = Result(2, "complete", {"training.learning_rate": 1e-3}, 0.7, (0.7, 0.7, 0.7), 1.0, "")
    tuned, written = tuned_study(study, Found((best,), best, None, 0))
    default, found = tuned.arms
    base = study.arms[0]
    assert (default.data, default.model, default.augmentation) == (base.data, base.model, base.augmentation)
    assert default.training == base.training
    assert found.training == base.training.model_copy(update={"learning_rate": 1e-3})
    assert parse_study(written, [], where="tuned.yaml", folder=tmp_path) == tuned
    assert ("the others' validation sides were searched on" in written) == (kind == "kfold")
