"""What a summary says of how the arms were judged, what came out, and what limits it."""

from math import sqrt
from typing import Any

from diascope.core.text import counted, listed
from diascope.metrics import REGISTRY
from diascope.report.checklist.about_data import DRAWN_SPLITS, drawn
from diascope.report.checklist.about_training import NOT_RUN, RUN_IT, finished
from diascope.report.checklist.fact import (
    Fact,
    Summary,
    capital,
    determined,
    inapplicable,
    lacking,
    sentences,
    unsettled,
)
from diascope.report.starts import UNKNOWN, backbones, first_arm
from diascope.report.stopping import watching

FEW_SEEDS = 5  # fewer say little of how much a result moves with the seed
WIDE = 0.03  # images are called few when a share measured on them is known no better than this, plus or minus


def _name(metric: str) -> str:
    return REGISTRY[metric].label if metric in REGISTRY else metric.replace("_", " ")


# ---- methods ----


def metrics(summary: Summary) -> Fact:
    primary = summary["primary"]
    names = list(dict.fromkeys(name for arm in summary["arms"].values() for name in arm["metrics"]))
    others = [_name(name) for name in names if name != primary["metric"]]
    reason = f", because {primary['reason']}" if primary.get("reason") else ""
    return determined(
        sentences(
            f"The arms are judged by {_name(primary['metric'])} on the {primary['side']} side{reason}.",
            f"Also given: {listed(others)}." if others else "",
            "Plots: learning curves, ROC curves and confusion matrices.",
        )
    )


def uncertainty(summary: Summary) -> Fact:
    """Methods of intervals and tests, as the numbers themselves name them."""
    intervals = {str(score["method"]) for score in _scores(summary) if score.get("method") and _bounded(score)}
    compared = [row for row in _comparisons(summary) if _bounded(row)]
    tests = {str(row["method"]) for row in compared if row.get("method")}
    if not (intervals or tests):
        return lacking(
            "Only the standard deviation over trainings (n − 1) is given: no interval and no test.",
            "rebuild the report with a version of Diascope that gives intervals",
        )
    corrected = any(row.get("p_holm") is not None for row in compared)
    return determined(
        sentences(
            f"Intervals of scores: {'; '.join(sorted(intervals))}." if intervals else "",
            f"Intervals of differences: {'; '.join(sorted(tests))}." if tests else "",
            "p-values are corrected for the number of comparisons (Holm 1979)." if corrected else "",
        )
    )


def _scores(summary: Summary) -> list[dict[str, Any]]:
    return [score for arm in summary["arms"].values() for score in arm["metrics"].values()]


def _comparisons(summary: Summary) -> list[dict[str, Any]]:
    """Those that came to a number."""
    return [row for row in summary.get("comparisons") or [] if row.get("difference") is not None]


def _bounded(row: dict[str, Any]) -> bool:
    return row.get("low") is not None and row.get("high") is not None


def robustness(summary: Summary) -> Fact:
    seeds, folds = len(summary["seeds"]), len(summary["data"]["folds"])
    most = max(sum(run["state"] == "done" for run in arm["runs"]) for arm in summary["arms"].values())
    probes = f"Probes for shortcuts: {len(summary['probes'])}." if summary.get("probes") else ""
    if most < 2 and not probes:
        return lacking("Each arm was trained once at most.", "give more seeds, or folds")
    over = " and ".join([*([counted(seeds, "seed")] if seeds > 1 else []), *([f"{folds} folds"] if folds > 1 else [])])
    repeated = (
        f"Each arm is trained again over {over}, and the spread is given. Other devices, image qualities and patients "
        "were not tried."
    )
    return determined(sentences(repeated if most > 1 else "", probes))


def explainability(summary: Summary) -> Fact:
    explained = {name: arm for name, arm in summary["arms"].items() if arm.get("explain")}
    if not explained:
        return lacking(
            "The summary holds no explanations of predictions.",
            "set report.explain to 1 or more and run the study to its end, or say in the manuscript what was looked at",
        )
    without = [name for name in summary["arms"] if name not in explained]
    each = [f"{capital(name)}: {_explained(arm)}" for name, arm in explained.items()]
    return determined(sentences(*each, f"Without explanations: {listed(without)}." if without else ""))


