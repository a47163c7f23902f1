"""litellm: batch_completion, a thread for each call that is out, over a client that closes no connection; keeps nothing.

The client it makes for itself keeps 20 connections. With more threads than that its pool (httpcore 1.0.9, its issue 1110)
now and then closes a connection that another thread has just been given: that call ends in "Bad file descriptor", which
litellm names InternalServerError, or is waited for without end. `client` is its own argument for another one.
"""

from __future__ import annotations

import httpx
import litellm
from litellm.llms.custom_httpx.http_handler import HTTPHandler

from benchmarks.peers.task import KEY, MODEL, run

litellm.suppress_debug_info = True

UNBOUND = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)
CLIENT = HTTPHandler(client=httpx.Client(limits=UNBOUND))


def main(url: str, prompts: list[str], slots: int) -> int:
    found = litellm.batch_completion(
        model=f"anthropic/{MODEL}",
        messages=[[{"role": "user", "content": prompt}] for prompt in prompts],
        max_workers=slots,
        client=CLIENT,
        api_base=url,
        api_key=KEY,
        max_tokens=8000,
    )
    return sum(bool(_text(one)) for one in found)


def _text(found: litellm.ModelResponse | Exception) -> str | None:
    """Return an answer's text; a call that failed stands in the list as its error."""
    if isinstance(found, Exception):
        raise found
    return found.choices[0].message.content


if __name__ == "__main__":
    run(main)
