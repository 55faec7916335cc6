"""What a summary says of the images: where they are from, what was done to them, and which side they are on."""

from pathlib import PurePath
from typing import Any

from diascope.core.text import counted, listed
from diascope.report.checklist.fact import Fact, Summary, capital, determined, inapplicable, sentences, unsettled
from diascope.report.checklist.pretrained_words import scaling_words
from diascope.report.checklist.training_words import normalization_words

RESIZING = {"stretch": "stretched to", "pad": "padded with black and resized to", "crop": "cropped in the middle to"}
DRAWN_SPLITS = ("holdout", "kfold")
NO_PATIENTS = "The images are drawn by a program; there are no patients."


def drawn(summary: Summary) -> bool:
    """Whether the images are phantoms."""
    return str(summary["data"]["source"]).startswith("phantom:")


def of_patients(summary: Summary) -> Fact:
    """Items on patients, of whom a study folder knows nothing."""
    return inapplicable(NO_PATIENTS) if drawn(summary) else unsettled()


def unknown(summary: Summary) -> Fact:
    """Items that no study folder knows anything of."""
    return unsettled()


def origin(summary: Summary) -> Fact:
    data = summary["data"]
    size = f"{counted(data['images'], 'image')} of the classes {listed(data['classes'])}"
    if not drawn(summary):
        name = PurePath(data["source"]).name  # a supplement need not show where it lies
        return unsettled(f"Source: {name}, {size}.")
    settings = summary["study"]["config"]["data"].get("phantom") or {}
    told = ", ".join(f"{key.replace('_', ' ')} {settings[key]}" for key in ("difficulty", "seed") if key in settings)
    return determined(f"{size}, drawn by Diascope ({data['source']}{', ' + told if told else ''}). {NO_PATIENTS}")


def eligibility(summary: Summary) -> Fact:
    if drawn(summary):
        return inapplicable(NO_PATIENTS)
    ignored = [finding["sentence"] for finding in summary["findings"] if finding["code"] == "ignored-files"]
    used = f"Used: {counted(summary['data']['images'], 'image')} of the source."
    return unsettled(sentences(used, _left_out(summary), *ignored))


def missing(summary: Summary) -> Fact:
    if drawn(summary):
        return determined("Every image and its class is drawn by a program, so that none can be missing.")
    return unsettled(_left_out(summary))


def _left_out(summary: Summary) -> str:
    number = sum(finding["code"] == "unreadable-image" for finding in summary["findings"])
    if not number:
        return "No image was left out as unreadable."
    return f"{counted(number, 'image')} could not be read and {'was' if number == 1 else 'were'} left out."


def preprocessing(summary: Summary) -> Fact:
    ways: dict[str, list[str]] = {}
    for name, arm in summary["arms"].items():
        ways.setdefault(_way(arm["config"]), []).append(name)
    whose = [f"Arm{'s' * (len(names) > 1)} {listed(names)}: every" if len(ways) > 1 else "Every"
             for names in ways.values()]  # fmt: skip
    told = sentences(*(f"{images} image is {way}." for images, way in zip(whose, ways, strict=True)))
    known = "What was done to the files before that is not known to Diascope."
    return determined(sentences(told, "" if drawn(summary) else known, _checks(summary)))


def _way(config: dict[str, Any]) -> str:
    data, model = config["data"], config["model"]
    height, width = data["image_size"]
    colour = "gray" if data["channels"] == 1 else "colour"
    normal = normalization_words(data.get("normalize", "none"))
    if model["name"] == "pretrained":
        normal = scaling_words(model, data["channels"], normal)
    frame = f", frame {data['frame']} of each file" if data.get("frame") else ""
    scale = "scaled to values from 0 to 1" + (f", {normal}" if normal else "")
    return (
        f"read as {colour}{frame}, {RESIZING.get(data['resize'], data['resize'])} {height} × {width} pixels "
        f"(bilinear, antialiased, 8 bits) and {scale}"
    )


def _checks(summary: Summary) -> str:
    """How many issues the checks found, by their code."""
    codes = [finding["code"] for finding in summary["findings"] if finding["outcome"] == "issue"]
    counts = [f"{code} ({codes.count(code):,})" for code in dict.fromkeys(codes)]
    return f"Checks of the data found: {listed(counts)}." if counts else ""


def reference_standard(summary: Summary) -> Fact:
    data = summary["data"]
    if drawn(summary):
        return determined("The class of an image is the one that it was drawn as.")
    positive = f"; positive: {data['positive']}" if len(data["classes"]) == 2 else ""
    return unsettled(f"The classes are those that the source gives: {listed(data['classes'])}{positive}.")


# ---- sides ----