def _explained(arm: dict[str, Any]) -> str:
    """What was made for one run of the arm, what its network is worth, and what came of the checks of the maps."""
    found = arm["explain"]
    made = (
        f"{found['title']} at layer {found['layer']} of {found['run']} ({found['checkpoint']} epoch; one of "
        f"{counted(len(arm['runs']), 'training')}), {counted(len(found['cases']), 'image')} shown."
    )
    compared = found["regions"] and "beyond" in found["regions"]["all"]  # not by an older version, against the area
    regions = found["regions"]["sentence"] if compared else ""
    return sentences(made, found["sentence"] if found["meaningless"] else "", found["sanity"]["sentence"], regions)


def internal(summary: Summary) -> Fact:
    if not finished(summary):
        return lacking(NOT_RUN, RUN_IT)
    sides, folds = summary["data"]["sides"], len(summary["data"]["folds"])
    images = counted(sides["validation"]["images"], "image")
    each = f"the validation side of each of {folds} folds" if folds > 1 else "the validation side"
    looked = watching(summary)
    watched = f"In {listed(looked)}, training looked at it to stop or to lower the learning rate." if looked else ""
    judged = f"Judged on {each} ({images}), which no weight was fitted to."
    return determined(sentences(judged, watched, _begun_with_best(summary), _test_side(summary)))


def _begun_with_best(summary: Summary) -> str:
    """On arms that begin with the best epoch of another one, which the validation side has chosen."""
    arms = summary["arms"].items()
    names = [name for name, arm in arms if first_arm(arm["config"]["training"]) is not None]
    return f"The weights that {listed(names)} began with are of epochs that were chosen on it." if names else ""


def _test_side(summary: Summary) -> str:
    images = summary["data"]["sides"]["test"]["images"]
    if tested(summary):
        looks = len((summary.get("test") or {}).get("log", []))
        times = f"{looks} more times" if looks > 1 else "once more"
        return f"Judged {times} on the test side ({counted(images, 'image')})."
    if images:
        return f"The test side ({counted(images, 'image')}) was kept apart and is in no number."
    return "There is no test side."


def tested(summary: Summary) -> bool:
    """Whether an arm was judged on the test side."""
    return any(arm.get("test_metrics") for arm in summary["arms"].values())


def external(summary: Summary) -> Fact:
    return lacking("No images of another source.", "if there was such a test: report.external_test")


def heterogeneity(summary: Summary) -> Fact:
    columns = (summary["study"]["config"].get("report") or {}).get("subgroups") or []
    shown = summary.get("subgroups") or any(arm.get("subgroups") for arm in summary["arms"].values())
    if columns and shown:
        return determined(f"The primary metric is shown for each value of {listed(columns)}.")
    what = f"Asked for by {listed(columns)}, but not in the summary." if columns else "Not examined."
    return lacking(what, "name columns of the manifest, such as the hospital, as report.subgroups")


# ---- results ----


def performance(summary: Summary) -> Fact:
    metric = summary["primary"]["metric"]
    scores = {name: arm["metrics"].get(metric) for name, arm in summary["arms"].items()}
    known = {name: score for name, score in scores.items() if score and score.get("mean") is not None}
    if not known:
        return lacking(NOT_RUN, RUN_IT)
    each = "; ".join(f"{name} {_spread(score)}" for name, score in known.items())
    where = f"{summary['primary']['side']} side, {summary['primary']['at']} epoch"
    return determined(sentences(f"{capital(_name(metric))} ({where}): {each}.", _on_test(summary)))


def _on_test(summary: Summary) -> str:
    """The primary metric of the arms that were judged on the test side."""
    metric = summary["primary"]["metric"]
    found = {name: (arm.get("test_metrics") or {}).get(metric) for name, arm in summary["arms"].items()}
    each = "; ".join(f"{name} {_spread(score)}" for name, score in found.items() if score and score["mean"] is not None)
    return f"Test side: {each}." if each else ""


def _spread(score: dict[str, Any]) -> str:
    runs = counted(score["n"], "training")
    return (
        f"{score['mean']:.3f} ({runs})"
        if score.get("sd") is None
        else f"{score['mean']:.3f} ± {score['sd']:.3f} (SD, {runs})"
    )


def _with_limits(scores: dict[str, dict[str, Any]]) -> str:
    """Of the arms whose score has an interval."""
    return "; ".join(
        f"{name} {score['mean']:.3f} (interval {score['low']:.3f} to {score['high']:.3f})"
        for name, score in scores.items()
        if score.get("mean") is not None and _bounded(score)
    )


