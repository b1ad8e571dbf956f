"""The peer: pydantic_evals. Run as `evals_pydantic_evals.py CASES URL WIDTH [aiohttp]`.

It keeps no answers between runs.
"""

import asyncio
import json
import sys
from pathlib import Path

from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected

path, url, width, *on = sys.argv[1:]
http = DefaultAioHttpClient() if on == ["aiohttp"] else None


async def main() -> float:
    """Give the share of cases that are right."""
    client = AsyncOpenAI(base_url=url, http_client=http)

    async def ask(question: str) -> str:
        reply = await client.chat.completions.create(
            model="bench", messages=[{"role": "user", "content": question}]
        )
        return reply.choices[0].message.content

    dataset = Dataset(
        name="bench",
        cases=[
            Case(name=case["id"], inputs=case["input"], expected_output=case["expected"])
            for case in map(json.loads, Path(path).read_text().splitlines())
        ],
        evaluators=[EqualsExpected()],
    )
    async with client:
        report = await dataset.evaluate(ask, max_concurrency=int(width), progress=False)
    return report.averages().assertions


print("share", asyncio.run(main()))
