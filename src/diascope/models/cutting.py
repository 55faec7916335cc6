"""A backbone cut in two between its blocks: what stays as it is, and can be computed once, and what learns.

The cut is made in the graph that torch.fx traces, at the last place before the learning blocks where a single tensor
passes: after the pooling that precedes them, say, where the maps are smallest.

The trace takes blocks apart into their layers. A block is put back as one through which what it gave passes, under its
own name, so that a hook on it sees that.
"""

from collections.abc import Sequence
from inspect import signature
from typing import Any

from torch import Tensor, fx, nn

from diascope.core.errors import ConfigError

Blocks = list[list[str]]  # names of the parameters of each block, in the order of the computation

_GIVEN_BY = "given_by"  # key in a node's meta: the names of the blocks that gave it, the innermost first
_POOLING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
)


class Block(nn.Module):
    """Stands in a half for a block of its layers: what the block gave passes through."""

    def forward(self, values: Tensor) -> Tensor:
        return values


class _Tracer(fx.Tracer):
    """Traces `forward_features` of a timm model; what timm marks as untraceable stays one node."""

    traced_func_name = "forward_features"

    def __init__(self) -> None:
        from timm.models import get_notrace_functions, get_notrace_modules

        super().__init__(autowrap_functions=tuple(get_notrace_functions()))  # type: ignore[no-untyped-call]
        self._opaque = tuple(get_notrace_modules())  # type: ignore[no-untyped-call]

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, self._opaque) or bool(super().is_leaf_module(module, name))

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        given = super().call_module(m, forward, args, kwargs)
        name = self.path_of_module(m)
        if isinstance(given, fx.Proxy) and not self.is_leaf_module(m, name):
            given.node.meta.setdefault(_GIVEN_BY, []).append(name)
        return given


def blocks_of(backbone: nn.Module) -> Blocks:
    """The blocks as timm counts them in `feature_info`, each with all parameters since the one before.

    Blocks without parameters are none of their own. What comes after the last one belongs to it.
    """
    order = {name: place for place, (name, _) in enumerate(backbone.named_modules())}
    named = [info["module"] for info in backbone.feature_info]  # type: ignore[union-attr]
    ends = [_end(order, module) for module in named]
    if -1 in ends:
        raise _refusal(backbone, f"timm lets one end with {named[ends.index(-1)]!r}, which is not one of its layers")
    used = {name for node in _trace(backbone).nodes for name in _parameters_of(node, backbone)}
    blocks: Blocks = [[] for _ in ends]
    for name, _ in backbone.named_parameters():
        if name in used:
            place = order[name.rpartition(".")[0]]
            blocks[next((number for number, end in enumerate(ends) if place <= end), len(ends) - 1)].append(name)
    return [block for block in blocks if block]


def cut(backbone: nn.Module, learning: Sequence[str]) -> tuple[nn.Module | None, nn.Module]:
    """`backbone.forward_features` as (before, after) the latest place with no parameter in `learning` before it.

    Each takes and gives one tensor; they share the parameters of `backbone`. (None, all of it) where the first layer
    learns, or where there is no place at which a single tensor passes.
    """
    graph = _trace(backbone)
    nodes = [node for node in graph.nodes if node.op not in ("placeholder", "get_attr", "output")]
    names = set(learning)
    first = next((place for place, node in enumerate(nodes) if _parameters_of(node, backbone) & names), len(nodes))
    passing = next((node for place in reversed(range(first)) if (node := _passing(nodes, place)) is not None), None)
    if passing is None:
        return None, _half(backbone, graph)
    return _before(backbone, graph, passing), _after(backbone, graph, passing)


