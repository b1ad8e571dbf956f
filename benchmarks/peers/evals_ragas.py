"""The peer: ragas. Run as `evals_ragas.py CASES URL WIDTH [aiohttp]`.

Its `experiment` is faster than its `evaluate`. It keeps no answers between runs.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

os.environ["RAGAS_DO_NOT_TRACK"] = "true"

from openai import AsyncOpenAI, DefaultAioHttpClient
from ragas import Dataset, experiment
from ragas.metrics.collections import ExactMatch

path, url, width, *on = sys.argv[1:]
http = DefaultAioHttpClient() if on == ["aiohttp"] else None


async def main() -> float:
    """Give the share of cases that are right."""
    client = AsyncOpenAI(base_url=url, http_client=http)
    gate, metric = asyncio.Semaphore(int(width)), ExactMatch()

    @experiment()
    async def ask(row):
        async with gate:
            reply = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": row["input"]}]
            )
        answer = reply.choices[0].message.content
        score = await metric.ascore(reference=row["expected"], response=answer)
        return {**row, "answer": answer, "score": score.value}

    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    dataset = Dataset("bench", backend="local/csv", root_dir=".", data=rows)
    async with client:
        done = await ask.arun(dataset)
    return sum(row["score"] for row in done) / len(rows)


print("share", asyncio.run(main()))
