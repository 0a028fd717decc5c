"""An embeddings request within a provider's limits: cut into parts that each fit, and the answers joined again. Pure.

The tokens of a text are not counted but bounded: every token of a byte-level tokenizer stands for at least one byte.
A part may so hold less than it could, and never more than it may. Token ids are counted as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import orjson

from connectors.providers.call_limits import Limits
from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.events.parts import Change, Usage
from schemas.events.vocabulary import OnOversize

JSON = dict[str, Any]
Input = str | list[int]

SPECIAL_TOKENS = 2
"""That some tokenizers put around a text: its start and its end."""


def inputs_of(body: JSON) -> list[Input]:
    """The inputs of an embeddings body: one text, several texts, one list of token ids, or several of them."""
    value = body.get("input")
    if not isinstance(value, list):
        return [value] if isinstance(value, str) else []
    return [value] if value and isinstance(value[0], int) else value


def body_of_split(body: JSON, part: range) -> JSON:
    """The body that asks for these inputs alone."""
    return {**body, "input": inputs_of(body)[part.start : part.stop]}


def plan_splits(body: JSON, limits: Limits, on_oversize: OnOversize, target: str) -> list[range]:
    """Say which inputs to send in which call: one range if all fit into one, or may not be parted.

    Args:
        body: in OpenAI's shape.
        limits: of one call.
        on_oversize: whether to split what is too much for one call.
        target: provider/model, for who is refused.

    Raises:
        ProviderError: context_length or request_too_large, naming the limit; and the input, if it is one alone.

    """
    inputs = inputs_of(body)
    frame = _frame(body, inputs) if limits.body_bytes else 0
    for index, item in enumerate(inputs):
        _check_input(index, item, limits, frame, target)
    if on_oversize == "split":
        return list(_cut(inputs, limits, frame)) or [range(0)]
    _check_all(inputs, limits, target)
    return [range(len(inputs))]


def check_body(body: JSON, limits: Limits, target: str) -> None:
    """Refuse a body that is larger than the provider reads.

    Raises:
        ProviderError: request_too_large, naming the limit.

    """
    if limits.body_bytes and (size := len(orjson.dumps(body))) > limits.body_bytes:
        raise ProviderError(
            "request_too_large", _describe_limit(f"the body has {size} bytes", "body_bytes", limits, target)
        )


def _cut(inputs: Sequence[Input], limits: Limits, frame: int) -> Iterator[range]:
    """Fill one part after the other, each as full as it may be."""
    start, tokens, size = 0, 0, frame - 1  # before the first input stands no comma
    for index, item in enumerate(inputs):
        more_tokens = _most_tokens(item) if limits.call_tokens else 0
        more_size = _size(item) if limits.body_bytes else 0
        full = (
            (limits.inputs and index - start == limits.inputs)
            or (limits.call_tokens and tokens + more_tokens > limits.call_tokens)
            or (limits.body_bytes and size + more_size > limits.body_bytes)
        )
        if full and index > start:
            yield range(start, index)
            start, tokens, size = index, 0, frame - 1
        tokens, size = tokens + more_tokens, size + more_size
    if start < len(inputs):
        yield range(start, len(inputs))


def _frame(body: JSON, inputs: Sequence[Input]) -> int:
    """Weigh a body without its inputs, in bytes; one that stands alone may do without the brackets of a list."""
    brackets = 0 if body.get("input") is inputs else len("[]")
    return len(orjson.dumps({**body, "input": []})) - brackets


def _most_tokens(item: Input) -> int:
    return len(item.encode()) + SPECIAL_TOKENS if isinstance(item, str) else len(item)


def _size(item: Input) -> int:
    return len(orjson.dumps(item)) + 1  # the comma


def _check_input(index: int, item: Input, limits: Limits, frame: int, target: str) -> None:
    """Refuse what no part could hold. A text that may be too long is not refused: only the provider knows."""
    if limits.input_chars and isinstance(item, str) and len(item) > limits.input_chars:
        message = _describe_limit(f"input {index} has {len(item)} characters", "input_chars", limits, target)
        raise ProviderError("context_length", message, param="input")
    for name in ("input_tokens", "call_tokens"):
        most = getattr(limits, name)
        if most and isinstance(item, list) and len(item) > most:
            message = _describe_limit(f"input {index} has {len(item)} tokens", name, limits, target)
            raise ProviderError("context_length", message, param="input")
    if limits.body_bytes and (size := frame + _size(item) - 1) > limits.body_bytes:
        message = _describe_limit(f"with input {index} alone the body has {size} bytes", "body_bytes", limits, target)
        raise ProviderError("request_too_large", message)


def _check_all(inputs: Sequence[Input], limits: Limits, target: str) -> None:
    """Refuse what is too much for one call, as far as that is certain."""
    if limits.inputs and len(inputs) > limits.inputs:
        message = _describe_limit(f"the request has {len(inputs)} inputs", "inputs", limits, target)
        raise ProviderError("request_too_large", message, param="input")
    tokens = sum(len(item) for item in inputs if isinstance(item, list))
    if limits.call_tokens and tokens > limits.call_tokens:
        message = _describe_limit(f"the request has {tokens} tokens", "call_tokens", limits, target)
        raise ProviderError("request_too_large", message, param="input")


def _describe_limit(what: str, name: str, limits: Limits, target: str) -> str:
    return f"{what}, and {target} takes at most {getattr(limits, name)} (limit {name})"


def merge_answers(answers: Sequence[ProviderAnswer], parts: Sequence[range]) -> ProviderAnswer:
    """One answer out of the parts' answers: the embeddings in the order of the inputs, the usage summed.

    Args:
        answers: of every part, in order.
        parts: the inputs that each was asked for.

    Raises:
        ProviderError: server, if an answer holds more or less than what was asked for.

    """
    embeddings = [item for answer, part in zip(answers, parts, strict=True) for item in _embeddings(answer, part)]
    first = answers[0]
    body = {**first.body, "data": [{**item, "index": index} for index, item in enumerate(embeddings)]}
    if usages := [answer.body["usage"] for answer in answers if isinstance(answer.body.get("usage"), dict)]:
        body["usage"] = _sum_tokens(usages)
    natives = [answer.native_usage for answer in answers]
    sent = [answer.sent for answer in answers if answer.sent]
    return ProviderAnswer(
        body=body,
        http_status=first.http_status,
        usage=sum_usage(answers),
        response_id=first.response_id,
        response_model=first.response_model,
        native_usage={"parts": natives} if any(natives) else None,
        sent=b"[" + b",".join(sent) + b"]" if sent else b"",
        changes=(_split(parts), *dict.fromkeys(change for answer in answers for change in answer.changes)),
    )


def sum_usage(answers: Sequence[ProviderAnswer]) -> Usage:
    """What they cost together, in tokens."""
    counted = [answer.usage for answer in answers]
    names = [field.name for field in fields(Usage)]
    return Usage(**{name: sum(getattr(usage, name) for usage in counted) for name in names})


def _split(parts: Sequence[range]) -> Change:
    sizes = ", ".join(str(len(part)) for part in parts)
    return Change(param="input", action="transformed", detail=f"split into {len(parts)} calls of {sizes} inputs")


def _embeddings(answer: ProviderAnswer, part: range) -> list[JSON]:
    """A part's embeddings in the order of its inputs, which is the order of their indexes where they have them."""
    data = answer.body.get("data")
    if not isinstance(data, list) or len(data) != len(part) or not all(isinstance(item, dict) for item in data):
        count = len(data) if isinstance(data, list) else 0
        raise ProviderError("server", f"asked for {len(part)} embeddings, and {count} came", http_status=200)
    places = [item.get("index") for item in data]
    if sorted(place for place in places if isinstance(place, int)) == list(range(len(data))):
        return sorted(data, key=lambda item: item["index"])
    return data


def _sum_tokens(usages: Sequence[JSON]) -> JSON:
    """Add up the numbers of usage objects, and those of the objects in them."""
    result: JSON = {}
    for usage in usages:
        for name, value in usage.items():
            if isinstance(value, dict):
                result[name] = _sum_tokens([result.get(name) or {}, value])
            elif isinstance(value, int | float):
                result[name] = (result.get(name) or 0) + value
            else:
                result.setdefault(name, value)
    return result
