"""The peer: ragas. Run as `evals_ragas.py CASES URL WIDTH [aiohttp] [cache]`.

Its `experiment` is faster than its `evaluate`. It keeps no answers between runs, but its disk cache
does for whatever function it is put around.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

os.environ["RAGAS_DO_NOT_TRACK"] = "true"

from openai import AsyncOpenAI, DefaultAioHttpClient
from ragas import Dataset, experiment
from ragas.cache import DiskCacheBackend, cacher
from ragas.metrics.collections import ExactMatch

path, url, width, *on = sys.argv[1:]
http = DefaultAioHttpClient() if "aiohttp" in on else None


async def main() -> float:
    """Give the share of cases that are right."""
    client = AsyncOpenAI(base_url=url, http_client=http)
    gate, metric = asyncio.Semaphore(int(width)), ExactMatch()

    @cacher(DiskCacheBackend("cache") if "cache" in on else None)
    async def reply_to(given):
        async with gate:
            reply = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": given}]
            )
        return reply.choices[0].message.content

    @experiment()
    async def ask(row):
        answer = await reply_to(row["input"])
        score = await metric.ascore(reference=row["expected"], response=answer)
        return {**row, "answer": answer, "score": score.value}

    rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    dataset = Dataset("bench", backend="local/csv", root_dir=".", data=rows)
    async with client:
        done = await ask.arun(dataset)
    return sum(row["score"] for row in done) / len(rows)


print("share", asyncio.run(main()))
