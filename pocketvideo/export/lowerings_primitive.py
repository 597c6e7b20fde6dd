"""The lowerings of ComfyUI's primitive nodes: one value, linked to as many widgets as its user likes."""

from .lowering import Literal, Reader, lowering
from .plan import Lookups, PlanBuilder
from .prompt import MAX_TEXT

MAX_WHOLE = 2**63 - 1


@lowering("PrimitiveInt")
def lower_int(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Literal]:
    """Int."""
    return (Literal(node.integer("value", -MAX_WHOLE, MAX_WHOLE)),)


@lowering("PrimitiveFloat")
def lower_float(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Literal]:
    """Float."""
    return (Literal(node.number("value", -MAX_WHOLE, MAX_WHOLE)),)


@lowering("PrimitiveBoolean")
def lower_boolean(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Literal]:
    """Boolean."""
    return (Literal(node.switch("value")),)


@lowering("PrimitiveString")
@lowering("PrimitiveStringMultiline")
def lower_text(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Literal]:
    """String, on one line or several."""
    return (Literal(node.text("value", MAX_TEXT)),)
