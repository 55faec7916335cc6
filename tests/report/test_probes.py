"""Results of probes of an older version: what only the data offer is no longer called found."""

import pytest

from diascope.report.probes import _reread


def tree(version: int, **verdicts: str) -> dict:
    probes = [
        {"code": code.replace("_", "-"), "evidence": {"verdict": verdict, "claim": f"claim of {code}"}}
        for code, verdict in verdicts.items()
    ]
    return {"version": version, "verdict": "shortcut found", "sentence": "The network has one.", "probes": probes}


@pytest.mark.parametrize(
    ("old", "verdict"),
    [
        (tree(1, rim="found"), "shortcut possible"),
        (tree(1, rim="found", levels_site="found", swapped_corners="not found"), "shortcut possible"),
        (tree(1, rim="found", swapped_corners="found"), "shortcut found"),
        (tree(1, erased_text="found"), "shortcut found"),
        (tree(2, swapped_rim="found"), "shortcut found"),
        (tree(2, levels_site="found"), "shortcut found"),
    ],
)
def test_a_telling_rim_alone_is_possible(old: dict, verdict: str) -> None:
    read = _reread(old)
    assert read["verdict"] == verdict
    assert read["probes"] == old["probes"]
    if verdict == "shortcut possible":
        assert "claim of rim" in read["sentence"]
        assert "was not tested" in read["sentence"]
    else:
        assert read == old
