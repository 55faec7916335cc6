"""A comparison in one or two sentences that a paper can quote. They never claim more than was shown."""

from dataclasses import dataclass

from diascope.compare.estimate import LEVEL
from diascope.compare.looks import Looking
from diascope.compare.needs import FEWEST, MOST, MOST_FOLDS, Needs
from diascope.compare.scoring import Place
from diascope.metrics import LOWER_IS_BETTER, REGISTRY

NO_BREAK = "\u00a0"  # a space at which no line ends
STATE_A_MARGIN = (
    "To plan how many seeds, folds or images are enough, state the smallest difference that matters: "
    "compare: {margin: 0.02}."
)
LARGE = 0.2  # the share of the images in one group from which on it is said


@dataclass(frozen=True)
class Facts:
    """What a sentence is made of. `interval` is of the difference, arm minus against; `needs`: what would show it."""

    arm: str
    against: str
    metric: str
    verdict: str
    difference: float | None
    interval: tuple[float, float] | None
    p_holm: float | None
    p_equivalent: float | None
    tests: int
    margin: float | None
    reason: str
    folds: int
    runs: int
    planned: int
    images: int
    cases: int
    unit: str
    undefined: int  # runs left out because the metric is undefined there
    crossed: bool
    needs: Needs
    place: Place
    looking: Looking | None = None
    dominating: float = 0.0  # the share of the images that the largest group holds

    @property
    def seeds(self) -> int:
        return self.runs // max(1, self.folds)

    @property
    def name(self) -> str:
        metric = REGISTRY[self.metric]
        return f"{self.place.side} {metric.spelled_out or metric.label} at the {self.place.checkpoint} epoch"

    @property
    def fixed(self) -> bool:
        """The networks of several folds, judged on the same images: other images may be had, other folds not."""
        return self.crossed and self.place.side == "test" and self.folds > 1

    @property
    def is_one_run(self) -> bool:
        return self.runs == 1


def sentence(facts: Facts) -> str:
    """The verdict, its numbers, what it generalizes over and, where nothing was shown, what would show it."""
    found = _sentence(facts) + _one_large_group(facts)
    if facts.undefined and facts.difference is not None:
        left_out = f"left out: {facts.undefined} run{'s' * (facts.undefined != 1)} in which it is undefined"
        return f"{found} ({_capital(left_out)}.)"
    return found


def _sentence(facts: Facts) -> str:
    if facts.difference is None or facts.interval is None:
        return _without_interval(facts)
    if facts.is_one_run:
        return _one_run(facts)
    if facts.verdict in ("better", "worse"):
        return _shown(facts, facts.difference, facts.interval)
    low, high = facts.interval
    numbers = f"{_signed(facts.difference)} (95% CI {_number(low)} to {_number(high)}; {_basis(facts)})"
    if facts.verdict == "equivalent":
        return (
            f"{_capital(facts.name)} was equivalent with {facts.arm} and with {facts.against}, within "
            f"±{facts.margin:g}: difference {numbers}; this generalizes over {generalizes(facts)}.{_one_seed(facts)}"
        )
    return (
        f"No difference in {facts.name} was shown between {facts.arm} and {facts.against}: {numbers}. The interval is "
        f"about {generalizes(facts)}; it does not show that they are equal.{_one_seed(facts)} {needed(facts)}"
    ).strip()


def generalizes(facts: Facts) -> str:
    """What the interval is about."""
    if facts.difference is None:
        return "nothing"
    if facts.is_one_run:
        return f"new {facts.unit}, for these two trained networks only"
    if facts.fixed:
        seeds = " and seeds" if facts.seeds > 1 else ""
        return f"new {facts.unit}, and networks of other folds{seeds} of these training images"
    if facts.crossed and facts.place.side == "validation":
        return f"new training sets, seeds and {facts.unit} of the same kind"
    return f"new seeds and new {facts.unit}, for this training set"


def needed(facts: Facts) -> str:
    """How many seeds, folds or images would show the margin with 80% power; what to state where there is none."""
    if facts.margin is None:
        return "" if facts.looking is not None and facts.looking.planned else STATE_A_MARGIN
    if (facts.folds if facts.crossed else facts.seeds) < FEWEST:
        return ""
    needs, fixed = facts.needs, facts.fixed
    target = f"a difference of {_number(facts.margin)} (the margin, if it is there)"
    if needs.seeds == facts.seeds or needs.cases == facts.cases or (facts.crossed and needs.folds == facts.folds):
        return f"These {'runs' if fixed else 'seeds'} and {facts.unit} would have shown {target} with 80% power."
    ways = [] if needs.folds is None else [f"{needs.folds} folds instead of {facts.folds}"]
    ways += [] if needs.seeds is None else [f"{_rounded(needs.seeds)} seeds instead of {facts.seeds:,}"]
    ways += [] if needs.cases is None else [f"{_rounded(needs.cases)} {facts.unit} instead of {facts.cases:,}"]
    if not ways:
        if fixed:
            return ""
        folds = f"{MOST_FOLDS} folds and " if facts.crossed else ""
        return f"Not even {folds}{MOST} times as many seeds and {facts.unit} would show {target} with 80% power."
    joined = " together with ".join(ways) if needs.together else f"{', or '.join(ways)}{',' * (len(ways) > 1)}"
    return f"About {joined} would show {target} with 80% power."


