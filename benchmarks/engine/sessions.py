"""The usual way to run a network in onnxruntime, to compare with: weights inside a model per stage."""

from __future__ import annotations

from pathlib import Path

import onnx
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, read_layout
from onnx import helper


def models_with_weights(bundle: Bundle, component: str, folder: Path) -> list[Path]:
    """Write a model per stage whose initializers lie in the bundle's weight files; their paths in order.

    The weight files are linked into `folder`, because onnxruntime reads no file from elsewhere.
    """
    spec = bundle.manifest["components"][component]
    made = []
    for number, stage in enumerate(spec["stages"]):
        source = bundle.path(stage["weights"])
        data = folder / f"{number:02}.safetensors"
        data.hardlink_to(source)
        proto = onnx.load_from_string(bundle.read(spec["graphs"][stage["graph"]]))
        layout = read_layout(source)
        for name, (dtype, shape, offset) in layout.tensors.items():
            tensor = onnx.TensorProto(
                name=name,
                data_type=helper.np_dtype_to_tensor_dtype(dtype),
                dims=shape,
                data_location=onnx.TensorProto.EXTERNAL,
            )
            length = dtype.itemsize
            for size in shape:
                length *= size
            for key, value in (("location", data.name), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            proto.graph.initializer.append(tensor)
        inputs = [value for value in proto.graph.input if value.name not in layout.tensors]
        del proto.graph.input[:]
        proto.graph.input.extend(inputs)
        path = folder / f"{number:02}.onnx"
        path.write_bytes(proto.SerializeToString())
        made.append(path)
    return made
