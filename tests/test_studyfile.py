"""Study files: what they may say, and how errors name the line and the remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diascope.config import Cosine, EarlyStopping, Exponential, Step, StudyConfig, Transformation
from diascope.core.errors import ConfigError
from diascope.recipes import recipe_names, recipe_text
from diascope.studyfile import Study, dump_study, load_study, parse_study

TEXT = """diascope: 1
name: batch-norm
data: {source: skin/lab.csv}
training:
  learning_rate: 1e-4
seeds: 3
arms:
  baseline: {}
  dotted: {model.normalization: batch}
  nested:
    model: {dropout: 0.4}
"""


def parse(text: str, *settings: str) -> Study:
    return parse_study(text, list(settings), where="x.yaml", folder=Path("/home/me"))


def problem(text: str, *settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, *settings)
    return str(caught.value)


def test_arms_are_resolved_from_dotted_and_nested_overrides() -> None:
    baseline, dotted, nested = parse(TEXT).arms
    assert (baseline.model.normalization, baseline.model.dropout) == (None, 0.0)
    assert (dotted.model.normalization, dotted.model.dropout) == ("batch", 0.0)
    assert (nested.model.normalization, nested.model.dropout) == (None, 0.4)
    assert dotted.training.learning_rate == 1e-4


def test_yaml_1_2_numbers_and_words() -> None:
    study = parse(TEXT.replace("name: batch-norm", "name: no").replace("skin/lab.csv", "on"))
    assert study.config.name == "no"
    assert study.config.data.source == "/home/me/on"
    assert isinstance(study.config.training.learning_rate, float)


def test_seeds_are_a_number_or_a_list() -> None:
    assert parse(TEXT).config.seeds == (0, 1, 2)
    assert parse(TEXT.replace("seeds: 3", "seeds: [7, 1]")).config.seeds == (7, 1)


def test_image_size_is_a_number_or_a_pair() -> None:
    data = parse(TEXT, "data.image_size=64").config.data
    assert (data.height, data.width) == (64, 64)
    data = parse(TEXT, "data.image_size=[64, 32]").config.data
    assert (data.height, data.width) == (64, 32)


def test_settings_override_the_file_and_reach_every_arm() -> None:
    study = parse(TEXT, "training.epochs=7", "model={dropout: 0.1}", "seeds=5")
    assert [arm.training.epochs for arm in study.arms] == [7, 7, 7]
    assert [arm.model.dropout for arm in study.arms] == [0.1, 0.1, 0.4]
    assert len(study.config.seeds) == 5


def test_paths_are_relative_to_the_file_and_in_settings_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "study.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    assert load_study(Path("a/study.yaml")).config.data.source == str(tmp_path / "a" / "skin" / "lab.csv")
    moved = load_study(Path("a/study.yaml"), ["data.source=x.csv"])
    assert moved.config.data.source == str(tmp_path / "x.csv")
    assert load_study(Path("a/study.yaml"), ["data.source=phantom:skin"]).config.data.source == "phantom:skin"


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ("learning_rate", "learnig_rate", "x.yaml:5: unknown key training.learnig_rate; did you mean training.lea"),
        ("normalization", "nrmalization", "x.yaml:9: arm 'dotted': unknown key model.nrmalization; did you mean mode"),
        ("seeds: 3", "seeds: [1, 1]", "x.yaml:6: seeds: duplicate value"),
        ("seeds: 3", "seeds: 0", "x.yaml:6: seeds is []"),
        ("seeds: 3", "seeds: yes", 'x.yaml:6: seeds is "yes"'),
        ("1e-4", "high", 'x.yaml:5: training.learning_rate is "high": input should be a valid number'),
        ("1e-4", "true", "x.yaml:5: training.learning_rate is true"),
        ("name: batch-norm\n", "", "x.yaml: name is missing"),
        ("0.4", "1.4", "x.yaml:11: arm 'nested': model.dropout is 1.4: input should be less than 1"),
        ("  dotted:", "  a b:", "x.yaml:9: 'a b' cannot be the name of an arm"),
        ("  dotted:", "  baseline:", "x.yaml:9: is not valid YAML: found duplicate key"),
        ("model.normalization: batch", "split.kind: kfold", "x.yaml:9: arm 'dotted' sets split.kind, which all arms"),
        ("model.normalization: batch", "data.source: b", "x.yaml:9: arm 'dotted' sets data.source, which all arms"),
        ("model.normalization: batch", "compare.at: last", "x.yaml:9: arm 'dotted' sets compare.at, which is not a"),
        ("model.normalization: batch", "model.name: vgk", "x.yaml:9: arm 'dotted': model.name: 'vgk' is not a network"),
        ("source: skin/lab.csv", "channels: 1", "x.yaml:3: data.source is missing; add"),
        ("diascope: 1", "diascope: 2", "x.yaml:1: diascope is 2"),
        ("seeds: 3", "compare: {pairs: [[dotted, dotted]]}", "x.yaml:6: compare.pairs.0: duplicate value"),
        ("seeds: 3", "compare: {pairs: [[dotted, other]]}", "x.yaml: compare.pairs names 'other', which is not one of"),
        ("seeds: 3", "compare: {margin: 0}", "x.yaml:6: compare.margin is 0"),
        (
            "seeds: 3",
            "report: {subgroup: sex}",
            "x.yaml:6: unknown key report.subgroup; did you mean report.subgroups",
        ),
        ("seeds: 3", "seeds: 2026-01-01", 'x.yaml:6: seeds is "2026-01-01": input should be'),
    ],
)
def test_errors_name_line_and_remedy(written: str, instead: str, said: str) -> None:
    assert said in problem(TEXT.replace(written, instead))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("compare.at=best", "compare.at: best is refused: this version does not have it yet"),
        ("model.name=pretrained", "pretrained needs model.backbone, a network of timm: vgg16 say, or resnet50"),
        ("model={name: pretrained, backbone: vgg16, unfreeze: 2}", "unfreeze is for mode: finetune; leave it out"),
        ("model={name: pretrained, backbone: vgg16, depth: 16}", "pretrained has no depth, which is for vgg and"),
        ("model={name: pretrained, backbone: vgg16, head: logistic, dense: [8]}", "dense is for head: dense"),
        ("model.name=vgk", "'vgk' is not a network; use alexnet, vgg, resnet, pretrained, or file.py:function"),
        ("model.depth=3", "alexnet has no depth, which is for vgg and resnet"),
        ("augmentation.rotation=200", "range is [-200.0, 200.0]: its ends lie between -180 and 180"),
        ("augmentation.zoom=[0.2, 0.1]", "range is [0.2, 0.1]: write the smaller end first"),
        ("augmentation.blur=[1, 2, 3]", "[1, 2, 3] is no range: write a number, or [low, high]"),
        ("augmentation.blur.probability=2", "augmentation.blur.range is missing"),
        ("augmentation={shift: 0.1, vertical_shift: 0.1}", "set shift, or horizontal_shift and vertical_shift"),
        ("training.schedule=cosin", "training.schedule: unknown schedule 'cosin'; use one of constant, step"),
        ("training.schedule={kind: cosine, warmp: 3}", "unknown key training.schedule.warmp; did you mean training."),
        ("training.schedule={kind: cosine, warmup: 50}", "schedule.warmup is 50, but there are only 50 epochs"),
        ("training.momentum=0.9", "adam has no momentum, which is for sgd and rmsprop"),
        ("training={optimizer: sgd, nesterov: true}", "nesterov is for optimizer sgd with momentum"),
        ("training.optimizer=adamw", "adamw without weight_decay is adam"),
        ("training.early_stopping=0", "training.early_stopping.patience is 0"),
        ("training={sampler: balanced, class_weights: balanced}", "set one of them"),
        ("search.space={model.depth: [8]}", "search.space.model.depth.choices is [8]"),
        ("search.space={model.depth: {low: 8}}", "write a list of choices, or {low: ..., high: ...}"),
        ("search.space={model.depth: {low: 0, high: 8, log: true}}", "log needs a low above 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(setting: str, said: str) -> None:
    assert said in problem(TEXT, setting)


def test_short_forms_are_spelled_out_and_come_back_equal() -> None:
    text = """
