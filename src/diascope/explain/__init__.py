"""What a network looks at: attribution maps, one method a file, and the checks that say whether a map means anything.

    maps = attribute(model, images, targets, "grad-cam")   # (B, H, W), positive: speaks for the class

Needs torch, and Captum where a method is Captum's.
"""

from diascope.explain.methods import METHODS, Method, attribute, check_method
from diascope.explain.target import class_logit, predicted_targets

__all__ = ["METHODS", "Method", "attribute", "check_method", "class_logit", "predicted_targets"]
