"""The depths that the networks come in, as a number of blocks (or convolutions) a stage."""

VGG_PLANS = {  # layers with weights, three dense ones included -> 3x3 convolutions of the five blocks
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
LAYERS = {"basic": 2, "bottleneck": 3}  # convolutions of a residual block, its shortcut's not counted
PUBLISHED = {  # (depth, block) -> residual blocks of the four stages
    (18, "basic"): (2, 2, 2, 2),
    (34, "basic"): (3, 4, 6, 3),
    (50, "bottleneck"): (3, 4, 6, 3),
    (101, "bottleneck"): (3, 4, 23, 3),
    (152, "bottleneck"): (3, 8, 36, 3),
}


def residual_plan(depth: int, *, block: str, stages: int) -> tuple[int, ...] | None:
    """Residual blocks of each stage, or None for a depth that there is not.

    Counted as He et al. 2016 do: every convolution but those of the shortcuts, and the dense layer. With four stages
    the published depths have the published plans; all others have as many blocks in each stage.
    """
    if stages == 4 and (depth, block) in PUBLISHED:
        return PUBLISHED[depth, block]
    blocks, rest = divmod(depth - 2, stages * LAYERS[block])
    return (blocks,) * stages if blocks > 0 and rest == 0 else None


def nearest_depths(depth: int, *, block: str, stages: int) -> list[int]:
    """The next valid depth below, if there is one, and the next one above."""
    step = stages * LAYERS[block]
    valid = [other for other in range(2, depth + step + 2) if residual_plan(other, block=block, stages=stages)]
    return [other for other in valid if other < depth][-1:] + [other for other in valid if other > depth][:1]
