"""The report's pictures of augmented training images, from the files that a study writes at its beginning."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from diascope.report.augmentation_words import augmentation_words
from diascope.runs.record import StudyRecord
from diascope.runs.samples import augmenting_arms, strip_path


def data_uri(path: Path) -> str:
    return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"


def sample_strips(record: StudyRecord) -> list[dict[str, Any]]:
    """Of arms that augment alike {"arms": names, "words", "mixup": names, "pictures": {class: data URI}}.

    Folders of earlier versions have no such pictures: these arms are left out.
    """
    found = []
    for arms in augmenting_arms(record.arm_configs):
        paths = {name: strip_path(record.folder, arms[0].name, name) for name in record.classes}
        pictures = {name: data_uri(path) for name, path in paths.items() if path.is_file()}
        words = augmentation_words(arms[0].augmentation.model_dump(mode="json"))
        mixed = [arm.name for arm in arms if arm.training.mixup]
        if pictures:
            found.append({"arms": [arm.name for arm in arms], "words": words, "mixup": mixed, "pictures": pictures})
    return found
