"""Columns that the study file names for subgroups are looked for before any training."""

from pathlib import Path

import pytest
from PIL import Image

from diascope.core.errors import ConfigError
from diascope.study.images import read_images
from diascope.study.writing import write_study
from diascope.studyfile import Study, parse_study


def _study(tmp_path: Path, subgroups: str, source: str = "list.csv") -> Study:
    rows = ["path,label,sex,localization"]
    for number in range(12):
        Image.new("L", (16, 16), 20 * number).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{('a', 'b')[number % 2]},{('male', 'female')[number % 3 > 0]},back")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    text = f"""name: tiny
data: {{source: "{source}", image_size: 16}}
split: {{kind: holdout, validation: 0.25, test: 0}}
report: {{subgroups: [{subgroups}]}}
"""
    return parse_study(text, [], where="tiny.yaml", folder=tmp_path)


def test_an_unknown_column_is_refused_and_the_nearest_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no further column 'localisation'.*did you mean 'localization'"):
        read_images(_study(tmp_path, "sex, localisation"))


def test_a_source_without_columns_says_what_it_takes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("L", (16, 16), 60 * number).save(tmp_path / "folder" / name / f"{number}.png")
    with pytest.raises(ConfigError, match="name a column of a CSV manifest"):
        read_images(_study(tmp_path, "sex", source="folder"))


def test_known_columns_are_written_to_the_study_folder(tmp_path: Path) -> None:
    study = _study(tmp_path, "sex, localization")
    write_study(study, read_images(study), tmp_path / "out")
    assert (tmp_path / "out/index.csv").read_text().splitlines()[0].endswith("sex,localization")
