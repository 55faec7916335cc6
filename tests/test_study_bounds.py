"""Study files that are made to harm: each is refused within moments, with an error that names its line."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from diascope.config import StudyConfig
from diascope.core.errors import ConfigError
from diascope.studyfile import load_study, parse_study
from diascope.studyfile.problems import known_keys
from diascope.studyfile.reading import MOST_LETTERS, MOST_LEVELS

BASE = "name: a\ndata: {source: b.csv}\n"
BILLION = "\n".join(
    f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 9 if level else ['lol'] * 9)}]" for level in range(9)
)
MANY_ARMS = "arms: {" + ", ".join(f"a{number}: {{}}" for number in range(2_000)) + "}"


def problem(text: str, *settings: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse_study(text, list(settings), where="x.yaml", folder=Path("/home/me"))
    return str(error.value)


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (BILLION, "x.yaml:7: holds more than 50,000 values up to here, those that aliases (*) repeat included"),
        ("x: &x [1, *x]", "x.yaml:3: *x refers to what it is a part of; write it out"),
        ("x: " + "[" * 3000, "x.yaml:3: is nested more than 40 levels deep"),
        ("".join("  " * level + "x:\n" for level in range(300)), "x.yaml:43: is nested more than 40 levels deep"),
        ("seeds: 1000000", "x.yaml:3: seeds: 1,000,000 seeds are too many; the most are 1,000"),
        ("seeds: 1000000000", "x.yaml:3: seeds: 1,000,000,000 seeds are too many"),
        ("seeds: {from: 2, until: decided, at_most: 1000000}", "x.yaml:3: seeds.at_most is 1000000"),
        (
            "seeds: 1000\nsplit: {kind: kfold, folds: 100}",
            "x.yaml:3: 1 arms x 100 folds x 1,000 seeds are 100,000 runs",
        ),
        (f"seeds: {'9' * 5000}", "x.yaml:3: a number has more than 25 digits"),
        (f"seeds: 0x{'f' * 5000}", "x.yaml:3: a number has more than 25 digits"),
        (MANY_ARMS, 'x.yaml:3: arms is {"a0": {}, "a1": {}, '),
        ("training: {epochs: 1000000000000}", "x.yaml:3: training.epochs is 1000000000000"),
        ("model: {dense: [100000000000]}", "x.yaml:3: model.dense.0 is 100000000000"),
        (f"model: {{dense: [{'1,' * 1000}]}}", "x.yaml:3: model.dense is [1, 1,"),
        ('training: {start_from: "a\\0b"}', r"x.yaml:3: the text 'a\x00b' holds a character that no file can be named"),
        ('question: "\\ud800"', r"x.yaml:3: the text '\ud800' holds a character that no file can be named"),
        (
            "training: {start_from: ~nobody9/runs}",
            'x.yaml:3: training.start_from is "~nobody9/runs", which is the path of no',
        ),
        (f"training: {{start_from: {'a/' * 3000}}}", "which is the path of no file: it is too long; check the path"),
        ("training: {start_from: 'r/{fold.x}'}", "x.yaml:3: training.start_from: unknown placeholder {fold.x}"),
        ("training: {start_from: 'r/{fold:>99999999999}'}", "unknown placeholder {fold:>99999999999}; use {fold} and"),
        ("training: {start_from: 'r/{'}", "x.yaml:3: training.start_from: "),
        ("seeds: !!binary aGVsbG8=", "x.yaml:3: the tag tag:yaml.org,2002:binary has no use here; remove it"),
        (f"arms: {{{'a' * 300}: {{}}}}", 'x.yaml:3: the arm "aaa'),
        ("arms:\n  plain: {}\n  con: {}", 'x.yaml:5: the arm "con" is a name that Windows keeps for a device; give'),
        ("arms:\n  a: {}\n  A: {}", "x.yaml:5: the arms 'a' and 'A' differ in upper and lower case only"),
        ("arms:\n  b: {model" + ".x" * 50 + ": 1}", 'x.yaml:4: the key "model.x.x.x'),
        (
            "search: {space: {training.learning_rate: {low: -1e308, high: 1e308, step: 1e-300}}}",
            "x.yaml:3: search.space",
        ),
        (f"search: {{space: {{training.epochs: {[*range(1, 2000)]}}}}}", "x.yaml:3: search.space.training.epochs"),
    ],
    ids=lambda value: value[:30],
)
def test_what_would_hang_or_fail_later_is_refused_at_its_line(further: str, said: str) -> None:
    assert said in problem(BASE + further)


def test_a_text_that_is_tagged_as_one_is_that_text() -> None:
    study = parse_study(
        "name: !!str a\ndata: {source: b.csv, group: !!str 12, label: ! y}\n", [], where="x", folder=Path()
    )
    assert (study.config.name, study.config.data.group, study.config.data.label) == ("a", "12", "y")


def test_settings_have_the_same_bounds() -> None:
    assert problem(BASE, f"model.options={'[' * 3000}").startswith("--set model.options: its value is nested more than")
    assert "its value holds more than 50,000 values" in problem(BASE, f"seeds=[{'1,' * 51_000}]")
    assert "has 3,001 parts; the most are 40" in problem(BASE, f"model{'.x' * 3000}=1")
    assert "has 52 parts; the most are 40" in problem(BASE, f"model={{options{'.x' * 50}: 1}}")


@pytest.mark.parametrize("value", ["._", "0b_", "{? {a: b}: c}", "{? [{a: b}] : c}"])
def test_what_the_parser_itself_stumbles_over_is_no_crash(value: str) -> None:
    assert problem(f"{BASE}question: {value}").startswith("x.yaml")


def test_only_the_first_problems_of_many_are_listed() -> None:
    said = problem(BASE + "data.wher: 1\n" + "".join(f"x{number}: 1\n" for number in range(1000)))
    assert len(said.splitlines()) < 25
    assert said.endswith("and 981 more")


def test_a_file_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"name: {'a' * (MOST_LETTERS + 10)}")
    with pytest.raises(ConfigError, match=r"x.yaml: has more than 4,000,000 letters"):
        load_study(tmp_path / "x.yaml")


def test_what_studies_need_is_far_within_the_bounds() -> None:
    arms = "".join(f"  a{number}: {{model.dropout: 0.{number}}}\n" for number in range(100))
    nested = "[" * (MOST_LEVELS - 4) + "1" + "]" * (MOST_LEVELS - 4)
    study = parse_study(
        f"{BASE}seeds: 20\narms:\n{arms}", [f"data.where={{a: {[*range(2000)]}}}"], where="x", folder=Path()
    )
    assert len(study.arms) == 100
    own = parse_study(BASE + f"model: {{name: 'n.py:f', options: {{a: {nested}}}}}", [], where="x", folder=Path())
    assert own.arms[0].model.options["a"]
    assert parse_study(BASE + "question: 2026-13-45", [], where="x", folder=Path()).config.question == "2026-13-45"


def test_an_older_study_keeps_the_names_that_it_has() -> None:
    text = BASE.replace("name: a", "name: ../a") + "arms: {a: {}, A: {}, con: {}}"
    assert "is a path" in problem(text)
    study = parse_study(text, [], where="x.yaml", folder=Path(), recorded=True)
    assert [arm.name for arm in study.arms] == ["a", "A", "con"]


ODD = (
    *"null true -1 0 1 0.5 -0.0 1e308 -1e308 1e-320 .inf -.inf .nan 1e400 9e99999999999 2026-13-45 !!int&x".split(),
    *("1000000000000000000000000", f"0x{'f' * 30}", "0o7", "''", "' '", '"a\\0b"', '"\\ud800"', '"\\x1b[31m"', ".."),
    *("~nobody9/x", "~", f"'{'x' * 5000}'", f"'{'a/' * 3000}'", "CON", "arm:a", "phantom:", "x.py:f", "'{fold.x}'"),
    *("[]", "[[]]", "[{}]", "{}", "{a: 1}", "[1, 1]", "[a, b]", "[null]", "[-1e308, 1e308]", "{range: [.nan, 1]}"),
    *("{low: -1e308, high: 1e308, step: 1e-300}", "{low: 1, high: 1000000000000000000000}", "{kind: cosine}"),
    *("{from: 2, until: decided, at_most: 3}", "{1: 2, '1': 3}", "{[a]: b}", "{<<: 3}", "&a [*a]", "'{'"),
)


@given(st.sampled_from([*known_keys(StudyConfig), "arms.a", "arms.b.model.dense"]), st.sampled_from(ODD))
@example("search.space.training.learning_rate", "{low: -1e308, high: 1e308, step: 1e-300}")
def test_any_value_of_any_key_is_taken_or_refused_in_words(key: str, value: str) -> None:
    try:
        parse_study(BASE, [f"{key}={value}"], where="x.yaml", folder=Path("/home/me"))
    except ConfigError as error:
        assert str(error).encode()  # noqa: PT017  (it may be taken, too)
