"""The peer: deepeval. Run as `evals_deepeval.py CASES URL WIDTH [aiohttp]`.

Its cache holds scores, not answers, and is rewritten whole at each case: off.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

os.environ |= {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_DISABLE_DOTENV": "1"}

from deepeval import evaluate
from deepeval.evaluate import AsyncConfig, CacheConfig, DisplayConfig
from deepeval.metrics import ExactMatchMetric
from deepeval.test_case import LLMTestCase
from openai import AsyncOpenAI, DefaultAioHttpClient

path, url, width, *on = sys.argv[1:]
http = DefaultAioHttpClient() if on == ["aiohttp"] else None
cases = [json.loads(line) for line in Path(path).read_text().splitlines()]


async def answers() -> list[LLMTestCase]:
    """Ask the model every question, so many at a time."""
    client = AsyncOpenAI(base_url=url, http_client=http)
    gate = asyncio.Semaphore(int(width))

    async def one(case: dict[str, str]) -> LLMTestCase:
        async with gate:
            reply = await client.chat.completions.create(
                model="bench", messages=[{"role": "user", "content": case["input"]}]
            )
        return LLMTestCase(
            input=case["input"],
            actual_output=reply.choices[0].message.content,
            expected_output=case["expected"],
        )

    async with client:
        return await asyncio.gather(*map(one, cases))


result = evaluate(
    asyncio.run(answers()),
    [ExactMatchMetric()],
    async_config=AsyncConfig(max_concurrent=int(width)),
    cache_config=CacheConfig(write_cache=False),
    display_config=DisplayConfig(
        show_indicator=False, print_results=False, inspect_after_run=False
    ),
)
print("share", sum(test.success for test in result.test_results) / len(cases))
