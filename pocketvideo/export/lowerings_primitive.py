"""The lowerings of nodes that pass something on: primitives, one value for many widgets, and Reroute.

The editor leaves no Reroute in a prompt; other tools do.
"""

from typing import Any

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


@lowering("Reroute")
def lower_reroute(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Any]:
    """Reroute: what its one input is linked to, whatever it is called."""
    return (node.passed(),)