name: everything
data: {source: moles.csv}
model: {name: resnet}
augmentation: {rotation: 10, zoom: [-0.2, 0], downscale: 0.5, blur: {range: 2, probability: 0.3}}
training: {schedule: cosine, early_stopping: 5, start_from: "a/runs/b/fold{fold}-seed{seed}"}
arms:
  a: {}
  b: {model: {name: "net.py:make", options: {width: 3}}}
  c: {model.name: vgg}
search: {space: {training.batch_size: [2, 4], training.learning_rate: {low: 1e-5, high: 1e-2, log: true}}}
"""
    study = parse_study(text, [], where="x.yaml", folder=Path("/home/me"))
    a, b, c = study.arms
    assert a.augmentation.rotation == Transformation(range=(-10, 10))
    assert a.augmentation.zoom == Transformation(range=(-0.2, 0))
    assert a.augmentation.downscale == Transformation(range=(0.5, 1))
    assert a.augmentation.blur == Transformation(range=(0, 2), probability=0.3)
    assert a.training.schedule == Cosine(kind="cosine")
    assert a.training.early_stopping == EarlyStopping(patience=5)
    assert a.training.start_from == "/home/me/a/runs/b/fold{fold}-seed{seed}"
    assert (a.model.filled()["depth"], a.model.filled()["normalization"]) == (20, "batch")
    assert b.model.name == "/home/me/net.py:make"
    assert (c.model.filled()["depth"], c.model.filled()["normalization"]) == (16, "none")
    again = parse_study(dump_study(study), [], where="y.yaml", folder=Path("/elsewhere"))
    assert again == study


def test_arms_may_share_overrides_by_a_yaml_merge() -> None:
    arms = "arms:\n  a: &shared {model: {dropout: 0.2}}\n  b: {<<: *shared, training.epochs: 3}\n"
    _, b = parse(TEXT[: TEXT.index("arms:")] + arms).arms
    assert (b.model.dropout, b.training.epochs) == (0.2, 3)
    twice = arms.replace("model: {dropout: 0.2}", "model.dropout: 0.2").replace("epochs: 3", "epochs: 0")
    assert problem(TEXT[: TEXT.index("arms:")] + twice).startswith("x.yaml:9: arm 'b': training.epochs is 0")


def test_a_schedule_of_another_kind_replaces_the_first() -> None:
    base = "training: {epochs: 9, schedule: {kind: step, every: 3}}"
    text = f"name: a\ndata: {{source: b.csv}}\n{base}\narms:\n  a: {{}}\n"
    text += "  b: {training.schedule: {warmup: 2, kind: cosine}}\n  c: {training.schedule.every: 2}\n"
    a, b, c = parse(text).arms
    assert (a.training.schedule, c.training.schedule) == (Step(kind="step", every=3), Step(kind="step", every=2))
    assert b.training.schedule == Cosine(kind="cosine", warmup=2)
    wanted = "training.schedule={kind: exponential, factor: 0.5}"
    alone = parse(text.partition("  b:")[0], wanted).arms[0].training.schedule
    assert alone == Exponential(kind="exponential", factor=0.5)
    said = problem(text, wanted)
    assert "arm 'c': training.schedule.every is for another kind of schedule; remove it" in said


def test_errors_of_settings_name_the_setting() -> None:
    assert problem(TEXT, "training.epochs=many").startswith("--set training.epochs: training.epochs is")
    assert problem(TEXT, "trainin.epochs=3").startswith("--set trainin.epochs: unknown key trainin")
    for value in ("[64,64", "a: b: c", "*.csv"):
        assert "its value is not valid YAML" in problem(TEXT, f"question={value}")
    assert problem(TEXT, "epochs").startswith("--set epochs: is not of the form key=value")


def test_a_value_that_may_be_of_several_kinds_has_one_problem_by_the_name_of_its_key() -> None:
    given = "model={name: pretrained, backbone: vgg16, mode: finetune, unfreeze: 0}"
    wanted = "model.unfreeze is 0: input should be greater than or equal to 1, or 'all'"
    assert problem(TEXT, given).splitlines()[0].endswith(wanted)
    assert "training.class_weights is 3: input should be 'none', " in problem(TEXT, "training.class_weights=3")
    assert len(problem(TEXT, "training.class_weights=3").splitlines()) == 1


def test_every_problem_is_listed() -> None:
    said = problem(TEXT.replace("seeds: 3", "seeds: no").replace("1e-4", "high"))
    assert "seeds" in said
    assert "learning_rate" in said


@pytest.mark.parametrize("text", ["", "3", "- a", "a: [", "a: 1\n b: 2", "\t"])
def test_what_is_no_study_is_said(text: str) -> None:
    assert problem(text).startswith("x.yaml")


@given(st.text())
def test_any_text_is_a_study_or_a_clear_error(text: str) -> None:
    try:
        parse(text)
    except ConfigError as error:
        assert str(error).startswith("x.yaml")  # noqa: PT017  (a study is fine, too)


def test_a_dumped_study_reads_back_the_same() -> None:
    study = parse(TEXT, "data.image_size=[64, 32]")
    assert parse(dump_study(study)) == study


def test_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: there is no such study file"):
        load_study(Path("nowhere.yaml"))


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_are_valid_and_open_with_their_command(name: str) -> None:
    text = recipe_text(name)
    study = parse_study(text, [], where=name, folder=Path.cwd())
    assert study.config.name == name
    assert "diascope " in text.splitlines()[2]
    assert "# Expect:" in text


def test_schema_knows_every_section() -> None:
    schema = StudyConfig.model_json_schema()
    assert {"data", "split", "model", "training", "arms"} <= set(schema["properties"])
    assert {"type": "integer"} in schema["$defs"]["DataConfig"]["properties"]["image_size"]["anyOf"]
