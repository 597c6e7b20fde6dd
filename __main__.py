"""`python -m comfyui_pocketvideo`: pair devices, send workflows to them and run them, from a terminal."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
