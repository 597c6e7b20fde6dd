"""sCM (2410.11081) for a rectified flow, beside the adversarial term: SANA-Sprint's recipe (2503.09641).

The flow's network v is read as TrigFlow's F: with s = sin t / (sin t + cos t),

    F(x, t) = ((1 - 2 s) x_rf + (1 - 2 s + 2 s^2) v(x_rf, s)) / sqrt(s^2 + (1 - s)^2),
    x_rf = x sqrt(s^2 + (1 - s)^2),    x_t = cos t x0 + sin t z,    x0hat = cos t x_t - sin t F.

The tangent is a Jacobian-vector product along the teacher's own slope. Latents have unit scale, so sigma_data
is 1. MobileI2V's repository carries the same loss for pictures (its train_scm_ladd.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .losses import token_mean
from .objectives import Batch
from .parent import Conditions, Velocity

# SANA-Sprint's constant beside the tangent's norm.
_NORM = 0.1


def trig_to_flow(angle: Tensor) -> Tensor:
    """The rectified flow's time of TrigFlow's angle in [0, pi / 2]."""
    return angle.sin() / (angle.sin() + angle.cos())


def trig_network(velocity: Velocity, x: Tensor, angle: Tensor, conditions: Conditions) -> Tensor:
    """F of a rectified flow's velocity; `x [B, C, F, H, W]` in TrigFlow's scale, `angle [B]`."""
    time = trig_to_flow(angle)
    s = time[:, None, None, None, None]
    scale = (s.square() + (1 - s).square()).sqrt()
    noisy = conditions.hold(x * scale)
    v = velocity(noisy, conditions.times(time), conditions)
    return ((1 - 2 * s) * noisy + (1 - 2 * s + 2 * s.square()) * v) / scale


class Consistency:
    """The continuous-time consistency term, weighted by 1 / tan t where the paper trains a weight beside it.

    Args:
        student: the network that is trained, not wrapped: it is differentiated forwards.
        velocity_of: turns a network into a velocity.
        teacher: the guided velocity of the frozen teacher.
        mean, std: of the logarithm of tan t.
        warmup: steps over which the tangent's second part grows in.
    """

    def __init__(
        self,
        student: nn.Module,
        velocity_of: Callable[[nn.Module], Velocity],
        teacher: Velocity,
        mean: float = 0.2,
        std: float = 1.6,
        warmup: int = 200,
    ):
        self.critic = None
        self.student, self.velocity_of, self.teacher = student, velocity_of, teacher
        self.mean, self.std, self.warmup = mean, std, warmup

    def generator_loss(self, predicted: Tensor, batch: Batch) -> Tensor:
        del predicted  # the term has noise levels of its own
        conditions = batch.conditions
        drawn = torch.randn(len(batch.real), generator=batch.generator) * self.std + self.mean
        angle = batch.like_time(drawn.exp().atan())
        wide = angle[:, None, None, None, None]
        noise = batch.noise()
        x = wide.cos() * batch.real + wide.sin() * noise
        with torch.no_grad():
            slope = trig_network(self.teacher, x, angle, conditions)
            own, tangent = self._tangent(x, angle, slope, conditions)
            ramp = min(1.0, batch.step / max(1, self.warmup))
            g = -wide.cos().square() * (own - slope)
            g = g - ramp * (wide.cos() * wide.sin() * x + tangent)
            made = conditions.free[:, None, :, None, None].to(g)
            norm = (g * made).flatten(1).norm(dim=1).view(-1, 1, 1, 1, 1) / math.sqrt(g[0].numel())
            goal = own + g / (norm + _NORM)
        found = trig_network(self.velocity_of(self.student), x, angle, conditions)
        weight = 1 / wide.tan().clamp_min(0.05)
        return token_mean(((found - goal).square() * weight).mean(1), conditions.free)

    def critic_losses(self, critic: nn.Module, predicted: Tensor, batch: Batch) -> dict[str, Tensor]:
        return {}

    def _tangent(
        self, x: Tensor, angle: Tensor, slope: Tensor, conditions: Conditions
    ) -> tuple[Tensor, Tensor]:
        """F of the student and cos t sin t dF/dt along the teacher's slope."""
        velocity = self.velocity_of(self.student)
        step = angle.cos() * angle.sin()
        along = step[:, None, None, None, None] * slope
        # Forward differentiation knows no fused attention.
        with sdpa_kernel(SDPBackend.MATH), torch.autocast(x.device.type, enabled=False):
            made = torch.func.jvp(
                lambda at, when: trig_network(velocity, at, when, conditions), (x, angle), (along, step)
            )
        return made[0].detach(), made[1].detach()
