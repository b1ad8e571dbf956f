"""The server with models of a provider: by any name, and with all that the provider replies."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from indexes import starter


def test_a_model_is_served_by_a_name_with_colons_and_a_function_by_its_path(
    tmp_path: Path,
) -> None:
    starter(tmp_path)
    (tmp_path / "own.py").write_text("def shout(question):\n    return question.upper()\n", "utf-8")
    given = {
        "small": "ollama/llama3.2:1b",
        "here": "openai/my-model@http://127.0.0.1:8000/v1",
        "tuned": "openai/ft:gpt-4.1-mini:firm::a1",
        "shout": "own:shout",
        "by-path": "own.py:shout",
    }
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = [f"{name}={task}" for name, task in given.items()]
    command = [sys.executable, "-m", "genai", "serve", *words, "--port", str(port)]
    environment = {**os.environ, "OPENAI_API_KEY": "sk-x"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"serving by-path, here, shout, small")
            served: Any = None
            while served is None:
                try:
                    served = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()
                except httpx.ConnectError:
                    assert process.poll() is None
        finally:
            process.terminate()
    assert [each["id"] for each in served["data"]] == sorted(given)
