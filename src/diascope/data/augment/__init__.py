"""Random changes of training images: whole batches at once, on the device where they are, from (seed, epoch) alone."""

from diascope.data.augment.augmentation import Augmentation, AugmentedEpoch, build_augmentation

__all__ = ["Augmentation", "AugmentedEpoch", "build_augmentation"]
