"""The checks of classes, picture quality, and of what gives the label away, by the code that each is known by."""

from collections.abc import Callable

from diascope.audit.balance import class_imbalance, too_few_images
from diascope.audit.burned_in import burned_in_text, remembered_text
from diascope.audit.colour import colour_made_gray
from diascope.audit.columns import column_predicts_label
from diascope.audit.corners import corners_predict_label
from diascope.audit.deep_gray import deep_gray
from diascope.audit.facts import Audited
from diascope.audit.metadata import metadata_predicts_label
from diascope.audit.quality import blank_images, blurred_images, dark_images, saturated_images
from diascope.audit.trivial import thumbnails_predict_label
from diascope.core.findings import Finding

Check = Callable[[Audited], list[Finding]]

PREDICTORS: dict[str, Check] = {
    "class-imbalance": class_imbalance,
    "too-few-images": too_few_images,
    "blank-images": blank_images,
    "saturated-images": saturated_images,
    "dark-images": dark_images,
    "blurred-images": blurred_images,
    "colour-made-gray": colour_made_gray,
    "deep-gray": deep_gray,
    "metadata-predicts-label": metadata_predicts_label,  # with codes of its own: size-predicts-label ...
    "thumbnails-predict-label": thumbnails_predict_label,
    "corners-predict-label": corners_predict_label,
    "column-predicts-label": column_predicts_label,
    "burned-in-text": burned_in_text,
}

BEFORE_A_STUDY: dict[str, Check] = PREDICTORS | {"burned-in-text": remembered_text}
"""The same, without reading text anew: what an audit has read before is used."""
