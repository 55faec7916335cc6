"""What the learning curves say, in words: at most three sentences a pair, three an arm, three for the study.

What compares arms comes first. With more than three pairs, what shows no difference is left out. Epochs of arms that
begin with different trained weights are not compared. Every sentence follows from the readings of compare/curves alone.
Epochs at which something happened carry how many runs showed it; a run that ended before is never counted as if it had;
a difference without an interval says why.
"""

from collections.abc import Mapping
from typing import Any

from diascope.core.text import listed

Readings = Mapping[str, Any]

NAMED = 3  # more pairs than this are counted, not named
LONG = 10  # a difference of so many epochs is rounded to whole ones
WIDE = 0.1  # a difference of losses from here on is rounded to two decimals, else to three
UNCORRECTED = (
    "The intervals of differences between learning curves are not corrected for how many there are: "
    "of readings in which equal arms differ by chance alone, one in twenty would leave out zero."
)
TOO_SHORT = "too short to show where they level off, turn up or would end; that takes 21 epochs"


def curve_sentences(readings: Readings) -> list[str]:
    """Sentences on a study, from `study_readings(record)` or its copy in summary.json; none before a run has ended."""
    return [sentence for _, sentence in keyed_sentences(readings)]


def keyed_sentences(readings: Readings) -> list[tuple[str, str]]:
    """(whose, sentence): `arm against other`, the arm's name, or "" for the whole study; most important first."""
    arms = {arm["arm"]: arm for arm in readings["arms"] if arm["runs"]}
    pairs = [pair for pair in readings["pairs"] if pair["arm"] in arms and pair["against"] in arms]
    found = [
        (f"{pair['arm']} against {pair['against']}", sentence)
        for pair in pairs
        for sentence in _of_pair(pair, arms, brief=len(pairs) > NAMED)
    ]
    uncorrected = [("", UNCORRECTED)] if any("95% CI" in sentence for _, sentence in found) else []
    begun = {name for pair in pairs if not _begun_alike(pair, arms) for name in (pair["arm"], pair["against"])}
    found += [(name, _head_start(arm)) for name, arm in arms.items() if name in begun and arm["start_from"]]
    found += [(name, sentence) for name, arm in arms.items() for sentence in _of_arm(arm)]
    return found + [("", sentence) for sentence in _roughness(pairs, arms) + _short(arms)] + uncorrected


def _short(arms: Mapping[str, Readings]) -> list[str]:
    short = [arm for arm in arms.values() if arm["readings"]["overfitting"]["n"] == 0]
    partly = [_partly_short(arm) for arm in arms.values() if arm not in short]
    if not short:
        return [sentence for sentence in partly if sentence]
    whose = "the curves" if len(short) == len(arms) else f"the curves of {listed([arm['arm'] for arm in short])}"
    return [f"With {_epochs_of(*short)}, {whose} are {TOO_SHORT}.", *[sentence for sentence in partly if sentence]]


def _partly_short(arm: Readings) -> str:
    """Where some runs ended too early, by early stopping say; empty where none did."""
    few, runs = len(arm["runs"]) - arm["readings"]["overfitting"]["n"], len(arm["runs"])
    if not few:
        return ""
    which = "it is" if few == 1 else "they are"
    others = "the other" if runs - few == 1 else "the others"
    return (
        f"Of {arm['arm']}, {few} of {runs} runs ended early: {which} {TOO_SHORT}. What is said of that is of {others}."
    )


def _of_arm(arm: Readings) -> list[str]:
    """Where validation loss ends or levels off, and whether it turns up."""
    readings, within = arm["readings"], _epochs_of(arm)
    level, turn = readings["convergence_validation"], readings["overfitting"]
    if turn["n"] == 0:
        return []
    loss = f"Validation loss of {arm['arm']}"
    ending = _ending(readings["slope_validation_loss"], level, within)
    flat = turn["n"] - level["n"]
    if flat and level["n"]:
        ending += f"; in {flat} of {turn['n']} runs it did not fall by more than its noise"
    return [f"{loss} {ending}.", f"{loss} {_turn(turn, within)}."]


def _ending(slope: Readings, level: Readings, within: str) -> str:
    if slope["improving"]:
        runs = f"in {slope['improving']} of {slope['n']} runs" if slope["n"] > 1 else "in the one run"
        # Some runs may have stopped falling: their slopes are in the mean, too, which can then point upwards.
        rate = f" (by {_small(-slope['mean'])} an epoch on average)" if slope["improving"] == slope["n"] > 1 else ""
        return f"was still falling at the last epoch {runs}{rate}, so {within} do not show where it would end"
    if level["n"] == 0:
        return f"did not fall by more than its noise {_runs(slope['n'])}"
    if level["censored"] == level["n"]:
        return f"had not settled within {within} {_runs(level['n'])}"
    return f"had made 90% of its fall {_when(level, 'by')}"


