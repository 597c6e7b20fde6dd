"""The command behind `make demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from host.client import PromptRejected, PromptTimeout, RequestFailed
from host.server import REPOSITORY, HostError
from host.workflow import WorkflowError

from .errors import DemoError
from .run import Settings, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument(
        "--workflow",
        type=Path,
        default=REPOSITORY / "workflows" / "quickstart.json",
        help="a workflow in the editor's format that ends in a video (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=REPOSITORY / "demo-output",
        help="where the results go (default: %(default)s)",
    )
    parser.add_argument("--model", type=Path, help="a model file to use in place of the workflow's own")
    parser.add_argument("--seed", type=int, help="a seed in place of the workflow's own")
    options = parser.parse_args()
    try:
        run(Settings(options.workflow, options.output.resolve(), options.model, options.seed))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except (DemoError, HostError, PromptTimeout, RequestFailed, PromptRejected, WorkflowError) as error:
        print(f"\nThe demo stopped. {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
