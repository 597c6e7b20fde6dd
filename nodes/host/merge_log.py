"""What a merge did during one sampling run, in one sentence for the log and the node. Knows no ComfyUI."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...pocketvideo.acceleration.merged_attention import MergeCounts


@dataclass
class MergeLog:
    """One sampling run: filled call by call, read at its end."""

    network: str
    calls: int = 0
    active: int = 0
    steps: set[int] = field(default_factory=set)
    last_step: int = 0
    refusals: list[str] = field(default_factory=list)
    most: MergeCounts = field(default_factory=MergeCounts)
    attended: int = 0
    before: int = 0
    after: int = 0

    def refuse(self, reason: str) -> None:
        """A call inside the window that has nothing to merge, and why."""
        if reason not in self.refusals:
            self.refusals.append(reason)

    def add(self, counts: MergeCounts, step: int) -> None:
        """A call of the network inside the window."""
        self.attended += counts.seen
        if not counts.merged:
            return
        self.steps.add(step)
        self.before += counts.before
        self.after += counts.after
        if counts.merged > self.most.merged:
            self.most = counts

    @property
    def merged(self) -> bool:
        return bool(self.steps)

    def sentence(self) -> str:
        """`Merged 60 of 60 attention calls in steps 1-15 of 30: 4096 -> 2048 tokens`, or why nothing was."""
        if not self.merged:
            return f"Merged nothing: {self._reason()}."
        begin, end = min(self.steps), max(self.steps)
        steps = f"step {begin}" if begin == end else f"steps {begin}-{end}"
        tokens = f"{self.most.before} -> {round(self.most.before * self.after / self.before)} tokens"
        return (
            f"Merged {self.most.merged} of {self.most.seen} attention calls in {steps} of {self.last_step}: "
            f"{tokens}"
        )

    def _reason(self) -> str:
        if not self.calls:
            return "the model was not called"
        if not self.active:
            return "no step lies between start_percent and end_percent"
        if self.refusals:
            return "; ".join(self.refusals)
        if not self.attended:
            return (
                f"no attention call of {self.network} reached it, so another node's attention override may "
                "be in its place"
            )
        return "no pair of tokens is as similar as the threshold asks"
