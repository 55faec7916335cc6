"""What a report says of pretrained networks: where weights come from, what learns of them, and what goes in."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diascope.config import DataConfig, ModelConfig, TrainingConfig
from diascope.config.model import KEYS
from diascope.report.charts import page_specs
from diascope.report.checklist import checklist_section
from diascope.report.checklist.pretrained_words import (
    finetuning_words,
    fitted_words,
    network_words,
    scaling_words,
    weights_words,
)
from diascope.report.checklist.training_words import GLOROT, begins_at_random, initial_weights
from diascope.report.page import Pictures, flat, render
from diascope.report.starts import fold_starts, from_scratch
from diascope.report.summary import summarize
from diascope.report.tables import chart_tables, of_arm
from diascope.runs.record import StudyRecord
from diascope.studyfile import Arm, parse_study

PAGE = (Path(__file__).parents[2] / "docs" / "transfer.md").read_text(encoding="utf-8")
MakeStudy = Callable[..., Path]
Summary = dict[str, Any]

VGG = {"name": "pretrained", "backbone": "vgg16"}
LOGISTIC = {**VGG, "head": "logistic"}
FINETUNE = {**VGG, "mode": "finetune"}


def _model(section: dict[str, Any]) -> dict[str, Any]:
    return ModelConfig.model_validate_json(json.dumps(section)).model_dump(mode="json")


def _training(**options: Any) -> dict[str, Any]:
    return TrainingConfig.model_validate(options).model_dump(mode="json")


def _config(section: dict[str, Any], **training: Any) -> dict[str, Any]:
    data = DataConfig(source="phantom:skin", image_size=64).model_dump(mode="json")
    return {"model": _model(section), "training": _training(**training), "data": data}


def _rows(summary: Summary) -> dict[str, str]:
    return {row["key"]: row["text"] for row in checklist_section(summary)["rows"]}


def _study(make_study: MakeStudy, arms: dict[str, dict[str, Any]], **options: Any) -> Summary:
    """A study whose base is a pretrained network."""
    more = {"model": VGG, **options.pop("more", {})}
    return summarize(StudyRecord(make_study(arms=arms, more=more, **{"seeds": 1, "epochs": 2, **options})))


def _leave_one_epoch(run: Path) -> None:
    """As a logistic head leaves its folder."""
    lines = (run / "history.csv").read_text().splitlines()
    (run / "history.csv").write_text("\n".join(lines[:2]) + "\n")
    done = (run / "done.json").read_text().replace('"epochs": 30', '"epochs": 1')
    (run / "done.json").write_text(done.replace('"best_epoch": 27', '"best_epoch": 1'))


# ---- words ----


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"weights": "hub"}, "the weights that timm publishes for vgg16 (its hub)"),
        ({"weights": "/home/me/bone.safetensors"}, "the weights for vgg16 in the file bone.safetensors"),
        ({"weights": "random"}, "random weights of vgg16 by timm's own rules, drawn anew by every run"),
    ],
)
def test_weights_are_told_by_where_they_come_from(keys: dict[str, Any], words: str) -> None:
    assert weights_words(_model(VGG | keys)).startswith(words)
    assert "/home/me" not in weights_words(_model(VGG | keys))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"pooling": "flatten"}, "are all values of what its last block gives, and"),
        ({"pooling": "both"}, "are all values, and the means over all places, of what"),
        ({"layer": 2}, "of what its block 2 (the first is 0) gives"),
        ({"layer": -2}, "of what its block −2 (the last is −1) gives"),
        ({"feature_precision": "float16"}, "gives (stored as float16)"),
        ({"dense": [16], "dropout": 0.5}, "and a head with a hidden dense layer (16 units, dropout 0.5) learns"),
        ({"dense": [64, 32]}, "and a head with 2 hidden dense layers (64 and 32 units) learns"),
        ({"dense": [64, 32], "dropout": 0.2}, "(64 and 32 units, dropout 0.2 after each)"),
        ({"head": "logistic", "inverse_regularization": 0.01},
         "and a logistic regression (scikit-learn, L2 penalty, C 0.01) learns from them"),
        ({"mode": "finetune"}, "of which the last block learns, with a linear head, which takes the means over all"),
        ({"mode": "finetune", "unfreeze": 3}, "of which the last 3 blocks learn"),
        ({"mode": "finetune", "unfreeze": "all"}, "all of which learns"),
        ({"mode": "finetune", "feature_precision": "float16"}, "stays as it is, and what it gives is stored"),
    ],
)  # fmt: skip
def test_a_network_is_told_by_what_learns_of_it(keys: dict[str, Any], words: str) -> None:
    assert words in network_words(_model(VGG | keys))
    assert words not in network_words(_model(VGG))


def test_features_are_what_is_told_unless_said_otherwise() -> None:
    assert network_words(_model(VGG)) == (
        "the backbone vgg16 of timm, of which nothing learns: the features of an image are the means over all places "
        "of what its last block gives, and a linear head learns from them"
    )
    assert "stays as it is" not in network_words(_model(FINETUNE | {"unfreeze": "all"}))


@pytest.mark.parametrize(
    ("keys", "epochs", "words"),
    [
        ({"layer_decay": 0.5}, 10, "the learning rate of each block 0.5 times that of the one behind it"),
        ({"unfreeze_every": 2, "unfreeze": 3}, 10,
         "for the first 2 epochs the head learns alone, then every 2 epochs one block more, the last one first (Howard "
         "and Ruder 2018), at most 3 blocks by the last epoch"),
        ({"unfreeze_every": 4, "unfreeze": "all"}, 10, "at most 2 blocks by the last epoch"),
        ({"unfreeze_every": 1, "unfreeze": 5}, 2, "for the first epoch the head learns alone, then every epoch one"),
        ({"unfreeze_every": 10}, 10, "at most 0 blocks by the last epoch"),
        ({"frozen_statistics": False}, 10, "of the blocks that learn take their means and variances from the training"),
    ],
)  # fmt: skip
def test_how_blocks_learn_is_told_where_they_do(keys: dict[str, Any], epochs: int, words: str) -> None:
    training = _training(epochs=epochs)
    assert words in "; ".join(finetuning_words(_model(FINETUNE | keys), training))
    assert words not in "; ".join(finetuning_words(_model(FINETUNE), training))
    assert finetuning_words(_model(VGG), training) == []
    assert finetuning_words(_model({"name": "vgg"}), training) == []


def test_a_logistic_head_is_told_without_what_it_does_not_have() -> None:
    training = _training(class_weights="balanced", precision="bf16", batch_size=77, learning_rate=0.123, epochs=99)
    words = fitted_words(_model(LOGISTIC), training)
    assert "(scikit-learn, L2 penalty, C 1, images weighted by class) is fitted to its end at once, without" in words
    assert "bfloat16" in words
    assert not {"77", "0.123", "99", "Adam"} & set(words.replace(",", "").split())
    plain = fitted_words(_model(LOGISTIC | {"weights": "random"}), _training())
    assert "weighted" not in plain
    assert "bfloat16" not in plain
    assert "all seeds of a fold are equal" in words
    assert "all seeds of a fold are equal" not in plain


@pytest.mark.parametrize(
    ("keys", "channels", "words"),
    [
        ({}, 3, "from which the mean that the weights expect is taken, divided by their SD, channel by channel"),
        ({"weights": "random"}, 3, "the mean that timm's weights of vgg16 would expect is taken"),
        ({"preprocessing": "none"}, 3, "NORMAL"),
        ({"preprocessing": "none"}, 1, "NORMAL; the one channel is repeated for red, green and blue"),
        ({"gray": "adapt"}, 1, "averaged over the colours; the first layer is adapted to one channel (its weights"),
        ({"gray": "adapt", "weights": "random"}, 1, "the first layer is made for one channel"),
    ],
)
def test_what_goes_in_is_told(keys: dict[str, Any], channels: int, words: str) -> None:
    told = scaling_words(_model(VGG | keys), channels, "NORMAL")
    assert words in told
    assert ("NORMAL" in told) == ("preprocessing" in keys)
    assert ("red, green" in told) == (channels == 1 and "gray" not in keys)


# ---- how trainings begin ----


@pytest.mark.parametrize(
    ("keys", "start", "words", "drawn"),
    [
        (VGG, None, f"the weights that timm publishes for vgg16 (its hub); in the head {GLOROT}", True),
        (LOGISTIC, None, "the weights that timm publishes for vgg16 (its hub)", False),
        (LOGISTIC | {"weights": "random"}, None, "random weights of vgg16 by timm's own rules, drawn anew by", True),
        (FINETUNE, "arm:a", "(its hub); over them, the weights that arm a had learned by the best epoch of its", False),
        (FINETUNE, "../b", "(its hub); over them, the best weights of an earlier run (../b)", False),
        ({"name": "vgg"}, "arm:a", "the weights that arm a had learned by the best epoch of its run of the", False),
        ({"name": "vgg"}, None, GLOROT, True),
    ],
)  # fmt: skip
def test_initial_weights(keys: dict[str, Any], start: str | None, words: str, drawn: bool) -> None:
    model, training = _model(keys), _training(start_from=start)
    assert words in initial_weights(model, training)
    assert begins_at_random(model, training) == drawn


def test_from_scratch_is_only_what_surely_is() -> None:
    configs = {
        "plain": _config({"name": "alexnet"}),
        "longer": _config({"name": "alexnet"}, start_from="arm:plain"),
        "random": _config(VGG | {"weights": "random"}),
        "pretrained": _config(VGG),
        "finer": _config(FINETUNE, start_from="arm:pretrained"),
        "elsewhere": _config({"name": "alexnet"}, start_from="../study/runs/a/fold{fold}-seed{seed}"),
        "after": _config({"name": "alexnet"}, start_from="arm:elsewhere"),
        "lost": _config({"name": "alexnet"}, start_from="arm:gone"),
        "round": _config({"name": "alexnet"}, start_from="arm:round"),
    }
    assert from_scratch(configs) == ["plain", "longer", "random"]


def test_a_study_from_scratch_says_so(make_study: MakeStudy) -> None:
    rows = _rows(summarize(StudyRecord(make_study(seeds=1, epochs=2))))
    drawn = "What is random of it is drawn from each run's own seed."
    assert rows["initialization"] == f"{GLOROT}. {drawn} No pretrained weights."
    assert "pretrained" not in "".join(text for key, text in rows.items() if key != "initialization")
    assert "were chosen on it" not in rows["internal"]


def test_a_mixed_study_says_it_of_the_right_arms(make_study: MakeStudy) -> None:
    arms = {
        "features": {},
        "fine-tuned": {"model.mode": "finetune", "training.start_from": "arm:features"},
        "control": {"model.weights": "random"},
        "scratch": {"model.name": "alexnet", "model.base_channels": 4, "model.backbone": None},
    }
    summary = _study(make_study, arms, folds=2)
    rows = _rows(summary)
    assert rows["initialization"].endswith("from each run's own seed and its fold. No pretrained weights in control "
                                           "and scratch.")  # fmt: skip
    assert "Control: random weights of vgg16" in rows["initialization"]
    assert rows["identification"].startswith("Deep learning: neural networks (vgg16 of timm and alexnet)")
    assert "Base: the backbone vgg16 of timm, of which nothing learns" in rows["model"]
    assert "Fine-tuned: the backbone vgg16 of timm, of which the last block learns" in rows["model"]
    assert "Scratch: alexnet (base channels 4, dense [64, 64]" in rows["model"]
    assert "The weights that fine-tuned began with are of epochs that were chosen on it." in rows["internal"]
    assert "The weights of vgg16 are pretrained: what they had been trained on is not known" in rows["limitations"]
    assert "is not in it: the weights that timm publishes for vgg16 (its hub)." in rows["code_availability"]
    assert "Arms features and fine-tuned: every image is read as gray" in rows["preprocessing"]
    assert "Arm scratch: every image is read as gray, stretched" in rows["preprocessing"]
    assert "fine-tuned: normalization layers, if there are any, keep the means" in rows["training"].lower()


def test_of_a_file_of_weights_the_page_shows_the_name_alone(make_study: MakeStudy) -> None:
    arms = {"features": {}, "other": {"model.weights": "/home/me/other.pth"}}
    summary = _study(make_study, arms, more={"model": {**VGG, "weights": "/home/me/first.pth"}})
    page = " ".join(render(summary).split())
    assert (
        '>other</th><td class="code">model.weights</td><td class="code">other.pth</td><td class="code">first.pth</td>'
        in page
    )
    assert '>model.weights</th><td class="code">first.pth</td>' in page
    assert "other: model.weights other.pth" in _rows(summary)["model"]
    assert "/home/me" not in page
    assert summary["arms"]["other"]["changes"] == {"model.weights": "/home/me/other.pth"}


def test_folds_say_how_each_begins(make_study: MakeStudy) -> None:
    arms = {
        "features": {"training.schedule": "plateau"},
        "fine-tuned": {"model.mode": "finetune", "training.start_from": "arm:features"},
        "elsewhere": {"training.start_from": "../a/runs/b/fold{fold}-seed{seed}"},
    }
    summary = _study(make_study, arms, folds=2)
    told = fold_starts(summary)
    assert told[0].startswith(
        "In features, what learns of the networks is initialized anew in each fold, and no weight"
    )
    assert "learning rate in features." in told[0]
    assert told[1].startswith("The trainings of fine-tuned begin with what features learned in the same fold with the")
    assert told[2].startswith("The trainings of elsewhere begin anew in each fold, with the weights of the run that")
    assert told[3].startswith(
        "The pretrained weights of vgg16 are the same in all folds; what they had been trained on"
    )
    page = render(summary)
    assert all(sentence in page for sentence in told)
    plain = summarize(StudyRecord(make_study(folder="plain", folds=2, seeds=1, epochs=2)))
    assert len(fold_starts(plain)) == 1
    assert fold_starts(plain)[0].startswith("The network is initialized anew in each fold, and nothing is fitted on")


# ---- arms that are fitted at once ----


@pytest.fixture
def with_logistic(make_study: MakeStudy) -> Summary:
    arms = {
        "features": {},
        "logistic": {"model.head": "logistic", "training.learning_rate": 0.5, "training.schedule": "plateau"},
        "wide": {"model.dense": [128]},
    }
    folder = make_study(arms=arms, more={"model": VGG}, seeds=2, epochs=30)
    for seed in range(2):
        _leave_one_epoch(folder / f"runs/logistic/fold0-seed{seed}")
    return summarize(StudyRecord(folder))


def test_a_logistic_arm_claims_no_epochs(with_logistic: Summary) -> None:
    rows = _rows(with_logistic)
    assert rows["training"].startswith("Features and wide: 30 epochs of batches of 8; Adam")
    assert "Logistic: a logistic regression (scikit-learn, L2 penalty, C 1) is fitted to its end" in rows["training"]
    assert "0.5" not in rows["training"]
    assert "logistic: model.head logistic;" in rows["model"]
    assert "Logistic had no epochs to choose from." in rows["selection"]
    assert "training looked at it" not in rows["internal"]
    assert with_logistic["arms"]["logistic"]["changes"] == {"model.head": "logistic"}


def test_a_study_of_logistic_arms_alone_claims_none_either(make_study: MakeStudy) -> None:
    summary = _study(make_study, {"one": {"model.head": "logistic"}}, epochs=30)
    rows = _rows(summary)
    assert rows["training"].startswith("A logistic regression (scikit-learn")
    assert rows["selection"] == "One had no epochs to choose from. No arm is named the final model."
    assert "What is random" not in rows["initialization"]
    assert summary["curves"]["sentences"] == ["one is fitted at once: one epoch, and no curve."]
    assert "batches of" not in "".join(rows.values())


def test_the_curves_of_a_logistic_arm_are_dots_and_no_sentences(with_logistic: Summary) -> None:
    said = with_logistic["curves"]["sentences"]
    assert [sentence for sentence in said if "logistic" in sentence] == [
        "logistic is fitted at once: one epoch, and no curve."
    ]
    assert any("wide" in sentence for sentence in said)
    tables = chart_tables(with_logistic)
    assert {(row["arm"], row["mark"]) for row in tables["runs"] if row["mark"]} == {("logistic", "only")}
    assert [row["arm"] for row in tables["means"] if row["only"]] == ["logistic"]
    page = render(with_logistic)
    assert "A dot: logistic, fitted at once." in page
    assert "In logistic, fitted at once, dots: every run small, the mean large." in page


@pytest.mark.parametrize("spec", ["overlay-validation_loss", "curves-loss"])
def test_a_curve_of_one_epoch_is_seen(with_logistic: Summary, spec: str) -> None:
    import vl_convert

    tables = of_arm(chart_tables(with_logistic), "logistic")
    drawn = {**page_specs(with_logistic, tables)[spec], "width": 300}
    marks = re.findall(r'<g class="mark-symbol.*?</g>', vl_convert.vegalite_to_svg({**drawn, "datasets": tables}), re.S)
    seen = re.findall(r' opacity="(1|0\.4)"', "".join(marks))
    assert sorted(seen) == (["1"] if spec.startswith("overlay") else ["0.4"] * 4 + ["1"] * 2)  # two runs, two series


def test_a_study_without_such_an_arm_has_no_word_of_it(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study(seeds=1, epochs=2)))
    assert "at once" not in render(summary)
    assert "no curve" not in " ".join(summary["curves"]["sentences"])


# ---- configuration and augmentation on the page ----


def test_keys_without_a_use_are_not_shown(make_study: MakeStudy) -> None:
    arms = {"features": {}, "scratch": {"model.name": "alexnet", "model.backbone": None, "model.weights": "hub"}}
    summary = _study(make_study, arms, more={"model": VGG | {"weights": "random"}})
    assert summary["arms"]["scratch"]["changes"] == {"model.name": "alexnet"}
    assert "model.backbone" in flat({"model": summary["arms"]["features"]["config"]["model"]})
    page = render(summary)
    assert ">model.augmented_copies<" in page
    assert ">model.unfreeze<" not in page
    assert ">model.base_channels<" not in page
    plain = render(summarize(StudyRecord(make_study(folder="plain", seeds=1, epochs=2))))
    assert ">model.weights<" not in plain
    assert ">model.base_channels<" in plain


def test_the_pictures_say_when_images_are_changed(make_study: MakeStudy) -> None:
    arms = {"once": {}, "anew": {"model.augmented_copies": 0}}
    summary = _study(make_study, arms, more={"augmentation": {"noise": 0.1}})
    once, anew = ({"arms": [name], "words": "", "mixup": [], "pictures": {}} for name in arms)
    every, copied = "each image anew in every epoch", "For once, changed copies of each image were made once"
    both = render(summary, Pictures(strips=[once, anew]))
    assert every in both
    assert copied in both
    assert every not in render(summary, Pictures(strips=[once]))


# ---- the page of the documentation ----


def test_the_documentation_names_every_key_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE, re.MULTILINE))
    assert list(rows) == list(KEYS["pretrained"])
    fields = ModelConfig.model_fields
    told = {key: json.dumps(fields[key].default).strip('"') for key in rows}
    told |= {"backbone": "must be given", "dense": "none", "unfreeze_every": "none"}
    assert {key: float(words) if _is_number(words) else words.strip("`") for key, words in rows.items()} == {
        key: float(words) if _is_number(words) else words for key, words in told.items()
    }


def _is_number(words: str) -> bool:
    return re.fullmatch(r"-?[\d.]+", words) is not None


def test_the_study_of_the_documentation_can_be_read() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    study = parse_study(text, [], where="transfer.yaml", folder=Path("/"))
    assert [arm.name for arm in study.arms] == ["features", "logistic", "fine-tuned", "random-backbone", "scratch"]
    assert from_scratch({arm.name: _config_of(arm) for arm in study.arms}) == ["random-backbone", "scratch"]


def _config_of(arm: Arm) -> dict[str, Any]:
    return {name: getattr(arm, name).model_dump(mode="json") for name in ("model", "training")}
