"""What the audit measures of DICOM files: the chosen frame, and how it is stored; never a name."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import SECRETS, dicom

from diascope.audit.measure import measure
from diascope.config import DataConfig
from diascope.data.index import open_index


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two films of two frames each: the first black, the second with a bright half."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    frames = np.zeros((2, 32, 32), np.uint8)
    frames[1, :, 16:] = 200
    for label in ("benign", "malignant"):
        file = tmp_path / "films" / label / "film.dcm"
        file.parent.mkdir(parents=True)
        file.write_bytes(dicom(frames, NumberOfFrames=2, Manufacturer="Acme", ManufacturerModelName="Lens 3"))
    return tmp_path / "films"


def test_the_frame_that_the_study_asks_for_is_measured(films: Path) -> None:
    index = open_index(DataConfig(source=str(films)))
    first, second = (measure(index, frame=frame, jobs=1).facts for frame in (1, 2))
    assert first.means.max() == 0
    np.testing.assert_allclose(second.means, 100 / 255)
    assert second.thumbnails[0, :, :31].max() == 0
    assert second.thumbnails[0, :, 33:].min() == 200


def test_a_header_says_how_pixels_are_stored_and_by_which_device(films: Path) -> None:
    facts = measure(open_index(DataConfig(source=str(films))), frame=1, jobs=1).facts
    assert facts.formats == ["DICOM", "DICOM"]
    assert facts.compressions == ["Explicit VR Little Endian"] * 2
    assert facts.cameras == ["Acme Lens 3"] * 2
    assert not any(secret in repr(facts) for secret in SECRETS.values())
