"""What a study says of one item of the checklist: how far it determines it, and in which words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from diascope.core.text import listed

Status = Literal["from the study", "stated by the user", "to be stated", "not reported", "not applicable"]
Summary = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """`text` is in plain words; `hint` says what a study would need where it lacks something."""

    status: Status
    text: str = ""
    hint: str = ""


Rule = Callable[[Summary], Fact]


def determined(text: str) -> Fact:
    """The study itself settles the item."""
    return Fact("from the study", text)


def unsettled(text: str = "") -> Fact:
    """Only the user can settle the item; `text` is the part of it that the study knows."""
    return Fact("to be stated", text)


def lacking(text: str, hint: str) -> Fact:
    """The study does not hold what the item asks for."""
    return Fact("not reported", text, hint)


def inapplicable(text: str) -> Fact:
    """The item asks for something that a study of this kind cannot have."""
    return Fact("not applicable", text)


def by_arm(told: Mapping[str, str], *, named: bool = False) -> str:
    """What is said of the arms, those of which the same is said together, in sentences.

    Where the same is said of all, their names are left out, unless `named`.
    """
    alike: dict[str, list[str]] = {}
    for name, words in told.items():
        alike.setdefault(words, []).append(name)
    if len(alike) == 1 and not named:
        return f"{capital(next(iter(alike)))}."
    return sentences(*(f"{capital(listed(names))}: {words}." for words, names in alike.items()))


def capital(text: str) -> str:
    """With its first letter as at the head of a sentence."""
    return text[:1].upper() + text[1:]


def sentences(*parts: str) -> str:
    """The parts that say something, one after the other."""
    return " ".join(part for part in parts if part)
