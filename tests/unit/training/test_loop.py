"""The training loop: a resumed run is the uninterrupted one, bit for bit, even after a kill."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.training.loop import Loop, LoopConfig, generator_for
from comfyui_pocketvideo.pocketvideo.training.muon import Muon, optimizers_for, orthogonalise
from torch import nn


def make(directory: Path, steps: int, every: int = 4) -> Loop:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 32), nn.SiLU(), nn.Linear(32, 6))
    config = LoopConfig(steps=steps, warmup=2, checkpoint_every=every)
    return Loop(directory, config, module, optimizers_for(module, 0.02, 0.01, 0.01))


def loss_of(loop: Loop):  # type: ignore[no-untyped-def]
    def loss_at(step: int) -> dict[str, torch.Tensor]:
        x = torch.randn(8, 6, generator=generator_for(3, step))
        return {"loss": (loop.module(x) - x.flip(1)).square().mean()}

    return loss_at


def test_training_learns_and_keeps_a_running_average(tmp_path: Path) -> None:
    loop = make(tmp_path, 80)
    before = float(loss_of(loop)(0)["loss"])
    loop.run(loss_of(loop))
    assert float(loss_of(loop)(0)["loss"]) < 0.6 * before
    averaged = loop.ema_state_dict()
    raw = loop.module.state_dict()
    assert averaged.keys() == raw.keys()
    assert any(not torch.equal(averaged[name], raw[name]) for name in raw)
    assert (tmp_path / "loss.png").stat().st_size > 1000


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", 12)
    whole.run(loss_of(whole))

    class Stop(Exception):
        pass

    first = make(tmp_path / "parts", 12)
    at = loss_of(first)

    def interrupted(step: int) -> dict[str, torch.Tensor]:
        if step == 9:
            raise Stop
        return at(step)

    with pytest.raises(Stop):
        first.run(interrupted)
    second = make(tmp_path / "parts", 12)
    assert second.step == 8
    second.run(loss_of(second))
    for name, value in whole.module.state_dict().items():
        assert torch.equal(second.module.state_dict()[name], value)
        assert torch.equal(second.ema_state_dict()[name], whole.ema_state_dict()[name])


def test_a_killed_process_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, torch, pathlib, time
        from torch import nn
        from comfyui_pocketvideo.pocketvideo.training.loop import Loop, LoopConfig, generator_for
        from comfyui_pocketvideo.pocketvideo.training.muon import optimizers_for
        torch.manual_seed(0)
        module = nn.Linear(4, 4)
        loop = Loop(pathlib.Path(sys.argv[1]), LoopConfig(steps=int(sys.argv[2]), checkpoint_every=5), module,
                    optimizers_for(module, 0.02, 0.01, 0.0))
        print("start", loop.step, flush=True)
        def loss_at(step):
            time.sleep(0.01)
            return {"loss": loop.module(torch.randn(4, 4, generator=generator_for(0, step))).square().mean()}
        loop.run(loss_at, on_checkpoint=lambda: print("saved", loop.step, flush=True))
        print("done", loop.step, flush=True)
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "run")]
    process = subprocess.Popen(
        [*command, "100000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("saved"):
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    done = subprocess.run([*command, "12"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert int(lines[0].split()[1]) >= 5
    assert lines[-1].startswith("done")


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path) -> None:
    loop = make(tmp_path, 10)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        loop.run(lambda step: {"loss": next(loop.module.parameters()).sum() * float("nan")})


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (12, 12)])
def test_orthogonalise_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert values.min() > 0.4 and values.max() < 1.4


def test_muon_updates_convolutions_by_their_flattened_matrix() -> None:
    kernel = nn.Parameter(torch.zeros(4, 2, 3, 3, 3))
    kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0))
    Muon([kernel], lr=0.1).step()
    update = -kernel.detach().flatten(1) / (0.1 * 0.2 * 54**0.5)
    torch.testing.assert_close(update, orthogonalise(kernel.grad.flatten(1)), rtol=1e-4, atol=1e-4)
