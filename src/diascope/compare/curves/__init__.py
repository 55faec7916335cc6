"""What the learning curves say: read per run, summarized per arm, compared per pair. docs/curves.md has the formulas.

study_readings(StudyRecord(Path("out")))    plain values for summary.json; compare/curve_sentences.py words them
"""

from diascope.compare.curves.arms import arm_readings, pair_readings, study_readings, summarize_readings
from diascope.compare.curves.reading import Reading, read_curves

__all__ = ["Reading", "arm_readings", "pair_readings", "read_curves", "study_readings", "summarize_readings"]
