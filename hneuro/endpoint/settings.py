"""Which server is asked, and how."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hneuro.records import ASIDE, UserError

NAME = re.compile(r"[A-Z_][A-Z0-9_]*")  # of an environment variable; keys have other letters


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible server: a public service, `vllm serve`, SGLang, TGI, llama.cpp.

    Answers are kept in `cache` under what was asked, and are never asked for again. A request that fails is retried.
    Where it still fails, the run stops, at once after `stop_after` in a row, and the same command goes on later; with
    `stop_after` = None what failed counts as such and is left alone, until `again` is raised.
    """

    model: str
    revision: str = ""  # change it when another model is served under the same name
    base_url: str = field(default="http://127.0.0.1:8000/v1", metadata=ASIDE)
    api_key_env: str | None = field(default=None, metadata=ASIDE)  # the NAME of an environment variable
    cache: str | None = field(default=None, metadata=ASIDE)  # a file; None: answers are forgotten
    concurrency: int = field(default=16, metadata=ASIDE)  # requests at a time
    timeout: float = field(default=600.0, metadata=ASIDE)  # seconds of one attempt
    retries: int = field(default=5, metadata=ASIDE)
    stop_after: int | None = field(default=20, metadata=ASIDE)
    again: int = 0

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ValueError("model must name the model that the server serves")
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise ValueError("base_url must begin with http:// or https://, and usually ends in /v1")
        if "@" in url.netloc or url.query:
            raise ValueError("base_url must hold no secret: put the key into an environment variable, see api_key_env")
        if self.api_key_env is not None and not NAME.fullmatch(self.api_key_env):
            # The value may be the key itself, so it is not shown.
            raise ValueError("api_key_env must be the NAME of an environment variable, such as OPENAI_API_KEY")
        if self.concurrency < 1 or self.timeout <= 0 or self.retries < 0:
            raise ValueError("concurrency must be at least 1, timeout above 0 and retries not negative")
        if self.stop_after is not None and self.stop_after < 1:
            raise ValueError("stop_after must be at least 1, or null")

    def check(self) -> None:
        """`UserError` where nothing could be asked: the package or the key is missing."""
        self.secret()
        try:
            import openai  # noqa: F401
        except ImportError as fault:
            raise UserError(
                f"asking {self.model} needs the openai package: install it with pip install 'hneuro[endpoint]'"
            ) from fault

    def secret(self) -> str | None:
        """The API key, None where no variable is named. It is read when it is needed, and kept nowhere."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise UserError(f"the API key of {self.model} is missing: set the environment variable {self.api_key_env}")
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"the environment variable {self.api_key_env} holds characters that no API key has")
        return key
