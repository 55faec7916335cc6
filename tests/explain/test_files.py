"""How the files of an explanation are called."""

import pytest

from diascope.explain.explanation_files import file_stem


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("malignant/00003.png", "malignant_00003"),
        ("../moles/malignant/00003.png", "moles_malignant_00003"),
        ("../../00003.png", "00003"),
        ("./00003.png", "00003"),
        ("/moles/00003.png", "moles_00003"),
        (".hidden.png", "hidden"),
    ],
)
def test_a_name_tells_the_image_and_hides_no_file(path: str, shown: str) -> None:
    stem = file_stem(path, "grad-cam", "malignant")
    assert stem.startswith(f"{shown}-")
    assert stem.endswith("-grad-cam-malignant")


def test_paths_that_are_shown_alike_have_files_of_their_own() -> None:
    paths = ["moles/1.png", "../moles/1.png", "moles_1.png"]
    assert len({file_stem(path, "grad-cam", "malignant") for path in paths}) == 3
