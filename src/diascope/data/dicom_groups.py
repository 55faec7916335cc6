"""Which images are of one patient, study or series, as DICOM files say it, under numbers in place of what they say.

A hospital's numbers are so few that any digest of one can be undone by trying them all. A number of ours, given in the
order of the files' names, tells nothing but which files belong together, needs no secret key to be kept somewhere, and
is the same each time for the same files.
"""

import os
import time
from hashlib import blake2b
from pathlib import Path

from diascope.config.data import DICOM_GROUPS
from diascope.core.errors import DataError
from diascope.core.text import shorten
from diascope.data.dicom import group_of
from diascope.data.digests import SETTLED, file_times
from diascope.data.image_file import beginning
from diascope.data.readers import is_dicom
from diascope.data.store import cache_root, remember, remembered


def dicom_groups(root: Path, paths: list[str], group: str) -> list[str]:
    """A name for each file: patient-0001 is the patient of the first path by name, patient-0002 the next one's.

    `group` is a key of DICOM_GROUPS. A file that will turn out to be unreadable as an image gets a name of its own.
    The names (not what they stand for) are remembered until a file changes, so that a second start need not read
    300,000 files. Raises DataError that names the files which are no DICOM, or images without this element.
    """
    memory = cache_root() / "digests" / f"groups-{blake2b(f'{root}|{group}'.encode(), digest_size=16).hexdigest()}.json"
    stamp = _stamp(root, paths)
    known = remembered(memory)
    if stamp is not None and known.get("stamp") == stamp and "groups" in known:
        return [str(name) for name in known["groups"]]
    names = _numbered(root, paths, group)
    if stamp is not None:
        remember(memory, {"stamp": stamp, "groups": names})
    return names


def _numbered(root: Path, paths: list[str], group: str) -> list[str]:
    tag = group.removeprefix("dicom:")
    values = [_value(os.path.join(root, path), tag) for path in paths]
    other = [path for path, value in zip(paths, values, strict=True) if value is None]
    if other:
        what = f"{len(other):,} of {len(paths):,} files are not DICOM files, or have no {tag}: {shorten(other, 5)}"
        remedy = "remove them, name another element, or list the images in a CSV manifest with a column of groups"
        raise DataError(f"data.group is {group}, but {what}", where=str(root), remedy=remedy)
    numbers: dict[str, int] = {}
    for _, value in sorted(zip(paths, values, strict=True)):
        numbers.setdefault(str(value), len(numbers) + 1)
    return [f"{DICOM_GROUPS[group]}-{numbers[str(value)]:04d}" for value in values]


def _value(file: str, tag: str) -> str | None:
    """What the file says; None where nothing can be known. A file that holds no image stands for itself."""
    try:
        if not is_dicom(beginning(file, 132)):
            return f"unreadable {file}" if not os.access(file, os.R_OK) else None
        value, is_image = group_of(file, tag)
    except (OSError, DataError):  # the reader will say what is wrong with this one
        return f"unreadable {file}"
    if value:
        return f"said {value}"
    return None if is_image else f"unreadable {file}"


def _stamp(root: Path, paths: list[str]) -> str | None:
    """Another one when a file comes, goes or changes; None while one is so fresh that a change might not show."""
    digest = blake2b(digest_size=20)
    settled = int((time.time() - SETTLED) * 1e9)
    for path in paths:
        try:
            times = file_times(os.path.join(root, path))
        except OSError:
            return None
        if max(times[1:]) >= settled:
            return None
        digest.update(f"{path}\0{times}\n".encode())
    return digest.hexdigest()
