"""Make the pictures of the template browser anew: run every workflow in a real ComfyUI. `make thumbnails`.

With names (`tools/thumbnails.py few-step leap`) only theirs.

A picture shows four moments of the video that the workflow makes, exactly as it is saved.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from host.client import ComfyClient
from host.server import REPOSITORY, ComfyServer
from host.workflow import load_workflow, to_prompt

WORKFLOWS = REPOSITORY / "workflows"
TILE, GAP = 252, 8


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as base, ComfyServer(Path(base)) as server:
        client = server.client()
        definitions = client.object_info()
        for path in sorted(WORKFLOWS.glob("*.json")):
            if names and path.stem not in names:
                continue
            picture = contact_sheet(video_of(client, to_prompt(load_workflow(path), definitions)))
            target = path.with_suffix(".jpg")
            picture.save(target, quality=88, optimize=True)
            print(f"{target.relative_to(REPOSITORY)}: {target.stat().st_size / 1000:.0f} kB")
    return 0


def video_of(client: ComfyClient, prompt: dict[str, Any]) -> list[np.ndarray[Any, Any]]:
    """Run a workflow and return the frames of the video that it saves."""
    run = client.run(prompt, timeout=1800).require_success()
    (saved,) = [file for file in run.files if file.filename.endswith(".mp4")]
    with av.open(io.BytesIO(client.view(saved))) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def contact_sheet(frames: list[np.ndarray[Any, Any]]) -> Image.Image:
    """Four frames, from first to last, in reading order."""
    sheet = Image.new("RGB", (2 * TILE + GAP, 2 * TILE + GAP), (20, 20, 24))
    for place in range(4):
        frame = Image.fromarray(frames[place * (len(frames) - 1) // 3])
        tile = frame.resize((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(tile, ((place % 2) * (TILE + GAP), (place // 2) * (TILE + GAP)))
    return sheet


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
