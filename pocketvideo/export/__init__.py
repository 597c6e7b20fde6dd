"""Workflow to plan, plan and model to a verified bundle.

Torch and onnx are imported only when something is exported.
"""

from .compiler import compile_workflow, supported_class_types
from .errors import ExportCancelled, ExportError, ParityError, UnsupportedNode, WorkflowError
from .plan import Geometry, Lookups, Plan
from .prompt import parse_prompt

__all__ = [
    "ExportCancelled",
    "ExportError",
    "Geometry",
    "Lookups",
    "ParityError",
    "Plan",
    "UnsupportedNode",
    "WorkflowError",
    "compile_workflow",
    "parse_prompt",
    "supported_class_types",
]
