"""Measures inside ComfyUI's own process: `python cpu_shim.py host.py COMFYUI SETTINGS.json RESULT.json`.

Everything is sampled through ComfyUI's objects on the device that ComfyUI chooses, with the nodes' own code.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent


def main() -> None:
    comfyui, settings_file, result_file = sys.argv[1:4]
    sys.path[:1] = [comfyui, str(BENCHMARKS), str(ROOT / "tests")]
    import torch

    # ComfyUI reads its options from the command line, when told to.
    sys.argv = ["main.py", "--use-pytorch-cross-attention"]
    if not torch.cuda.is_available():
        sys.argv.append("--cpu")
    import comfy.options

    comfy.options.enable_args_parsing()
    import comfy.model_management

    torch.set_grad_enabled(False)
    from host.whitebox import import_pack

    import_pack()
    # One line per sampling run, thousands of runs; a Merge that is inactive on purpose warns every time.
    logging.getLogger().setLevel(logging.ERROR)
    from acceleration import attention, shapes

    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    result = {
        "device": comfy.model_management.get_torch_device_name(comfy.model_management.get_torch_device()),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "grids": shapes.measure(**settings["shapes"]) if settings["shapes"] else [],
        "families": attention.measure(**settings["attention"]) if settings["attention"] else [],
    }
    Path(result_file).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
