"""Parts of somebody else's package, named by `_target_` and registered nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from hneuro.records import BenchmarkItem, Outcome
from hneuro.responses.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class YesNo:
    """Prompts for a random model. Its answers mean nothing, but they fall on both sides, and some on none."""

    prompts: int = 8
    name: str = "yes_no"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=4))

    def items(self) -> tuple[BenchmarkItem, ...]:
        return tuple(
            BenchmarkItem(
                id=f"yes_no/{n}",
                benchmark=self.name,
                messages=({"role": "user", "content": f"Is it number {n}?"},),
                comply=("yes",),
                resist=("no",),
            )
            for n in range(self.prompts)
        )

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        if not text.strip():
            return Outcome.UNPARSED
        return Outcome.COMPLIES if sum(text.encode()) % 2 else Outcome.RESISTS