def last_maps(half: nn.Module) -> str:
    """The name of the convolution in a half of `cut` at whose end maps are only made coarser, else "" for all of it.

    A VGG ends with convolution, ReLU and pooling: the convolution has four times the places that the half gives.
    """
    assert isinstance(half, fx.GraphModule)
    (node,) = next(node for node in half.graph.nodes if node.op == "output").all_input_nodes
    pooled = False
    while node.op == "call_module":
        module = half.get_submodule(str(node.target))
        if isinstance(module, nn.Conv2d):
            return str(node.target) if pooled else ""
        if not isinstance(module, Block) and any(weight.ndim > 1 for weight in module.parameters()):
            return ""
        pooled |= isinstance(module, _POOLING)
        (node,) = node.all_input_nodes
    return ""


def _trace(backbone: nn.Module) -> fx.Graph:
    """The graph of `forward_features` of images alone: its further arguments are left at their defaults."""
    forward: Any = backbone.forward_features
    parameters = list(signature(forward).parameters.values())
    try:
        graph = _Tracer().trace(backbone, {parameter.name: parameter.default for parameter in parameters[1:]})
        graph.lint()  # a network that keeps what it computed for itself brings parts of an earlier trace
        return graph
    except Exception as error:  # code of timm that torch.fx cannot follow may raise anything
        told = str(error).partition("\n")[0]
        raise _refusal(backbone, f"torch.fx cannot follow it ({type(error).__name__}: {told})") from error


def _end(order: dict[str, int], module: str) -> int:
    """The place of a module's last part, or -1 for a module that there is not."""
    return max((place for name, place in order.items() if name == module or name.startswith(f"{module}.")), default=-1)


def _refusal(backbone: nn.Module, why: str) -> ConfigError:
    what = f"a {type(backbone).__name__} cannot be divided into blocks: {why}"
    return ConfigError(what, where="model.backbone", remedy="take another network of timm")


def _parameters_of(node: fx.Node, root: nn.Module) -> set[str]:
    """The parameters that a node uses: those of the module that it calls, or those that it is given."""
    own: set[str] = set()
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        own = {f"{node.target}.{name}" for name, _ in module.named_parameters()}
    return own | {str(source.target) for source in node.all_input_nodes if source.op == "get_attr"}


def _passing(nodes: list[fx.Node], place: int) -> fx.Node | None:
    """The one value that passes from the nodes up to `place` to those behind it; None where it is not just one."""
    before = set(nodes[: place + 1])
    passing = {source for node in nodes[place + 1 :] for source in node.all_input_nodes if source in before}
    outside = {source.op for node in nodes[place + 1 :] for source in node.all_input_nodes} & {"placeholder"}
    if place + 1 == len(nodes):
        return nodes[place]
    return next(iter(passing)) if len(passing) == 1 and not outside else None


def _before(root: nn.Module, graph: fx.Graph, passing: fx.Node) -> nn.Module:
    part, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    _copy_needed(graph, [passing], part, copies)
    part.output(copies[passing])
    return _half(root, part)


def _after(root: nn.Module, graph: fx.Graph, passing: fx.Node) -> nn.Module:
    part, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    copies[passing] = part.placeholder("values")
    _copy_needed(graph, [node for node in graph.nodes if node.op == "output"], part, copies)
    return _half(root, part)


def _half(root: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    half = fx.GraphModule(root, graph)
    modules = dict(half.named_modules())
    for node in list(half.graph.nodes):
        given = node
        for name in node.meta.get(_GIVEN_BY, ()):
            if name in modules:  # a block without layers that are called is none
                modules[name].__class__ = Block
                with half.graph.inserting_after(given):
                    passed = half.graph.call_module(name, (given,))
                given.replace_all_uses_with(passed, delete_user_cb=lambda user, passed=passed: user is not passed)
                given = passed
    half.recompile()
    return half


def _copy_needed(graph: fx.Graph, wanted: list[fx.Node], part: fx.Graph, copies: dict[fx.Node, fx.Node]) -> None:
    """Copy into `part` what the wanted nodes need, in order, unless `copies` has it already."""
    needed = set[fx.Node]()
    while wanted:
        node = wanted.pop()
        if node not in needed and node not in copies:
            needed.add(node)
            wanted += node.all_input_nodes
    for node in graph.nodes:
        if node in needed:
            copies[node] = part.node_copy(node, copies.__getitem__)
