"""How text is decoded."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Temperature 0 is greedy. Defaults: the paper's identification sampling (section 2)."""

    temperature: float = 1.0
    top_k: int = 50  # 0: all tokens
    top_p: float = 0.9
    max_new_tokens: int = 50

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.max_new_tokens < 1:
            raise ValueError("temperature >= 0, 0 < top_p <= 1, top_k >= 0 and max_new_tokens >= 1 are needed")
