"""Chat templates: what a conversation becomes before a model sees it, and which of its text is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from brightrun.domain.dataset import Message
from brightrun.domain.errors import TemplateFault

MAX_TEMPLATE = 100_000
_OPEN, _CLOSE = "\ue000", "\ue001"
"""Private characters that stand around trained text while a template renders."""

CHATML = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['role'] == 'assistant' -%}
{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}
{%- else -%}
{{ message['content'] + '<|im_end|>\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""
LLAMA = """\
{{- bos_token -}}
{%- for message in messages -%}
{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
{%- if message['role'] == 'assistant' -%}
{% generation %}{{ message['content'] | trim + '<|eot_id|>' }}{% endgeneration %}
{%- else -%}
{{ message['content'] | trim + '<|eot_id|>' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif -%}
"""
GEMMA = """\
{{- bos_token -}}
{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('System role not supported') }}{%- endif -%}
{%- for message in messages -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Roles must alternate user/assistant') }}
{%- endif -%}
{%- if message['role'] == 'assistant' -%}
{{ '<start_of_turn>model\\n' }}
{%- generation -%}{{ message['content'] | trim + '<end_of_turn>' }}{%- endgeneration -%}{{ '\\n' }}
{%- else -%}
{{ '<start_of_turn>user\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}
"""
MISTRAL = """\
{{- bos_token -}}
{%- set offset = 1 if messages[0]['role'] == 'system' else 0 -%}
{%- for message in messages[offset:] -%}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
{{ raise_exception('Roles must alternate user/assistant') }}
{%- endif -%}
{%- if message['role'] == 'user' -%}
{%- set head = messages[0]['content'] + '\\n\\n' if offset and loop.first else '' -%}
{{ '[INST] ' + head + message['content'] + ' [/INST]' }}
{%- else -%}
{% generation %}{{ ' ' + message['content'] | trim + eos_token }}{% endgeneration %}
{%- endif -%}
{%- endfor -%}
"""
TEMPLATES: Mapping[str, str] = {"chatml": CHATML, "llama": LLAMA, "gemma": GEMMA, "mistral": MISTRAL}
"""Training templates with generation markers, in the manner of each family."""
SPECIALS: Mapping[str, Mapping[str, str]] = {
    "chatml": {"bos_token": "", "eos_token": "<|im_end|>"},
    "llama": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "gemma": {"bos_token": "<bos>", "eos_token": "<end_of_turn>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>"},
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of rendered text, and whether an assistant-only loss trains on it."""

    text: str
    is_trained: bool


class ChatTemplate:
    """One compiled template; raises TemplateFault with the line where it does not compile."""

    def __init__(self, source: str, specials: Mapping[str, str] | None = None) -> None:
        if len(source) > MAX_TEMPLATE:
            raise TemplateFault(
                "The chat template is longer than 100,000 characters.", remedy="Give another file."
            )
        self.source = source
        self._specials = specials or {"bos_token": "<s>", "eos_token": "</s>"}
        try:
            self._template = _environment().from_string(source)
        except jinja2.TemplateSyntaxError as fault:
            raise TemplateFault(
                f"The chat template does not compile: {fault.message} (line {fault.lineno}).",
                remedy="Give the template as it stands in a tokenizer's chat_template.jinja.",
                line=fault.lineno,
            ) from fault

    @property
    def is_marked(self) -> bool:
        """Whether it says what the assistant generates; without it, assistant-only loss refuses to run."""
        return "generation" in self.source and "endgeneration" in self.source

    def render(self, messages: Sequence[Message]) -> list[Piece]:
        """Return the text a model sees, in pieces; raises TemplateFault where the template refuses it."""
        try:
            text = self._template.render(
                messages=[dict(m) for m in messages],
                add_generation_prompt=False,
                tools=None,
                **self._specials,
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as fault:
            raise TemplateFault(f"The chat template refuses it: {fault}.") from fault
        return _pieces(text)


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    made.globals["raise_exception"] = _refuse
    return made


class Generation(Extension):
    """`{% generation %}`: what stands inside is what the assistant says."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 reads it from the class

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Any) -> str:
        return f"{_OPEN}{caller()}{_CLOSE}"


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def _pieces(text: str) -> list[Piece]:
    found = []
    for number, part in enumerate(text.split(_OPEN)):
        trained, closed, rest = part.partition(_CLOSE) if number else ("", "", part)
        if trained:
            found.append(Piece(trained, is_trained=bool(closed)))
        if rest:
            found.append(Piece(rest, is_trained=False))
    return found
