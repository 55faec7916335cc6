"""What a trivial model reaches on 8 x 8 thumbnails: a network must beat that to have seen more than light and shape."""

from diascope.audit.association import take_sample
from diascope.audit.confounders import ALPHA, WORTH_ALARM, association_evidence, in_words
from diascope.audit.facts import Audited
from diascope.audit.thumbnail_features import of_pictures
from diascope.core.findings import Finding, Outcome

CODE = "thumbnails-predict-label"
SIDE = 8  # pixels


def thumbnails_predict_label(audited: Audited) -> list[Finding]:
    """One finding, never more than information: thumbnails hold content."""
    sample = take_sample(audited.index)
    if sample is None:
        sentence = "Thumbnails were not set against the classes: every class has images of fewer than 10 groups."
        return [Finding(code=CODE, severity="info", outcome="not applicable", sentence=sentence)]
    found = sample.associate(of_pictures(audited.facts.thumbnails[sample.rows], SIDE))
    reaches = found.p < ALPHA and found.auroc >= WORTH_ALARM
    outcome: Outcome = "issue" if reaches else "passed"
    verdict = (
        "a network must beat this to have seen more than coarse light, shape and place"
        if reaches
        else "coarse light, shape and place say little of the class"
    )
    sentence = f"A linear model on gray thumbnails of 8 x 8 pixels: {in_words(found, audited.index)}; {verdict}."
    evidence = association_evidence(found, found.p, audited.index)
    return [Finding(code=CODE, severity="info", outcome=outcome, sentence=sentence, evidence=evidence)]
