"""Splitting of embeddings requests: plans parts within a provider's limits, and merges their answers. Pure.

The tokens of a text are not counted but bounded: every token of a byte-level tokenizer covers at least one byte. A part
may thus hold less than the limit allows, and never more. Token ids are counted exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

import orjson

from connectors.providers.call_limits import Limits
from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.events.parts import Change, Usage
from schemas.events.vocabulary import OnOversize
from schemas.json_types import JsonObject

Input = str | list[int]

SPECIAL_TOKENS = 2
"""Tokens that some tokenizers add to a text: its start and its end."""


def inputs_of(body: JsonObject) -> list[Input]:
    """Return the inputs of an embeddings body: one text, several texts, one list of token ids, or several of them."""
    value = body.get("input")
    if not isinstance(value, list):
        return [value] if isinstance(value, str) else []
    return [value] if value and isinstance(value[0], int) else value


def body_of_split(body: JsonObject, part: range) -> JsonObject:
    """Return the body of a call for these inputs only."""
    return {**body, "input": inputs_of(body)[part.start : part.stop]}


def plan_splits(body: JsonObject, limits: Limits, on_oversize: OnOversize, target: str) -> list[range]:
    """Return the range of inputs of each call: one range if all fit into one call, or must not be split.

    Args:
        body: in OpenAI's format.
        limits: of one call.
        on_oversize: whether to split a request that exceeds the limits.
        target: provider/model, for the error message.

    Raises:
        ProviderError: context_length or request_too_large, naming the limit, and the input if a single one exceeds it.

    """
    inputs = inputs_of(body)
    frame = _frame(body, inputs) if limits.body_bytes else 0
    for index, item in enumerate(inputs):
        _check_input(index, item, limits, frame, target)
    if on_oversize == "split":
        return list(_split_inputs(inputs, limits, frame)) or [range(0)]
    _check_all(inputs, limits, target)
    return [range(len(inputs))]


def check_body(body: JsonObject, limits: Limits, target: str) -> None:
    """Refuse a body that is larger than the provider accepts.

    Raises:
        ProviderError: request_too_large, naming the limit.

    """
    if limits.body_bytes and (size := len(orjson.dumps(body))) > limits.body_bytes:
        raise ProviderError(
            "request_too_large", _describe_limit(f"the body has {size} bytes", "body_bytes", limits, target)
        )


def _split_inputs(inputs: Sequence[Input], limits: Limits, frame: int) -> Iterator[range]:
    """Yield the ranges of inputs, each as large as the limits allow."""
    start, tokens, size = 0, 0, frame - 1  # there is no comma before the first input
    for index, item in enumerate(inputs):
        more_tokens = _max_tokens(item) if limits.call_tokens else 0
        more_size = _size(item) if limits.body_bytes else 0
        is_full = (
            (limits.inputs and index - start == limits.inputs)
            or (limits.call_tokens and tokens + more_tokens > limits.call_tokens)
            or (limits.body_bytes and size + more_size > limits.body_bytes)
        )
        if is_full and index > start:
            yield range(start, index)
            start, tokens, size = index, 0, frame - 1
        tokens, size = tokens + more_tokens, size + more_size
    if start < len(inputs):
        yield range(start, len(inputs))


def _frame(body: JsonObject, inputs: Sequence[Input]) -> int:
    """Return the size in bytes of a body without its inputs; a single input may come without the brackets of a list."""
    brackets = 0 if body.get("input") is inputs else len("[]")
    return len(orjson.dumps({**body, "input": []})) - brackets


def _max_tokens(item: Input) -> int:
    return len(item.encode()) + SPECIAL_TOKENS if isinstance(item, str) else len(item)


def _size(item: Input) -> int:
    return len(orjson.dumps(item)) + 1  # the comma


def _check_input(index: int, item: Input, limits: Limits, frame: int, target: str) -> None:
    """Refuse an input that fits into no part. A text that may have too many tokens is left to the provider."""
    if limits.input_chars and isinstance(item, str) and len(item) > limits.input_chars:
        message = _describe_limit(f"input {index} has {len(item)} characters", "input_chars", limits, target)
        raise ProviderError("context_length", message, param="input")
    for name in ("input_tokens", "call_tokens"):
        limit = getattr(limits, name)
        if limit and isinstance(item, list) and len(item) > limit:
            message = _describe_limit(f"input {index} has {len(item)} tokens", name, limits, target)
            raise ProviderError("context_length", message, param="input")
    if limits.body_bytes and (size := frame + _size(item) - 1) > limits.body_bytes:
        message = _describe_limit(f"with input {index} alone the body has {size} bytes", "body_bytes", limits, target)
        raise ProviderError("request_too_large", message)


def _check_all(inputs: Sequence[Input], limits: Limits, target: str) -> None:
    """Refuse inputs that certainly exceed the limits of one call together."""
    if limits.inputs and len(inputs) > limits.inputs:
        message = _describe_limit(f"the request has {len(inputs)} inputs", "inputs", limits, target)
        raise ProviderError("request_too_large", message, param="input")
    tokens = sum(len(item) for item in inputs if isinstance(item, list))
    if limits.call_tokens and tokens > limits.call_tokens:
        message = _describe_limit(f"the request has {tokens} tokens", "call_tokens", limits, target)
        raise ProviderError("request_too_large", message, param="input")


def _describe_limit(fact: str, name: str, limits: Limits, target: str) -> str:
    return f"{fact}, and {target} takes at most {getattr(limits, name)} (limit {name})"


def merge_answers(answers: Sequence[ProviderAnswer], parts: Sequence[range]) -> ProviderAnswer:
    """Merge the answers of the parts: the embeddings in the order of the inputs, the usage summed.

    Args:
        answers: of all parts, in order.
        parts: the range of inputs of each.

    Raises:
        ProviderError: server, if an answer has more or fewer embeddings than its part has inputs.

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
        changes=(_split_change(parts), *dict.fromkeys(change for answer in answers for change in answer.changes)),
    )


def sum_usage(answers: Sequence[ProviderAnswer]) -> Usage:
    """Return the total usage of several answers."""
    usages = [answer.usage for answer in answers]
    names = [field.name for field in fields(Usage)]
    return Usage(**{name: sum(getattr(usage, name) for usage in usages) for name in names})


def _split_change(parts: Sequence[range]) -> Change:
    sizes = ", ".join(str(len(part)) for part in parts)
    return Change(param="input", action="transformed", detail=f"split into {len(parts)} calls of {sizes} inputs")


def _embeddings(answer: ProviderAnswer, part: range) -> list[JsonObject]:
    """Return the embeddings of a part in the order of its inputs: by their indexes if these are complete."""
    data = answer.body.get("data")
    if not isinstance(data, list) or len(data) != len(part) or not all(isinstance(item, dict) for item in data):
        count = len(data) if isinstance(data, list) else 0
        raise ProviderError("server", f"{len(part)} embeddings were requested, and {count} returned", http_status=200)
    indexes = [item.get("index") for item in data]
    if sorted(index for index in indexes if isinstance(index, int)) == list(range(len(data))):
        return sorted(data, key=lambda item: item["index"])
    return data


def _sum_tokens(usages: Sequence[JsonObject]) -> JsonObject:
    """Sum the numbers of usage objects, including those of nested objects."""
    result: JsonObject = {}
    for usage in usages:
        for name, value in usage.items():
            if isinstance(value, dict):
                result[name] = _sum_tokens([result.get(name) or {}, value])
            elif isinstance(value, int | float):
                result[name] = (result.get(name) or 0) + value
            else:
                result.setdefault(name, value)
    return result
