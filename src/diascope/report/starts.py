"""With which weights the arms of a study begin: new ones, those of a file or of a hub, or those of other runs."""

from collections.abc import Iterable, Mapping
from typing import Any

from diascope.core.text import listed
from diascope.report.stopping import watching

Config = Mapping[str, Any]  # of an arm, as its `config` in a summary

ARM = "arm:"  # before the name of an arm whose runs others begin with


def first_arm(training: Mapping[str, Any]) -> str | None:
    """The arm whose runs those of an arm begin with, fold by fold and seed by seed."""
    told = training.get("start_from") or ""
    return told.removeprefix(ARM) if told.startswith(ARM) else None


def is_pretrained(config: Config) -> bool:
    """Whether the network gets weights that were trained elsewhere: those of a file, or of timm's hub."""
    model = config["model"]
    return bool(model["name"] == "pretrained" and model["weights"] != "random")


def backbones(configs: Iterable[Config]) -> list[str]:
    """The networks whose weights were trained elsewhere."""
    return list(dict.fromkeys(config["model"]["backbone"] for config in configs if is_pretrained(config)))


def from_scratch(configs: Mapping[str, Config]) -> list[str]:
    """The arms for which it is sure that all they know was learned in this study, also by way of its other arms."""
    return [name for name in configs if _is_from_scratch(name, configs)]


def _is_from_scratch(name: str, configs: Mapping[str, Config]) -> bool:
    if name not in configs or is_pretrained(configs[name]):
        return False
    first = first_arm(configs[name]["training"])
    if first is None:
        return not configs[name]["training"].get("start_from")
    rest = {other: config for other, config in configs.items() if other != name}
    return _is_from_scratch(first, rest)


def fold_starts(summary: dict[str, Any]) -> list[str]:
    """How the trainings of each fold begin, in sentences, and whether a validation side had a say in it."""
    configs = {name: arm["config"] for name, arm in summary["arms"].items()}
    anew = [name for name, config in configs.items() if not config["training"].get("start_from")]
    told = [
        _begun_anew(configs, anew, watching(summary)) if anew else "",
        *_begun_with_arms(configs),
        _begun_with_runs(configs),
        _given(backbones(configs.values())),
    ]
    return [sentence for sentence in told if sentence]


def _begun_anew(configs: Mapping[str, Config], anew: list[str], watching: list[str]) -> str:
    given = any(config["model"]["name"] == "pretrained" for config in configs.values())
    what = "what learns of the networks" if given else "the network"
    where = "" if len(anew) == len(configs) else f"in {listed(anew)}, "
    subject = f"{where}{what}"
    fitted = "nothing is fitted on a validation side"
    if watching:
        fitted = (
            "no weight is fitted on a validation side; but training looked at the validation side to stop or to lower "
            f"the learning rate in {', '.join(watching)}"
        )
    return (
        f"{subject[0].upper()}{subject[1:]} is initialized anew in each fold, and {fitted}. Seed and fold decide the "
        "initial weights and the order of the images; the arms share them fold by fold."
    )


def begun_with_arms(configs: Mapping[str, Config]) -> dict[str, list[str]]:
    """By the arm whose runs they begin with, the arms that begin with those of another one."""
    begun: dict[str, list[str]] = {}
    for name, config in configs.items():
        first = first_arm(config["training"])
        if first is not None:
            begun.setdefault(first, []).append(name)
    return begun


def _begun_with_arms(configs: Mapping[str, Config]) -> list[str]:
    return [
        f"The trainings of {listed(names)} begin with what {first} learned in the same fold with the same seed, at the "
        "epoch that was chosen on the validation side of that fold."
        for first, names in begun_with_arms(configs).items()
    ]


def _begun_with_runs(configs: Mapping[str, Config]) -> str:
    names = [name for name, config in configs.items()
             if config["training"].get("start_from") and first_arm(config["training"]) is None]  # fmt: skip
    if not names:
        return ""
    whose = "Training begins" if len(names) == len(configs) else f"The trainings of {listed(names)} begin"
    return (
        f"{whose} anew in each fold, with the weights of the run that training.start_from names; what that run had "
        "learned from is not known here."
    )


def _given(networks: list[str]) -> str:
    if not networks:
        return ""
    return f"The pretrained weights of {listed(networks)} are the same in all folds; {UNKNOWN}."


UNKNOWN = "what they had been trained on is not known here, and images of this study may be among it"