def precision(summary: Summary) -> Fact:
    metric = summary["primary"]["metric"]
    scores = {name: arm["metrics"].get(metric) or {} for name, arm in summary["arms"].items()}
    each = _with_limits(scores)
    if not each:
        return lacking(
            "The scores have no intervals.", "rebuild the report with a version of Diascope that gives intervals"
        )
    without = [name for name, score in scores.items() if score.get("mean") is None or not _bounded(score)]
    on_test = _with_limits({name: (arm.get("test_metrics") or {}).get(metric) or {}
                            for name, arm in summary["arms"].items()})  # fmt: skip
    return determined(
        sentences(
            f"{capital(_name(metric))}: {each}.",
            f"Without interval: {listed(without)}." if without else "",
            f"Test side: {on_test}." if on_test else "",
        )
    )


def comparisons(summary: Summary) -> Fact:
    rows = _comparisons(summary)
    asked = (summary["study"]["config"].get("compare") or {}).get("pairs")
    if len(summary["arms"]) < 2 or asked == []:
        return inapplicable("The study compares no arms.")
    if not rows:
        return lacking("Differences between the arms are not judged.", "finish the runs, and rebuild the report")
    on_test = [row for row in (summary.get("test") or {}).get("comparisons", []) if row["difference"] is not None]
    return determined(sentences(*(_compared(row) for row in [*rows, *on_test])))


def _compared(row: dict[str, Any]) -> str:
    if row.get("sentence"):
        return str(row["sentence"])
    between = f" (interval {row['low']:+.3f} to {row['high']:+.3f})" if _bounded(row) else ""
    return f"{row['arm']} less {row['against']}, {_name(row['metric'])}: {row['difference']:+.3f}{between}."


def failures(summary: Summary) -> Fact:
    """Which classes are taken for which, most often first; what the images have in common nobody has noted."""
    classes = summary["data"]["classes"]
    told = []
    for name, arm in summary["arms"].items():
        table = arm["confusion"]["last"]
        wrong = [(table[true][called], true, called) for true in range(len(classes)) for called in range(len(classes))
                 if true != called and table[true][called]] if table else []  # fmt: skip
        if wrong:
            count, true, called = max(wrong)
            total = sum(table[true])
            told.append(f"{name}: {classes[true]} called {classes[called]} {count:,} of {total:,} times")
    return unsettled(f"Most frequent error, over all finished trainings: {'; '.join(told)}." if told else "")


# ---- discussion ----


def limitations(summary: Summary) -> Fact:
    """What follows from the study by itself; there is always more that only the user knows."""
    return unsettled(sentences(*(text for text in _limits(summary) if text)))


def _limits(summary: Summary) -> list[str]:
    data, seeds = summary["data"], len(summary["seeds"])
    runs = [run for arm in summary["arms"].values() for run in arm["runs"]]
    lost = len(runs) - finished(summary)
    return [
        "The images are drawn: nothing here holds for patients." if drawn(summary) else "",
        "One split: other sides would give other numbers." if len(data["folds"]) == 1 else "",
        "" if data["split"] in DRAWN_SPLITS else "The split was given, not drawn.",
        "" if data["sides"]["training"]["groups"] is not None else "Images of one patient may lie on two sides.",
        "" if tested(summary) else f"{_test_side(summary)} All numbers are of images that were watched in training.",
        *(summary.get("test") or {}).get("warnings", []),
        *summary["looks"]["warnings"],
        "No images of another source were tried.",
        _unknown_past(summary),
        f"Few seeds ({seeds})." if seeds < FEW_SEEDS else "",
        _small(sum(fold["validation"]["images"] for fold in data["folds"])),
        "" if any(_bounded(score) for score in _scores(summary)) else "The scores have no intervals.",
        f"{counted(lost, 'training')} of {len(runs)} {'is' if lost == 1 else 'are'} missing." if lost else "",
    ]


def _unknown_past(summary: Summary) -> str:
    networks = backbones(arm["config"] for arm in summary["arms"].values())
    return f"The weights of {listed(networks)} are pretrained: {UNKNOWN}." if networks else ""


def _small(images: int) -> str:
    """By the normal approximation, for an accuracy of 0.8 and images that are independent of one another."""
    half = 1.96 * sqrt(0.8 * 0.2 / max(1, images))
    if half < WIDE:
        return ""
    return f"Few images to judge by ({images}): an accuracy of 0.8 is known to about ± {half:.2f} from as many."


def implications(summary: Summary) -> Fact:
    return unsettled(f"Main result: {summary['answer']}")


def fairness(summary: Summary) -> Fact:
    if drawn(summary):
        return inapplicable("The images are drawn by a program; there are no groups of people.")
    return unsettled("Diascope took no measure to make the classifiers fair.")
