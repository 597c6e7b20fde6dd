"""What a model file says of itself, read from its header alone: no torch, no weights.

A workflow is compiled, and a cached export is reused, without loading the model.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..few_step import NotAStudent, read_card
from .errors import WorkflowError
from .plan import Geometry

MAX_HEADER_BYTES = 64 * 1024 * 1024
KEY = "pocketvideo"
CHUNK = 1 << 20


def read_config(path: Path) -> dict[str, Any]:
    """The config in a model file's metadata; raises `WorkflowError` where there is none."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise ValueError("its header has no possible length")
            header = json.loads(file.read(length))
        config = json.loads(header["__metadata__"][KEY])
        if not isinstance(config, dict):
            raise ValueError("its metadata is not an object")
    except FileNotFoundError:
        raise WorkflowError(f"There is no model file {path.name}; put it into models/pocketvideo.") from None
    except OSError as error:
        raise WorkflowError(f"The model file {path.name} cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        cause = f"no {error} in its metadata" if isinstance(error, KeyError) else str(error)
        raise WorkflowError(
            f"The file {path.name} is not a PocketVideo model ({cause}); fetch it again."
        ) from None
    return config


def read_geometry(path: Path) -> Geometry:
    """Latent layout and defaults of a model file; raises `WorkflowError`."""
    config = read_config(path)
    try:
        vae, defaults = config["vae"], config["defaults"]
        # As AutoencoderKLLTXVideo computes its compression ratios.
        halvings = sum(bool(scale) for scale in vae["spatio_temporal_scaling"])
        return Geometry(
            channels=int(config["denoiser"]["in_channels"]),
            spatial=int(vae.get("patch_size", 4)) * 2**halvings,
            temporal=int(vae.get("patch_size_t", 1)) * 2**halvings,
            shift=float(defaults["shift"]),
            motion=float(defaults["motion"]),
            # As nodes/host/model.py makes ComfyUI's MODEL of it.
            any_multiplier=True,
            zero_is_padding=True,
            few_step=read_card(config),
            parent=file_of(config["parent"]["file"]) if "parent" in config else None,
        )
    except NotAStudent as error:
        raise WorkflowError(f"The model file {path.name} cannot be used: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkflowError(
            f"The model file {path.name} does not say how its latents are laid out ({error}); fetch it again."
        ) from None


def file_of(name: str) -> str:
    """The last part of a name in ComfyUI's lists, whichever system wrote it."""
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def relative(path: Path) -> Path:
    """A student's or a parent's file beside another one; raises `WorkflowError` where it is not there."""
    if not path.is_file():
        raise WorkflowError(
            f"There is no model file {path.name} beside its relative; put both into one folder."
        )
    return path


def file_digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
