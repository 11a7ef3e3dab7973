"""What a proxy looks for in bodies: the model that is asked for, the tokens it took."""

from __future__ import annotations

import json
import re
from typing import Final

Tokens = tuple[int | None, int | None]
"""Prompt and completion tokens, where an answer said so."""

# A string that is cut off goes to the end, so that nothing is looked at twice.
_TOKEN: Final = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\]]', re.DOTALL
)
_PROMPTS: Final = frozenset({b'"prompt"', b'"messages"', b'"input"'})
_COLON: Final = re.compile(rb"\s*:\s*")
_VALUE: Final = re.compile(rb'\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)

_USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
_PROMPT: Final = re.compile(rb'"(?:prompt|input)_tokens"\s*:\s*(\d{1,12})')
_COMPLETION: Final = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*(\d{1,12})')

TAIL: Final = 4096
"""Bytes at the end of an answer in which its token counts are looked for."""


def model_of(body: bytes) -> str | None:
    """Return the `model` of a JSON object, which may be cut off after it.

    Only strings and brackets are looked at, so that nothing large is built.

    >>> model_of(b'{"messages": [{"model": "no"}], "model" : "llm", "x": [1,')
    'llm'
    >>> model_of(b'{"messages": ["model", "a"]}') is None
    True
    """
    depth = 0
    for token in _TOKEN.finditer(body):
        what = token[0]
        if what in b"{[":
            depth += 1
        elif what in b"}]":
            depth -= 1
        elif depth == 1 and what == b'"model"':
            value = _VALUE.match(body, token.end())
            if value is not None:
                return _text(value[1])
    return None


def prompt_of(body: bytes, look: int) -> bytes:
    """Return *body* from the prompt of an OpenAI request on.

    All of it where its first *look* bytes have none at the top: another API's.

    >>> prompt_of(b'{"seed": 7, "messages": [{"role": "system", "content": "Be', 99)
    b'[{"role": "system", "content": "Be'
    >>> prompt_of(b'{"instances": [{"prompt": "a"}]}', 99)
    b'{"instances": [{"prompt": "a"}]}'
    """
    depth = 0
    for token in _TOKEN.finditer(body, 0, look):
        what = token[0]
        if what in b"{[":
            depth += 1
        elif what in b"}]":
            depth -= 1
        elif depth == 1 and what in _PROMPTS:
            colon = _COLON.match(body, token.end())
            if colon is not None:
                return body[colon.end() :]
    return body


def tokens_of(tail: bytes) -> Tokens:
    """Return the token counts in the last `usage` of an OpenAI answer.

    >>> tokens_of(b'data: {"usage":{"prompt_tokens":9,"completion_tokens":12}}')
    (9, 12)
    >>> tokens_of(b'{"predictions": [1]}')
    (None, None)
    """
    if not tail:
        return None, None
    ends = [found.end() for found in _USAGE.finditer(tail)]
    if not ends:
        return None, None
    taken = _PROMPT.search(tail, ends[-1])
    made = _COMPLETION.search(tail, ends[-1])
    return (int(taken[1]) if taken else None), (int(made[1]) if made else None)


def _text(literal: bytes) -> str | None:
    try:
        text: object = json.loads(literal)
    except ValueError:  # Not UTF-8, or a control character.
        return None
    return text if isinstance(text, str) else None
