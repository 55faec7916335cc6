"""What a summary says of the question, the networks, their training, and the machine."""

import json
from collections.abc import Iterable
from typing import Any

from diascope.config import ModelConfig
from diascope.core.text import counted, listed
from diascope.report.augmentation_words import augmented_arms
from diascope.report.checklist.fact import (
    Fact,
    Summary,
    by_arm,
    capital,
    determined,
    inapplicable,
    lacking,
    sentences,
    unsettled,
)
from diascope.report.checklist.pretrained_words import finetuning_words, fitted_words, network_words, weights_words
from diascope.report.checklist.training_words import (
    begins_at_random,
    initial_weights,
    statistics_words,
    training_words,
)
from diascope.report.formats import setting
from diascope.report.idle_keys import fitted_at_once
from diascope.report.starts import from_scratch, is_pretrained
from diascope.report.stopping import chosen_by

NOT_RUN = "No run has finished."
RUN_IT = "run the study to its end"
HARDWARE = ("system", "processor", "cores", "device", "threads", "precision")
NOT_SOFTWARE = (*HARDWARE, "process", "command", "continued")


def finished(summary: Summary) -> int:
    return _states(summary).count("done")


def _states(summary: Summary) -> list[str]:
    return [run["state"] for arm in summary["arms"].values() for run in arm["runs"]]


def identification(summary: Summary) -> Fact:
    count = len(summary["data"]["classes"])
    return determined(
        f"Deep learning: neural networks ({_networks(summary)}) that tell images of {count} classes apart."
    )


def _networks(summary: Summary) -> str:
    models = [arm["config"]["model"] for arm in summary["arms"].values()]
    names = [f"{model['backbone']} of timm" if model["name"] == "pretrained" else model["name"] for model in models]
    return listed(dict.fromkeys(names))


def objectives(summary: Summary) -> Fact:
    question = summary["study"]["question"]
    if not question:
        return lacking("The study file asks no question.", "write `question:` at the head of the study file")
    margin = summary["primary"].get("margin")
    metric = summary["primary"]["metric"].replace("_", " ")
    equal = f"Arms count as equivalent when they differ by less than {margin:g} in {metric}." if margin else ""
    return determined(sentences(question, equal))


def goal(summary: Summary) -> Fact:
    arms = list(summary["arms"])
    if len(arms) == 1:
        return determined("To develop one image classifier and to evaluate it on other images of the same data set.")
    return determined(
        f"To develop image classifiers in {len(arms)} configurations ({listed(arms)}) and to compare them on other "
        "images of the same data set."
    )


# ---- networks ----


def model(summary: Summary) -> Fact:
    base = summary["study"]["config"]["model"]
    arms = [f"{name}: {_changes(arm)}" for name, arm in summary["arms"].items()]
    sizes = [
        f"{name} {arm['parameters']:,}"
        for name, arm in summary["arms"].items()
        if isinstance(arm.get("parameters"), int)
    ]
    return determined(
        sentences(
            "Input: the pixels of one image, and nothing else of the patient.",
            f"Output: one probability for each of {len(summary['data']['classes'])} classes.",
            f"Base: {_network(base)}.",
            f"Arms: {'; '.join(arms)}." if len(arms) > 1 else "",
            _other_networks(summary),
            f"Trained weights: {listed(sizes)}." if sizes else "",
        )
    )


def _changes(arm: dict[str, Any]) -> str:
    changes = ", ".join(f"{key} {setting(value, key)}" for key, value in arm["changes"].items())
    return changes or "the base itself"


def _network(section: dict[str, Any]) -> str:
    """The network and the keys that it uses, with what those left open stand for; a pretrained one in words."""
    if section["name"] == "pretrained":
        return network_words(section)
    config = ModelConfig.model_validate_json(json.dumps(section))
    rest = ", ".join(f"{key.replace('_', ' ')} {setting(value)}" for key, value in config.filled().items())
    return f"{config.name} ({rest})" if rest else config.name


def _other_networks(summary: Summary) -> str:
    """Those of arms that have another one than the base, where pretrained ones are among them."""
    models = {name: arm["config"]["model"] for name, arm in summary["arms"].items()}
    base = summary["study"]["config"]["model"]
    if all(model["name"] != "pretrained" for model in (base, *models.values())):
        return ""
    other = {name: _network(model) for name, model in models.items() if _network(model) != _network(base)}
    return by_arm(other, named=True)


