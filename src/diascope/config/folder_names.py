"""Which names may become folders: those that every file system keeps apart, and that lead nowhere else."""

import re

LONGEST = 100  # letters; file systems take 255 bytes, and what a name stands in adds some
_ELSEWHERE = re.compile(r"[/\\]|^[A-Za-z]:")
_OF_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def folder_name_fault(name: str) -> str:
    """Why `name` cannot be the name of a folder, to be read after the name; empty if it can be one."""
    if _ELSEWHERE.search(name) or name in (".", ".."):
        return "is a path, not the name of a folder"
    if len(name) > LONGEST:
        return f"has {len(name):,} letters; the most are {LONGEST}"
    if not name.isprintable():
        return "holds a character that cannot be shown"
    if name != name.strip() or name.endswith("."):
        return "begins or ends with a space, or ends with a dot, which Windows leaves out"
    if _OF_WINDOWS.fullmatch(name):
        return "is a name that Windows keeps for a device"
    return ""
