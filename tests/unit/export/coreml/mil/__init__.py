"""A small interpreter of Core ML's mlprograms: it evaluates the saved bytes of a package op by op in torch.

It exists because there is no Core ML runtime outside Apple's systems. Arithmetic is what the program says:
operands and results have the program's own types, sums are taken in float32 and rounded once per operation.
What it cannot show is how the Neural Engine or a GPU rounds inside an operation.
"""

from .program import MilPackage, predict

__all__ = ["MilPackage", "predict"]