def _turn(turn: Readings, within: str) -> str:
    if turn["censored"] == turn["n"]:
        return f"did not surely turn up within {within} {_runs(turn['n'])}"
    seen = turn["n"] - turn["censored"]
    others = "the other" if turn["censored"] == 1 else "the others"
    overfit = f"{'this one overfits' if seen == 1 else 'these overfit'} from there on, {others} not surely"
    if not turn["censored"]:
        overfit = "it overfits from there on"
    return f"turned up {_when(turn, 'at')}, while training loss went on falling: {overfit}"


def _begun_alike(pair: Readings, arms: Mapping[str, Readings]) -> bool:
    """Whether both arms begin anew, or with the trained weights of the same runs."""
    return bool(arms[pair["arm"]]["start_from"] == arms[pair["against"]]["start_from"])


def _head_start(arm: Readings) -> str:
    first = arm["start_from"].removeprefix("arm:") if arm["start_from"].startswith("arm:") else "an earlier run"
    return (
        f"{arm['arm']} began with the trained weights of {first}: its epochs are not compared with those of arms that "
        "did not."
    )


def _of_pair(pair: Readings, arms: Mapping[str, Readings], *, brief: bool) -> list[str]:
    """How soon, how fast, with what gap; `brief`: the last two only where the interval leaves out zero.

    A goal that takes no learning, an accuracy that is no better than one answer for all images, is no goal.
    """
    differences, alike = pair["differences"], _begun_alike(pair, arms)
    speed = any(_shown(differences[name]) for name in ("convergence_validation", "overfitting"))
    found = [
        _target(pair, arms) if alike and pair["target"] > pair["chance"] else "",
        _speed(pair, arms) if alike and (speed or not brief) else "",
        _gap(pair) if _shown(differences["gap_loss"]) or not brief else "",
    ]
    return [sentence for sentence in found if sentence]


def _target(pair: Readings, arms: Mapping[str, Readings]) -> str:
    """How soon the arm reaches the final training accuracy of the other (which one run at least of the other does)."""
    arm, against, reached = pair["arm"], pair["against"], pair["epochs_to_target"]
    ours, theirs, sooner = reached["arm"], reached["against"], pair["differences"]["epochs_to_target"]
    goal = f"{against}'s {'mean ' if theirs['n'] > 1 else ''}final training accuracy of {pair['target']:.3f}"
    if ours["censored"] == ours["n"]:
        text = f"{arm} did not reach {goal} within {_epochs_of(arms[arm])} {_runs(ours['n'])}"
    else:
        text = f"{arm} reached {goal} {_when(ours, 'at')}"
    text += f"; {against} itself did {_when(theirs, 'at')}"
    if ours["censored"] == ours["n"]:
        return f"{text}."
    if sooner["mean"] is not None and sooner["n"] > 1:
        text += f"; {arm} came there {_later(sooner)} {_interval(sooner)}"
    elif sooner["n"] > 1 and sooner["lower"] + sooner["higher"]:
        text += f"; {arm} came there {_by_counts(sooner)}"
    return f"{text}."


def _speed(pair: Readings, arms: Mapping[str, Readings]) -> str:
    """Which of the two converges faster, and whether overfitting sets in earlier or later."""
    arm, against = pair["arm"], pair["against"]
    level, turn = pair["differences"]["convergence_validation"], pair["differences"]["overfitting"]
    if level["n"] == 0:  # in one arm at least, validation loss never fell
        onset = _onset(arm, turn, f" than in {against}")
        return f"O{onset[3:]}." if onset else ""
    came = "90% of the fall of validation loss came"
    if level["undecided"] == level["n"]:
        within = _epochs_of(arms[arm], arms[against])
        text = f"Whether {arm} or {against} converges faster is not seen within {within} {_pairs(level['n'])}"
    elif level["mean"] is None:
        text = f"{arm} converged {_by_counts(level, f' than {against}')}"
    elif _shown(level):
        faster = "faster" if level["mean"] < 0 else "slower"
        text = f"{arm} converged {faster} than {against}: {came} {_later(level)} {_interval(level)}"
    else:
        verdict = "is not shown" if level["low"] is not None else "cannot be judged"
        text = f"Whether {arm} or {against} converges faster {verdict}: "
        text += f"in {arm}, {came} {_later(level)} {_interval(level)}"
    return f"{text}{_onset(arm, turn)}."


def _onset(arm: str, turn: Readings, than: str = "") -> str:
    """The clause on overfitting; empty where nothing can be said."""
    if turn["mean"] is not None:
        return f"; overfitting of {arm} set in {_later(turn)}{than if turn['mean'] else ''} {_interval(turn)}"
    return f"; overfitting of {arm} set in {_by_counts(turn, than)}" if turn["lower"] + turn["higher"] else ""


def _gap(pair: Readings) -> str:
    gap, arm, against = pair["differences"]["gap_loss"], pair["arm"], pair["against"]
    if not gap["mean"]:  # no pair of runs, or not the least difference
        return ""
    digits = 2 if abs(gap["mean"]) >= WIDE else 3
    size = f"{abs(gap['mean']):.{digits}f} {'smaller' if gap['mean'] < 0 else 'larger'}"
    text = (
        f"In {arm}, the gap between validation and training loss at the last epoch was {size} than in {against} "
        f"{_bounds(gap, digits)}"
    )
    return f"{text}: no difference is shown." if gap["low"] is not None and not _shown(gap) else f"{text}."


