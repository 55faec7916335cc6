"""Thumbnails and corners that give the class away."""

import dataclasses
from io import BytesIO

import numpy as np
import pytest
from fact_sets import of_phantoms
from PIL import Image

from diascope.audit.corners import corners_predict_label
from diascope.audit.trivial import thumbnails_predict_label


@pytest.mark.parametrize("kind", ["skin", "bone"])
@pytest.mark.parametrize("shortcut", ["letters", "border"])
def test_marks_in_corners_are_found(kind: str, shortcut: str) -> None:
    (found,) = corners_predict_label(of_phantoms(kind, images=160, seed=1, shortcut=shortcut, rate=0.95))
    assert (found.outcome, found.severity) == ("issue", "warning")
    assert found.evidence["low"] > 0.7
    if shortcut == "letters":
        assert found.evidence["corner"] == "upper right"
        assert found.sentence.startswith("The upper right corner alone")
        others = [one["auroc"] for name, one in found.evidence["corners"].items() if name != "upper right"]
        assert max(others) < 0.7
    assert np.array(list(found.evidence["mean_corner"].values())).shape == (2, 4, 4)


@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_clean_corners_are_quiet(kind: str) -> None:
    (found,) = corners_predict_label(of_phantoms(kind, images=160, seed=1))
    assert found.outcome == "passed"


def test_the_mean_corners_are_drawn_where_pictures_are_wanted() -> None:
    planted = of_phantoms("bone", images=60, seed=1, shortcut="border", rate=1.0)
    drawn: dict[str, bytes] = {}
    (found,) = corners_predict_label(dataclasses.replace(planted, pictures=drawn))
    (shown,) = found.evidence["pictures"]
    assert [image["label"] for image in shown["images"]] == ["normal", "fractured"]
    pictures = [np.asarray(Image.open(BytesIO(drawn[image["file"]]))) for image in shown["images"]]
    assert [picture.shape for picture in pictures] == [(96, 408)] * 2
    assert pictures[1][:6].mean() > pictures[0][:6].mean()  # the frame
    means = np.array(found.evidence["mean_corner"]["fractured"])
    assert means[0].mean() > means[-1].mean()  # a bright frame runs along the upper edge of an upper corner


@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_thumbnails_say_what_a_trivial_model_reaches(kind: str) -> None:
    (planted,) = thumbnails_predict_label(of_phantoms(kind, images=120, seed=1, shortcut="border", rate=1.0))
    assert (planted.outcome, planted.severity) == ("issue", "info")
    assert planted.evidence["auroc"] > 0.9
    assert "a network must beat this" in planted.sentence
    (nothing,) = thumbnails_predict_label(of_phantoms(kind, images=120, seed=1, difficulty=1.0))
    assert nothing.outcome == "passed"
    assert nothing.evidence["auroc"] < 0.65