def _shown(facts: Facts, difference: float, interval: tuple[float, float]) -> str:
    up = difference > 0
    low, high = interval if up else (-interval[1], -interval[0])
    direction = ("higher" if up else "lower") + (
        f", which is {facts.verdict}," if facts.metric in LOWER_IS_BETTER else ""
    )
    found = (
        f"{_capital(facts.name)} was {direction} with {facts.arm} than with {facts.against} by "
        f"{_number(abs(difference))} (95% CI {_number(low)} to {_number(high)}; {_basis(facts)}); "
        f"this generalizes over {generalizes(facts)}."
    )
    if facts.margin is not None and max(abs(low), abs(high)) < facts.margin:
        found += f" The difference is smaller than the margin of {facts.margin:g}."
    return found + _one_seed(facts)


def _one_run(facts: Facts) -> str:
    assert facts.difference is not None
    assert facts.interval is not None
    low, high = facts.interval
    remedy = "Finish the other folds." if facts.crossed else "Train at least 3 seeds each."
    return (
        f"One run of each arm cannot show whether {facts.arm} or {facts.against} is the better method: the difference "
        f"in {facts.name} was {_signed(facts.difference)} (95% CI {_number(low)} to {_number(high)} over "
        f"{_sample(facts)}), and this interval is about these two trained networks only. {remedy}"
    )


def _without_interval(facts: Facts) -> str:
    between = f"between {facts.arm} and {facts.against}"
    if facts.difference is None and facts.looking is not None and facts.looking.planned and not facts.planned:
        first = facts.looking.planned[0]
        pair = f"{facts.arm} with {facts.against} in {facts.name}"
        return f"Cannot compare {pair} yet: the first look, at {first} seeds, is not complete."
    if facts.difference is None:
        return f"Cannot compare {facts.arm} with {facts.against} in {facts.name}: {facts.reason}."
    return (
        f"No difference in {facts.name} was shown {between}: {_signed(facts.difference)} ({_runs(facts)}, "
        f"{_sample(facts)}), without an interval, because {facts.reason}."
    )


def _basis(facts: Facts) -> str:
    after = f" after Holm over {facts.tests} pairs" if facts.tests > 1 else ""
    if facts.verdict == "equivalent" and facts.p_equivalent is not None:
        tested = f"two one-sided tests {_p(facts.p_equivalent)}{after}"
    else:
        tested = f"{_p(facts.p_holm or 0)}{after}"
    return f"{tested}{_look(facts)}; {_runs(facts)}, {_sample(facts)}"


def _look(facts: Facts) -> str:
    """Which look this is, and what p it asks for, where that is not what a reader expects of a single one."""
    if facts.looking is None or facts.p_holm is None:
        return ""
    equivalence = facts.verdict == "equivalent"
    allowed = facts.looking.level_equivalent / 2 if equivalence else facts.looking.level
    hidden = facts.looking.level < facts.p_holm <= LEVEL  # a reader who sees this p takes the difference for shown
    if facts.looking.number == 1 and not facts.looking.planned and not hidden:
        return ""
    boundary = f"boundary p ≤ {allowed:.2g}".replace(" 0.", " .") if allowed else "no error left to spend"
    return f" at {facts.looking.where}, {boundary}".replace("p ≤ ", f"p{NO_BREAK}≤{NO_BREAK}")


def _runs(facts: Facts) -> str:
    missing = f" of {facts.planned} planned" if facts.runs < facts.planned else ""
    if facts.crossed:
        return f"{facts.runs}{missing} paired runs in {facts.folds} fold{'s' * (facts.folds != 1)}"
    return f"{facts.runs}{missing} paired seed{'s' * (facts.runs != 1)}"


def _sample(facts: Facts) -> str:
    of_groups = f" of {facts.cases:,} groups" if facts.cases != facts.images else ""
    return f"{facts.images:,} images{of_groups}"


def _one_large_group(facts: Facts) -> str:
    if facts.interval is None or facts.unit != "groups" or facts.dominating < LARGE:
        return ""
    return (
        f" One group holds {100 * facts.dominating:.0f}% of the images; the groups are weighted accordingly, and the "
        "interval is wider for it."
    )


def _one_seed(facts: Facts) -> str:
    if not facts.crossed or facts.runs > facts.folds:
        return ""
    return " With one seed a fold the noise of the seed is counted, but cannot be told from that of the training set."


def _p(p: float) -> str:
    """`p = .012`, which no line breaks apart."""
    if p < 0.001:
        said = "p < .001"
    elif p >= 0.9995:
        said = "p = 1"
    else:
        digits = 3 if f"{p:.3f}" != "0.050" else 6  # on which side of .05 it lies decides the verdict
        said = f"p = {p:.{digits}f}".replace("0.", ".")
    return said.replace(" ", NO_BREAK)


def _number(value: float) -> str:
    rounded = f"{value:.3f}"
    return "0.000" if rounded == "-0.000" else rounded.replace("-", "−")


def _signed(value: float) -> str:
    number = _number(value)
    return number if value < 0 or number == "0.000" else f"+{number}"


def _rounded(count: int) -> str:
    """Two digits are all that such a number is worth."""
    digits = len(str(count))
    return f"{-(-count // 10 ** (digits - 2)) * 10 ** (digits - 2):,}" if digits > 2 else str(count)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
