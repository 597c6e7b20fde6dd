"""The bundle: a compiled workflow as a manifest and files that prove themselves by digest.

No torch, no comfy, no onnx: a device opens, verifies and stores bundles with the standard library and numpy.
docs/bundle.md describes the format.
"""

from ._types import Component, File, Input, Manifest, Op
from .bundle import Bundle, write_bundle
from .compare import psnr
from .errors import BundleError, DigestError, GraphError, ManifestError, QuotaError, WeightsError
from .manifest import MANIFEST_NAME, bundle_id, parse, serialise
from .onnx_policy import STANDARD_OPS, check_graph
from .safetensors import Layout, open_tensors, read_layout
from .store import PartFile, Store

__all__ = [
    "MANIFEST_NAME",
    "STANDARD_OPS",
    "Bundle",
    "BundleError",
    "Component",
    "DigestError",
    "File",
    "GraphError",
    "Input",
    "Layout",
    "Manifest",
    "ManifestError",
    "Op",
    "PartFile",
    "QuotaError",
    "Store",
    "WeightsError",
    "bundle_id",
    "check_graph",
    "open_tensors",
    "parse",
    "psnr",
    "read_layout",
    "serialise",
    "write_bundle",
]
