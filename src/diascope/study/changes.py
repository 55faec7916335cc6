"""What is different between a run as it was trained and as it is asked for now, and arms that do not differ."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from diascope.config import WITHOUT_EFFECT, RunConfig, as_recorded
from diascope.core.findings import Finding
from diascope.models.pretrained import weights_identity
from diascope.runs.folder import RunFolder

MOST = 4  # changes that are named
_ELSEWHERE = {"fold", "seed", "split"}  # told by the folder's name, and by its sides
_FILES = "the images, their labels or sides, the code of a network, or the weights to begin with have changed"


def what_changed(folder: RunFolder, config: RunConfig) -> str:
    """`training.epochs was 6 and is 2`; where the configuration is the same, it is the files."""
    try:
        tree = json.loads(folder.config.read_text(encoding="utf-8"))
        before = dict(_leaves(as_recorded(tree["config"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    now = dict(_leaves(config.model_dump(mode="json", exclude=_ELSEWHERE)))
    idle = {f"{section}.{key}" for section, keys in WITHOUT_EFFECT.items() for key in keys}
    if not config.model.normalizes_by_batch:
        idle.add("training.evaluation_statistics")
    keys = [key for key in now if key in before and before[key] != now[key] and key not in idle]
    keys += [key for key in before if key not in now and key.partition(".")[0] not in _ELSEWHERE]
    named = [f"{key} was {json.dumps(before[key])} and is {json.dumps(now.get(key))}" for key in keys[:MOST]]
    rest = f" and {len(keys) - MOST} more" if len(keys) > MOST else ""
    if not named and config.model.kind == "pretrained" and tree.get("weights") != weights_identity(config.model):
        drawn = config.model.weights == "random"
        return (
            "random weights are drawn in another way"
            if drawn
            else f"{config.model.weights} holds other weights than it did"
        )
    return ", ".join(named) + rest if named else _FILES


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def same_arms(identities: Mapping[str, str]) -> list[Finding]:
    """A warning for arms, by name, whose runs have the same identity: they would be trained twice, and compared."""
    alike: dict[str, list[str]] = {}
    for name, identity in identities.items():
        alike.setdefault(identity, []).append(name)
    return [
        Finding(
            code="same-arms",
            severity="warning",
            outcome="issue",
            sentence=f"The arms {' and '.join(names)} are the same configuration: is an override missing?",
            evidence={"arms": names},
        )
        for names in alike.values()
        if len(names) > 1
    ]