def partition(summary: Summary) -> Fact:
    data, config = summary["data"], summary["study"]["config"]["split"]
    sides = {name: side["images"] for name, side in data["sides"].items() if side["images"]}
    shares = listed(_share(name, images, data["images"]) for name, images in sides.items())
    if data["split"] not in DRAWN_SPLITS:
        return unsettled(f"The sides are those that the source gives: {shares}.")
    unit = "image by image" if _groups(summary) is None else "group by group"
    how = f"drawn at random by Diascope, {unit}, with the classes in like shares on each side (split seed"
    if data["split"] == "kfold":
        test = counted(data["sides"]["test"]["images"], "image")
        folds = f"{counted(len(data['folds']), 'fold')}, {how} {config['seed']}); each image apart from the test side"
        return determined(f"{folds} ({test}) is on the validation side once. In fold 0: {shares}.")
    return determined(f"{capital(shares)}, {how} {config['seed']}).")


def _share(name: str, images: int, total: int) -> str:
    return f"{name} {counted(images, 'image')} ({images / max(1, total):.0%})"


def _groups(summary: Summary) -> int | None:
    groups: int | None = summary["data"]["sides"]["training"]["groups"]
    return groups


def disjoint(summary: Summary) -> Fact:
    if _groups(summary) is None:
        return unsettled(
            "By image. No column of groups (data.group) is named, so that images of one patient may lie on two sides."
        )
    column = summary["study"]["config"]["data"].get("group")
    named = f" ({_origin_of_groups(column)})" if column else ""
    groups = listed(
        f"{name} {side['groups']:,}" for name, side in summary["data"]["sides"].items() if side["groups"] is not None
    )
    return determined(
        f"By group{named}: the images of one group are on one side only, and Diascope refuses a split in which they "
        f"are not. Groups: {groups}."
    )


def _origin_of_groups(column: str) -> str:
    element = column.removeprefix("dicom:")
    return f"column {column}" if element == column else f"{element} of the DICOM files"


def numbers(summary: Summary) -> Fact:
    folds = len(summary["data"]["folds"])
    head = f"In fold 0 of {folds}: " if folds > 1 else ""
    sides = "; ".join(_side(name, side) for name, side in summary["data"]["sides"].items())
    return determined(capital(f"{head}{sides}."))


def _side(name: str, side: dict[str, Any]) -> str:
    if not side["images"]:
        return f"{name} no image"
    groups = f" of {counted(side['groups'], 'group')}" if side["groups"] is not None else ""
    classes = ", ".join(f"{count:,} {label}" for label, count in side["per_class"].items())
    return f"{name} {counted(side['images'], 'image')}{groups} ({classes})"


def side_differences(summary: Summary) -> Fact:
    if summary["data"]["split"] not in DRAWN_SPLITS:
        return unsettled("The sides are those that the source gives; whether they are alike is not known to Diascope.")
    return determined("All sides are drawn at random from the same source, so that they differ by chance alone.")


WEIGHTINGS = {
    "balanced": "inversely to the number of its images on the training side",
    "effective": "inversely to the effective number of its images on the training side, beta 0.999 (Cui et al. 2019)",
    "explicit": "as the study file says",
}


def class_balance(summary: Summary) -> Fact:
    counts, treatments = summary["data"]["per_class"], summary["balance"]["treatments"]
    each = ", ".join(f"{count:,} {label}" for label, count in counts.items())
    told = [f"Training and validation side together hold {each}."]
    if all(found["class_weights"] == "none" and found["sampler"] == "shuffle" for found in treatments):
        return determined(sentences(*told, "No weighting and no repeated drawing of a class was used."))
    folds = len(summary["data"]["folds"])
    ways = [_balancing(found, folds) for found in treatments]
    whose = [f"{listed(found['arms'])}: " if len(treatments) > 1 else "" for found in treatments]
    told += [f"{capital(name + way)}." for name, way in zip(whose, ways, strict=True)]
    return determined(sentences(*told, "Validation and test side are never weighted or drawn anew."))


def _balancing(found: dict[str, Any], folds: int) -> str:
    """What arms do about unequal classes, with the weights of the first fold."""
    setting = found["class_weights"]
    if found["sampler"] == "balanced":
        return "every epoch draws each class equally often from the training side: images of rare classes several times"
    if setting == "none":
        return "no weighting and no repeated drawing"
    how = WEIGHTINGS[setting if isinstance(setting, str) else "explicit"]
    known = ", ".join(f"{name} {weight:.3g}" for name, weight in found["weights"].items())
    where = "in fold 0: " * (folds > 1)
    return f"the loss of an image is weighted by its class, {how}, with a mean of 1 over these images ({where}{known})"


def sample_size(summary: Summary) -> Fact:
    images = counted(summary["data"]["images"], "image")
    return unsettled(
        f"{images} were drawn." if drawn(summary) else f"{images} of the source could be read and are used."
    )


def availability(summary: Summary) -> Fact:
    if drawn(summary):
        return determined("Diascope draws the same images again from the study file; no other data were used.")
    return unsettled()