def initialization(summary: Summary) -> Fact:
    configs = {name: arm["config"] for name, arm in summary["arms"].items()}
    rules = {name: initial_weights(config["model"], config["training"]) for name, config in configs.items()}
    if not all(rules.values()):
        what = f"How the weights of {_networks(summary)} began is not noted in the summary."
        return lacking(what, "say it in the manuscript")
    drawn = any(begins_at_random(config["model"], config["training"]) for config in configs.values())
    fold = " and its fold" if len(summary["data"]["folds"]) > 1 else ""
    seeds = f"What is random of it is drawn from each run's own seed{fold}." if drawn else ""
    return determined(sentences(by_arm(rules), seeds, _not_pretrained(configs)))


def _not_pretrained(configs: dict[str, Any]) -> str:
    arms = from_scratch(configs)
    if len(arms) == len(configs):
        return "No pretrained weights."
    return f"No pretrained weights in {listed(arms)}." if arms else ""


def output(summary: Summary) -> Fact:
    data = summary["data"]
    if len(data["classes"]) == 2:
        called = (
            f"a logistic output; an image is called {data['positive']} when its probability exceeds 0.5, a threshold "
            "that was not fitted to any image"
        )
    else:
        called = "a softmax; an image is called by the class of the largest probability"
    return determined(f"Probabilities of the classes, from the network in evaluation mode by {called}.")


# ---- training ----


def training(summary: Summary) -> Fact:
    seeds = summary["seeds"]
    return determined(
        sentences(
            _ways(summary),
            augmented_arms(summary["arms"]),
            f"Planned: {counted(len(_states(summary)), 'training')}, "
            f"{_product(len(summary['arms']), len(summary['data']['folds']), len(seeds))} "
            f"({listed(seeds)}); a seed decides the initial weights, the order of the images and all other chance "
            "in a training.",
            summary["looks"]["sentence"] if summary["looks"]["planned"] else "",
        )
    )


def _ways(summary: Summary) -> str:
    """How the arms are trained: those in epochs, then those that are fitted at once."""
    configs = {name: arm["config"] for name, arm in summary["arms"].items()}
    classes = len(summary["data"]["classes"])
    at_once = {name: fitted_words(config["model"], config["training"])
               for name, config in configs.items() if fitted_at_once(config)}  # fmt: skip
    ways = {name: _in_words(config["model"], config["training"], classes)
            for name, config in configs.items() if name not in at_once}  # fmt: skip
    fitted = by_arm(at_once, named=bool(ways)) if at_once else ""
    return sentences(_in_epochs(ways, named=bool(at_once)) if ways else "", fitted)


def _in_words(model: dict[str, Any], training: dict[str, Any], classes: int) -> list[str]:
    return [*training_words(training, classes), *finetuning_words(model, training), *statistics_words(model, training)]


def _in_epochs(ways: dict[str, list[str]], *, named: bool) -> str:
    """First what is the same in all of these arms, then what is not; `named`: there are others."""
    shared = [clause for clause in next(iter(ways.values())) if all(clause in way for way in ways.values())]
    own = {name: "; ".join(clause for clause in way if clause not in shared) for name, way in ways.items()}
    if not any(own.values()):
        return by_arm(dict.fromkeys(ways, "; ".join(shared)), named=named)
    same = f"In {listed(ways) if named else 'all arms'}: {'; '.join(shared)}." if shared else ""
    return sentences(same, by_arm({name: words or "nothing else" for name, words in own.items()}))


def _product(arms: int, folds: int, seeds: int) -> str:
    return " × ".join([counted(arms, "arm"), counted(folds, "fold"), counted(seeds, "seed")])


