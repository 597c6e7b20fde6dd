"""Which ONNX graphs a device loads (threat T10): standard operators of a closed list, one file, no loops.

External data would let a graph read any file of the device, custom domains would let it call other code, and
control flow would let it loop for ever. What stays open: an allowed operator may still be given huge sizes,
which the bounds on inputs limit, and not this check.
"""

from __future__ import annotations

from .errors import GraphError
from .onnx_wire import GraphSummary, summarise

MAX_NODES = 50_000
MIN_OPSET, MAX_OPSET = 13, 22

# What a video DiT, its text encoder and a causal video VAE export to at opset 18 to 22, and their near kin.
STANDARD_OPS = frozenset(
    """
    Abs Add And ArgMax AveragePool Cast CastLike Ceil Clip Concat Constant ConstantOfShape Conv
    ConvInteger ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div DynamicQuantizeLinear Einsum
    Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization IsInf
    IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool
    Min Mish Mod Mul Neg Not Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL2 ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize Round ScatterElements
    ScatterND Shape Sigmoid Sign Sin Size Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Sum
    Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
    """.split()  # noqa: SIM905 - a column of 100 quoted names is harder to compare
)
# A linear layer whose weight has 4 bits a value. It is arithmetic on its inputs and nothing else; onnxruntime
# has it on CPUs and in browsers, and the standard operators for 4 bits ask for a newer opset than those run.
CONTRIB_OPS = frozenset({"MatMulNBits"})
# The standard domain has two spellings.
STANDARD = ("", "ai.onnx")
ALLOWED = {"": STANDARD_OPS, "ai.onnx": STANDARD_OPS, "com.microsoft": CONTRIB_OPS}


def check_graph(data: bytes, path: str) -> GraphSummary:
    """Refuse a graph that a device must not load; `path` names it in the error.

    Raises GraphError with one sentence.
    """
    try:
        summary = summarise(data)
    except GraphError as error:
        raise GraphError(f"{path} is not an ONNX file ({error}); export the bundle again.") from None
    reason = _objection(summary)
    if reason:
        raise GraphError(f"{path} {reason}; export the bundle again with this pack.")
    return summary


def _objection(summary: GraphSummary) -> str | None:
    if summary.graphs != 1 or not summary.ops:
        return f"holds {summary.graphs} graphs and {sum(summary.ops.values())} nodes, so it is no network"
    if summary.external:
        return f"keeps the tensor {summary.external[0]!r} in another file, which devices refuse"
    if summary.functions or summary.training or summary.sparse:
        return "holds functions, training data or sparse tensors, which devices refuse"
    if summary.subgraphs:
        return "holds control flow, which devices refuse"
    nodes = sum(summary.ops.values())
    if nodes > MAX_NODES:
        return f"has {nodes} nodes and the limit is {MAX_NODES}"
    for domain, op_type in summary.ops:
        if op_type not in ALLOWED.get(domain, ()):
            return f"uses the operator {op_type!r} of {domain or 'ai.onnx'!r}, which devices do not allow"
    for domain, version in summary.opsets.items():
        if domain in STANDARD and not MIN_OPSET <= version <= MAX_OPSET:
            return f"uses opset {version} and devices run {MIN_OPSET} to {MAX_OPSET}"
        if domain == "com.microsoft" and version != 1:
            return f"uses opset {version} of {domain!r} and devices run 1"
    if not any(domain in summary.opsets for domain in STANDARD):
        return "imports no standard operators"
    return None
