"""Cue conflicts: give images a part of other images, and see whose class the network's answer follows.

The log odds of the donor's class against the host's, with a donor of that class, less the same with donors of the
host's own class, which change the picture as much and say nothing new. As a share of what exchanging whole images does:
0, the part means nothing to the network; 1, it decides alone. Where evidence lies everywhere, as in a texture, a part
has the share of its area (Geirhos et al. 2019 on cue conflicts; Xiao et al. 2021 on exchanged backgrounds).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from diascope.probes.effects import Effect, Flags, Floats, two_way_effect
from diascope.probes.regions import Mask
from diascope.probes.subject import SHOWN, Pixels, Rows, Subject

HOSTS, DONORS = 16, 64  # images that get a part, and that give one: what is planted differs between donors
LARGE = 160 * 160  # pixels, from which on half as many
FEWEST = 4  # groups of each class

Given = Callable[[Pixels, Pixels], Pixels]  # hosts (M, H, W, C), a donor (H, W, C) -> the hosts with its part


@dataclass(frozen=True)
class Conflict:
    """What became of answers when a part was exchanged.

    `answers` (hosts, donors, K) are log probabilities of the image of each row with the part of that of each column.
    """

    answers: Floats
    follows: float  # share of the answers that are the donor's class, where it is not the host's
    strays: float  # share that are a given class other than the host's, where the donor's is the host's


@lru_cache(maxsize=1)
def exchange_of(probed: Subject) -> "Exchange | str":
    """The images that exchange parts among themselves, or why there are too few; one for all probes of a run."""
    return Exchange.of(probed)


@dataclass(frozen=True)
class Exchange:
    """Places of hosts and donors in the validation side, equally many of each class; hosts are donors, too."""

    probed: Subject
    hosts: Rows
    donors: Rows

    @classmethod
    def of(cls, probed: Subject) -> "Exchange | str":
        """Or why there are too few images."""
        height, width = probed.pixels.shape[1:3]
        times, classes = 1 if height * width <= LARGE else 2, len(probed.task.data.classes)
        hosts = probed.some_of_each_class(max(HOSTS // times, FEWEST * classes))
        labels, units = probed.labels[hosts], probed.units[hosts]
        if min(len(np.unique(units[labels == number])) for number in range(classes)) < FEWEST:
            return f"a class has fewer than {FEWEST} {probed.unit} among the images that could exchange parts"
        return cls(probed, hosts, probed.some_of_each_class(max(DONORS // times, 2 * FEWEST * classes)))

    def conflict(self, what: str, given: Given) -> Conflict:
        """Let every host have the part of every donor."""
        probed, count = self.probed, len(self.donors)
        hosts, labels = probed.pixels[self.hosts], probed.labels
        found = []
        for number, donor in enumerate(self.donors.tolist()):
            probed.progress(f"exchanging {what}", number, count)
            found.append(probed.predict(given(hosts, probed.pixels[donor])))
        probed.progress(f"exchanging {what}", count, count)
        called = np.stack([probed.called(of_donor) for of_donor in found], axis=1)
        host, donors = labels[self.hosts][:, None], labels[self.donors][None, :]
        strays = (called != host) / (len(probed.task.data.classes) - 1)
        return Conflict(
            answers=log_probabilities(np.stack(found, axis=1)),
            follows=float((called == donors)[(host != donors) & self._apart].mean()),
            strays=float(strays[(host == donors) & self._apart].mean()),
        )

    def share(
        self,
        part: Conflict,
        control: Conflict | None = None,
        times: float = 1.0,
        null: float = 0.0,
        *,
        given_donors: bool = False,
    ) -> Effect | None:
        """How far answers follow the part, less `times` how far they follow the control; of whole images.

        With `given_donors` it is of the network alone that something is inferred, not of what other donors would have.

        None where whole images do not take the answer along either. The interval takes what whole images do as given.
        """
        units = self.probed.units[self.hosts], self.probed.units[self.donors]
        whole = np.broadcast_to(log_probabilities(self.probed.probabilities[self.donors]), part.answers.shape)
        scale = self._pull(whole, *(np.ones(len(of), dtype=bool) for of in units))
        if not scale > 0:
            return None
        answers = (part.answers - (times * control.answers if control else 0.0) - null * whole) / scale
        beyond = two_way_effect(
            lambda hosts, donors: self._pull(answers, hosts, donors), *units, given_columns=given_donors
        )
        if beyond is None:
            return None
        return replace(beyond, value=beyond.value + null, low=beyond.low + null, high=beyond.high + null)

    @cached_property
    def _apart(self) -> Flags:
        """Hosts and donors (hosts, donors) that are not of one group."""
        found: Flags = self.probed.units[self.hosts][:, None] != self.probed.units[self.donors][None, :]
        return found

    def _pull(self, answers: Floats, hosts: Flags, donors: Flags) -> float:
        """Towards the donor's class from the host's, beyond what donors of the host's class do, in log odds."""
        host, donor = self.probed.labels[self.hosts][:, None], self.probed.labels[self.donors][None, :]
        kept = self._apart & hosts[:, None] & donors[None, :]
        other, same = kept & (host != donor), kept & (host == donor)
        if not other.any() or not same.any():
            return float("nan")
        of_host = np.take_along_axis(answers, host[..., None], axis=2)[..., 0]
        of_donor = np.take_along_axis(answers, donor[..., None], axis=2)[..., 0]
        of_others = (answers.sum(axis=2) - of_host) / (
            answers.shape[2] - 1
        )  # mean over classes that are not the host's
        return float((of_donor - of_host)[other].mean() - (of_others - of_host)[same].mean())

    def pictures(self, given: Given) -> list[Pixels]:
        """Of some hosts: the image, one of another class, the image with a part of that."""
        pixels, labels, rows = self.probed.pixels, self.probed.labels, []
        for number, host in enumerate(self.hosts[:: max(1, len(self.hosts) // SHOWN)][:SHOWN].tolist()):
            others = self.donors[labels[self.donors] != labels[host]]
            donor = pixels[others[number % len(others)]]
            rows.append(np.stack([pixels[host], donor, given(pixels[host : host + 1], donor)[0]]))
        return rows


def within(mask: Mask) -> Given:
    """The part that lies within a mask (H, W)."""

    def given(hosts: Pixels, donor: Pixels) -> Pixels:
        found = hosts.copy()
        found[:, mask] = donor[mask]
        return found

    return given


def log_probabilities(probabilities: Floats) -> Floats:
    """Cut at a millionth: what is surer is not better known."""
    found: Floats = np.log(np.clip(probabilities, 1e-6, 1 - 1e-6))
    return found