def runs(summary: Summary) -> Fact:
    """How many trainings there were, and which of them are in no number."""
    states = _states(summary)
    done, stray = states.count("done"), len(summary["strays"])
    if not done:
        return lacking(NOT_RUN, RUN_IT)
    failures = sum(bool(run["failure"]) for arm in summary["arms"].values() for run in arm["runs"])
    lost = {
        "ended with an error": failures,
        "not finished": states.count("unfinished") - failures,
        "not begun": states.count("missing"),
        "left out because their configuration is no longer the study's": states.count("stale"),
    }
    said = ", ".join(f"{count} {what}" for what, count in lost.items() if count > 0) or "none failed or was left out"
    are = "is" if stray == 1 else "are"
    strays = f"{counted(stray, 'run')} in the folder that the study does not ask for {are} in no number."
    return determined(
        sentences(f"{done} of {counted(len(states), 'training')} finished; {said}.", strays if stray else "")
    )


def rationale(summary: Summary) -> Fact:
    return unsettled("Every setting is listed in the report; the reasons for them are not known to Diascope.")


def selection(summary: Summary) -> Fact:
    if summary["primary"]["at"] == "last":
        how = sentences(_last_epoch(summary), _restored(summary), _without_epochs(summary))
    else:
        how = "The arms are judged at the epoch with the lowest validation loss."
    on_test = {
        "best": "On the test side stand the weights of the epoch that each training's validation side chose.",
        "last": "On the test side stand the weights of the last epoch.",
    }.get(str((summary.get("test") or {}).get("checkpoint")), "")
    return determined(sentences(f"{how} No arm is named the final model.", on_test))


def _last_epoch(summary: Summary) -> str:
    arms = [arm for arm in summary["arms"].values() if not fitted_at_once(arm["config"])]
    if all(arm["stopping"] and arm["stopping"]["restored"] for arm in arms):
        return ""
    return (
        f"The arms are judged at their last epoch, whatever their scores in between. The epoch with "
        f"{_best(arms)} is shown beside it; it was chosen on the images on which it is shown, and "
        "decides nothing."
    )


def _restored(summary: Summary) -> str:
    """On the arms that are judged with the weights of their best epoch instead."""
    kept = {name: arm for name, arm in summary["arms"].items() if arm["stopping"] and arm["stopping"]["restored"]}
    if not kept:
        return ""
    return (
        f"The trainings of {listed(kept)} ended with the weights of their epoch with {_best(kept.values())}, which was "
        "chosen on the validation images, and are judged with these."
    )


def _without_epochs(summary: Summary) -> str:
    names = [name for name, arm in summary["arms"].items() if fitted_at_once(arm["config"])]
    return f"{capital(listed(names))} had no epochs to choose from." if names else ""


def _best(arms: Iterable[dict[str, Any]]) -> str:
    ways = dict.fromkeys(chosen_by(arm["config"]["training"]) for arm in arms)
    return " or ".join(f"the {way}" for way in ways)


def ensembling(summary: Summary) -> Fact:
    return inapplicable("No ensemble: every training is judged by itself.")


def updating(summary: Summary) -> Fact:
    return inapplicable("No model was updated or recalibrated after it was judged.")


# ---- the machine, and what is kept ----


def software(summary: Summary) -> Fact:
    """Versions and machine; several values stand where runs differ."""
    values = summary["provenance"]["values"]
    versions = [f"{key.replace('_', '-')} {' and '.join(found)}" for key, found in values.items()
                if found and key not in NOT_SOFTWARE]  # fmt: skip
    machine = [f"{key} {' and '.join(values[key])}" for key in HARDWARE if values.get(key)]
    if not versions:
        return lacking("No finished run has noted its software.", RUN_IT)
    return determined(sentences(f"{listed(versions)}.", f"Machine: {'; '.join(machine)}." if machine else ""))


def code(summary: Summary) -> Fact:
    if not finished(summary):
        return unsettled("Diascope is free software (Apache-2.0).")
    return unsettled(
        sentences(
            "Diascope is free software (Apache-2.0). The study folder holds the study file, the sides, and of every "
            "finished run the configuration, the weights and each prediction.",
            _not_kept(summary),
        )
    )


def _not_kept(summary: Summary) -> str:
    """On weights that nobody trained here: a run keeps what it has trained, and a digest of the others."""
    found = [arm["config"]["model"] for arm in summary["arms"].values() if is_pretrained(arm["config"])]
    sources = listed(dict.fromkeys(map(weights_words, found)))
    return f"What stays as it is of pretrained networks is not in it: {sources}." if found else ""
