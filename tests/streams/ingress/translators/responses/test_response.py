from __future__ import annotations

from typing import Any

from openai.types.responses import Response

from streams.ingress.translators.responses.response import response, usage

JSON = dict[str, Any]

CALL: JSON = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}


def answered(message: JSON, finish_reason: str = "stop", asked: JSON | None = None, **choice: Any) -> JSON:
    """The response for a completion; OpenAI's own class must take it."""
    choices = [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}]
    counts = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    completion = {"id": "chatcmpl-7", "created": 5, "model": "m", "choices": choices, "usage": counts}
    made = response(completion, asked or {})
    Response.model_validate(made)
    return made


def test_text_is_a_message_item() -> None:
    made = answered({"role": "assistant", "content": "ho"})

    assert (made["id"], made["status"], made["created_at"], made["store"]) == ("resp_7", "completed", 5, False)
    (item,) = made["output"]
    assert item["content"] == [{"type": "output_text", "text": "ho", "annotations": [], "logprobs": []}]


def test_reasoning_message_and_calls_are_items_in_this_order() -> None:
    said = {"content": "I look.", "reasoning_content": "Hm.", "tool_calls": [{**CALL, "extra_content": {"google": 1}}]}

    thought, message, call = answered(said, "tool_calls")["output"]

    assert thought == {"id": "rs_7", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    assert (message["id"], message["status"]) == ("msg_7", "completed")
    assert (call["id"], call["call_id"], call["name"], call["arguments"]) == ("fc_7_0", "c1", "look", '{"at": 1}')
    assert call["extra_content"] == {"google": 1}


def test_refusal_is_a_separate_part() -> None:
    (item,) = answered({"content": None, "refusal": "No."})["output"]

    assert item["content"] == [{"type": "refusal", "refusal": "No."}]


def test_incomplete_response_has_a_reason() -> None:
    cut = answered({"content": "ho"}, "length")
    filtered = answered({"content": "ho"}, "content_filter")

    assert (cut["status"], cut["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert filtered["incomplete_details"] == {"reason": "content_filter"}
    assert cut["output"][0]["status"] == "incomplete"


def test_response_repeats_request_parameters_or_openais_defaults() -> None:
    asked = {"input": "secret", "instructions": "Be brief.", "temperature": 0.5, "metadata": {"a": "b"}, "top_p": None}

    made = answered({"content": "ho"}, asked=asked)

    assert (made["instructions"], made["temperature"], made["metadata"]) == ("Be brief.", 0.5, {"a": "b"})
    assert (made["top_p"], made["tools"], made["tool_choice"]) == (1.0, [], "auto")
    assert "input" not in made


def test_log_probabilities_are_part_of_the_text() -> None:
    tokens = [{"token": "ho", "logprob": -0.1, "bytes": [104, 111], "top_logprobs": []}]

    (item,) = answered({"content": "ho"}, logprobs={"content": tokens, "refusal": None})["output"]

    assert item["content"][0]["logprobs"] == tokens


def test_usage_has_cached_and_reasoning_tokens() -> None:
    counted = usage(
        {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }
    )

    assert counted == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }
    assert usage(None) is None