def _roughness(pairs: list[Readings], arms: Mapping[str, Readings]) -> list[str]:
    """Said where one epoch more or less moves a run further than the arms lie apart."""
    rough = {name: arm["readings"]["roughness_accuracy"]["mean"] for name, arm in arms.items()}
    drowned = []
    for pair in pairs:
        apart = pair["differences"]["final_validation_accuracy"]["mean"]
        both = [value for value in (rough[pair["arm"]], rough[pair["against"]]) if value is not None]
        if apart is not None and both and abs(apart) < min(both):
            drowned.append((pair, abs(apart), both))
    if not drowned:
        return []
    jumps = [value for _, _, both in drowned for value in both]
    low, high = f"{min(jumps):.3f}", f"{max(jumps):.3f}"
    named = [f"{pair['arm']} and {pair['against']} ({apart:.3f})" for pair, apart, _ in drowned]
    which = listed(named) if len(named) <= NAMED else f"the arms in {len(named)} of {len(pairs)} pairs"
    size = low if low == high else f"{low} to {high}"
    return [
        f"From one epoch to the next, validation accuracy jumps by {size} (SD, over the last half of a run), "
        f"which is more than what lies between {which} at the last epoch."
    ]


def _when(summary: Readings, word: str) -> str:
    """`at epoch 12 (mean of 5 runs, SD 1.2; range 10 to 13)`; at least one run must have shown it."""
    count, seen = summary["n"], summary["n"] - summary["censored"]
    low, high = summary["min"], summary["max"]
    if summary["censored"]:
        where = f"{word} epoch {low}" if low == high else f"{word} epochs {low} to {high}"
        median = "" if summary["median"] is None else f" (median of all {count}: {summary['median']:g})"
        return f"in {seen} of {count} runs, {where}{median}"
    if count == 1:
        return f"{word} epoch {low} (one run)"
    if low == high:
        return f"{word} epoch {low} (all {count} runs)"
    return f"{word} epoch {summary['mean']:.0f} (mean of {count} runs, SD {summary['sd']:.1f}; range {low} to {high})"


def _by_counts(difference: Readings, than: str = "") -> str:
    """`later in 3 of 5 paired runs, earlier in 1`; one of the two at least is not zero."""
    outcomes = (difference["lower"], "earlier"), (difference["higher"], "later")
    (rest, least), (count, most) = sorted(outcomes)
    return f"{most}{than} in {count} of {_pairs(difference['n'])[1:-1]}" + (f", {least} in {rest}" if rest else "")


def _later(difference: Readings) -> str:
    if difference["mean"] == 0:
        return "at the same epoch on average" if difference["n"] > 1 else "at the same epoch"
    size = f"{abs(difference['mean']):.{_digits(difference)}f}"
    return f"{size} epoch{'' if size == '1' else 's'} {'earlier' if difference['mean'] < 0 else 'later'}"


def _interval(difference: Readings) -> str:
    return _bounds(difference, _digits(difference))


def _bounds(difference: Readings, digits: int) -> str:
    """The interval in the direction of the mean (`14 epochs earlier` goes with `6 to 22`); or why there is none."""
    count, low, high = difference["n"], difference["low"], difference["high"]
    if low is not None:
        low, high = (-high, -low) if difference["mean"] < 0 else (low, high)
        return _minus(f"(95% CI {low:.{digits}f} to {high:.{digits}f}; {count} paired runs)")
    if count == 1:
        return "(one pair of runs)"
    if difference["sd"] == 0:
        return f"(the same in all {count} paired runs)"
    return f"(mean of {count} paired runs, SD {difference['sd']:.{max(1, digits)}f}; too few for an interval)"


def _digits(difference: Readings) -> int:
    """Decimals of a mean difference in epochs and of its interval."""
    return 0 if abs(difference["mean"]) >= LONG or (difference["n"] == 1 or difference["sd"] == 0) else 1


def _shown(difference: Readings) -> bool:
    """Whether there is an interval, and it leaves out zero."""
    return difference["low"] is not None and (difference["low"] > 0 or difference["high"] < 0)


def _epochs_of(*arms: Readings) -> str:
    lengths = [run["epochs"] for arm in arms for run in arm["runs"]]
    low, high = min(lengths), max(lengths)
    return f"{low} to {high} epochs" if low < high else f"{high} epoch{'' if high == 1 else 's'}"


def _runs(count: int) -> str:
    return f"({count} runs)" if count > 1 else "(one run)"


def _pairs(count: int) -> str:
    return f"({count} paired runs)" if count > 1 else "(one pair of runs)"


def _small(value: float) -> str:
    return _minus(f"{value:.2g}" if abs(value) >= 1e-4 else f"{value:.0e}")


def _minus(text: str) -> str:
    return text.replace("-", "−")
