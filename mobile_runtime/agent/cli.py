"""`python -m comfyui_pocketvideo.mobile_runtime.agent`: pair this device, do jobs, make videos, tidy up."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from ..bundle import BundleError
from . import commands
from .errors import AgentError
from .home import Home
from .options import parser
from .progress import ProgressLine


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 if it did what was asked, 1 with one sentence on stderr if not."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    home = Home(Path(options.home))
    line = ProgressLine()
    try:
        if options.command not in commands.ALONE:
            return commands.COMMANDS[options.command](home, options, line)
        with home.locked():
            return commands.COMMANDS[options.command](home, options, line)
    except (AgentError, BundleError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
