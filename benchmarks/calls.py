"""Calls: what one call costs through the door, ledger on, beside the clients people use today.

    python benchmarks/calls.py [--rounds 5] [--streams 100000]

The server is `loopback.py` in a process of its own; each client runs in a fresh process, clients
alternate round by round, and medians are taken. `AsyncOpenAI` on its aiohttp client needs
`httpx-aiohttp`. Prints Markdown and writes it to `benchmarks/results/calls.md`.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from figures import Figure, table_of
from loopback import serve

HERE = Path(__file__).parent
QUESTION = "How long is the notice period?"
HELLO: Any = [{"role": "user", "content": QUESTION}]
WIDTH = 64
PAGE = os.sysconf("SC_PAGESIZE")
# client -> calls in a run at 64 in flight
WIDE = {
    "bare aiohttp": 12000, "genai": 12000, "genai, ledger off": 12000, "openai": 1500,
    "openai on aiohttp": 2000, "litellm": 800,
}  # fmt: skip
ONE = {"genai": 1500, "genai, ledger off": 1500, "openai": 600}
FIRST = ("genai", "openai", "litellm")
One = Callable[[], Awaitable[Any]]


def ours(url: str, ledger_on: bool) -> Any:
    from genai.config import ModelSettings, parse_yaml
    from genai.ledger import Ledger, Prices
    from genai.models import Hooks, open_model

    folder = Path(tempfile.mkdtemp())
    text = (HERE.parent / "configs" / "prices.yaml").read_text(encoding="utf-8")
    prices = Prices.read(parse_yaml(text, "prices"), "prices")
    ledger = Ledger(folder / "ledger.db")
    on = {"record": ledger.record, "sent": ledger.sent} if ledger_on else {}
    hooks = Hooks(price=prices.cost, limits=folder / "limits", **on)
    settings = ModelSettings(max_connections=WIDTH)
    return open_model(f"openai/gpt-4o-mini@{url}", settings=settings, hooks=hooks)


async def bare(url: str) -> One:
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    body = json.dumps({"messages": HELLO, "model": "gpt-4o-mini"}).encode()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}

    async def one() -> Any:
        async with session.post(f"{url}/chat/completions", data=body, headers=headers) as reply:
            return json.loads(await reply.read())

    return one


async def sdk(url: str, on_aiohttp: bool) -> One:
    import openai

    http = {"http_client": openai.DefaultAioHttpClient()} if on_aiohttp else {}
    client = openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0, **http)  # type: ignore[arg-type]
    return lambda: client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)


async def lite(url: str) -> One:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    return lambda: litellm.acompletion("openai/gpt-4o-mini", HELLO, base_url=url, api_key="k")


async def wide(client: str, url: str) -> dict[str, float]:
    """Keep 64 calls in flight; give calls a second and processor time a call, threads included."""
    if client.startswith("genai"):
        model = ours(url, client == "genai")

        async def one() -> Any:
            return await model.acall(QUESTION)

    elif client == "bare aiohttp":
        one = await bare(url)  # type: ignore[assignment]
    elif client == "litellm":
        one = await lite(url)  # type: ignore[assignment]
    else:
        one = await sdk(url, client == "openai on aiohttp")  # type: ignore[assignment]
    await asyncio.gather(*(one() for _ in range(WIDTH)))  # connections open, code warm
    await asyncio.sleep(1.5)  # the ledger's writer has imported what it needs
    left = iter(range(WIDE[client]))

    async def worker() -> None:
        for _ in left:
            await one()

    started, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(WIDTH)))
    took = time.perf_counter() - started
    cpu = (time.process_time() - used) / WIDE[client]
    return {"calls/s": WIDE[client] / took, "cpu us": cpu * 1e6}


async def streams(url: str, count: int) -> dict[str, float]:
    """Stream so many replies, 64 at a time; give the megabytes at the end and what was added.

    Counted from the first tenth on, when buffers and caches have their size.
    """
    model, left = ours(url, True), iter(range(count))

    def held() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20

    async def worker() -> None:
        for number in left:
            async for _ in model.astream(QUESTION):
                pass
            if number in marks:
                marks[number] = held()

    marks = dict.fromkeys([count * tenth // 10 for tenth in range(1, 10)], 0.0)
    await asyncio.gather(*(worker() for _ in range(WIDTH)))
    end = held()
    return {"MB": end, "grew MB": max(*marks.values(), end) - next(iter(marks.values()))}


def alone(client: str, url: str) -> dict[str, float]:
    """Call one after another from plain sync code; give the percentiles of a call."""
    if client.startswith("genai"):
        model = ours(url, client == "genai")

        def one() -> Any:
            return model(QUESTION)

    else:
        import openai

        own = openai.OpenAI(base_url=url, api_key="k", max_retries=0)

        def one() -> Any:
            return own.chat.completions.create(model="gpt-4o-mini", messages=HELLO)

    for _ in range(50):
        one()
    if client == "genai":
        time.sleep(1.5)  # the writer's imports are over
    times = []
    for _ in range(ONE[client]):
        started = time.perf_counter()
        one()
        times.append(time.perf_counter() - started)
    times.sort()
    return {"p50 us": times[len(times) // 2] * 1e6, "p99 us": times[len(times) * 99 // 100] * 1e6}


def first(client: str, url: str) -> dict[str, float]:
    """Import and call once, in a fresh process."""
    started = time.perf_counter()
    if client == "genai":
        import genai

        genai.model(f"openai/gpt-4o-mini@{url}")(QUESTION)
    elif client == "openai":
        import openai

        own = openai.OpenAI(base_url=url, api_key="k")
        own.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    else:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        litellm.completion("openai/gpt-4o-mini", HELLO, base_url=url, api_key="k")
    return {"seconds": time.perf_counter() - started}


def ledger_alone() -> dict[str, float]:
    """Record rows one by one, as a call does; give what one takes, the writer at work beside."""
    from genai.ledger import Ledger
    from genai.types import Call, Cost, CostStatus, Usage, new_id

    ledger = Ledger(Path(tempfile.mkdtemp()) / "ledger.db")
    cost, times = Cost(None, CostStatus.UNPRICED, "a reason"), []
    for _ in range(20_000):
        call_id, at = new_id(), time.time()
        call = Call(call_id, "model", at, 0.5, "ok", "openai/gpt-4o-mini",
                    usage=Usage(11, 7, 3, "provider"), cost=cost, operation="chat",
                    provider="openai", host="127.0.0.1", http_status=200)  # fmt: skip
        started = time.perf_counter()
        ledger.sent(call_id, at, call.model, call.context)
        ledger.record(call)
        times.append(time.perf_counter() - started)
        time.sleep(0.0001)
    times.sort()
    return {"p50 us": times[10_000] * 1e6, "p99 us": times[19_800] * 1e6}


def work(mode: str, client: str, url: str) -> dict[str, float]:
    os.environ["OPENAI_API_KEY"] = "k"
    if mode == "wide":
        return asyncio.run(wide(client, url))
    if mode == "ledger":
        return ledger_alone()
    if mode == "streams":
        return asyncio.run(streams(url, int(client)))
    return alone(client, url) if mode == "one" else first(client, url)


def run(mode: str, client: str, url: str) -> dict[str, float]:
    line = [sys.executable, __file__, "--worker", mode, client, url]
    folder = tempfile.mkdtemp()
    done = subprocess.run(line, capture_output=True, text=True, cwd=folder, timeout=600)
    if done.returncode:
        raise SystemExit(f"{mode} {client}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(rounds: int, count: int) -> dict[str, dict[str, dict[str, float]]]:
    """Give the medians of every mode, client and figure."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    modes = {"wide": list(WIDE), "one": list(ONE), "first": list(FIRST), "ledger": ["genai"]}
    with serve() as url:
        for number in range(rounds):
            for mode, clients in modes.items():
                for client in clients if number % 2 == 0 else clients[::-1]:
                    own = found.setdefault(mode, {}).setdefault(client, {})
                    for name, value in run(mode, client, url).items():
                        own.setdefault(name, []).append(value)
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
        memory = run("streams", f"{count}", url)
    medians = {
        mode: {
            client: {name: statistics.median(values) for name, values in own.items()}
            for client, own in clients.items()
        }
        for mode, clients in found.items()
    }
    return {**medians, "streams": {"genai": memory}}


def table(found: dict[str, dict[str, dict[str, float]]], rounds: int, count: int) -> str:
    names = ("aiohttp", "openai", "litellm", "httpx", "SQLAlchemy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    wide_, one, early = found["wide"], found["one"], found["first"]
    own, floor, memory = wide_["genai"], wide_["bare aiohttp"], found["streams"]["genai"]
    lines = [
        "# Calls through the door",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions},"
        f" {os.cpu_count()} cores. Medians of {rounds}. Command: `python benchmarks/calls.py`.",
        "",
        f"| client, {WIDTH} calls in flight | calls/s | processor us a call | genai is |",
        "|---|---|---|---|",
    ]
    for client, each in wide_.items():
        ratio = own["calls/s"] / each["calls/s"]
        lines.append(f"| {client} | {each['calls/s']:,.0f} | {each['cpu us']:.0f} | {ratio:.2f}x |")
    lines += [
        "",
        *table_of([
        _line("calls/s, 64 in flight, and AsyncOpenAI", own, wide_["openai"], "calls/s", ">= 10x"),
        _line("calls/s, 64 in flight, and litellm.acompletion", own, wide_["litellm"], "calls/s",
              ">= 10x"),
        _line("calls/s, 64 in flight, and AsyncOpenAI on aiohttp", own, wide_["openai on aiohttp"],
              "calls/s", ">= 3x"),
        _line("processor us a call, and bare aiohttp", own, floor, "cpu us", "<= 2.2x"),
        _line("one after another p50 us, and openai", one["openai"], one["genai"], "p50 us",
              ">= 2.5x faster", swapped=True),
        Figure("first call in a fresh process, s", f"{early['genai']['seconds']:.2f}", "<= 0.5 s",
               f"openai {early['openai']['seconds']:.2f}, litellm"
               f" {early['litellm']['seconds']:.2f}"),
        Figure("added by the ledger, p50 / p99 us", f"{found['ledger']['genai']['p50 us']:.0f} /"
               f" {found['ledger']['genai']['p99 us']:.0f}", "<= 50 / <= 1000"),
        Figure("added to a whole call, one after another, p50 / p99 us",
               " / ".join(f"{one['genai'][key] - one['genai, ledger off'][key]:.0f}"
                          for key in ("p50 us", "p99 us")), "<= 50 / <= 1000"),
        Figure(f"memory grown over {count:,} streamed calls, MB", f"{memory['grew MB']:.1f}, to"
               f" {memory['MB']:.0f}", "<= 20"),
        ]),
        "",
        "Processor time is the whole process's, the ledger's writer included. The server, another"
        " process, shares the two cores.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _line(
    name: str, a: dict[str, float], b: dict[str, float], key: str, goal: str, swapped: bool = False
) -> Figure:
    own, peer = (b, a) if swapped else (a, b)
    ratio = f"{a[key] / b[key]:.2f}x"
    return Figure(name, f"{own[key]:,.0f}", goal, f"{peer[key]:,.0f}", ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=100_000, help="for the row of memory")
    parser.add_argument("--worker", nargs=3, metavar=("MODE", "CLIENT", "URL"))
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(*options.worker)))
        return
    found = measure(options.rounds, options.streams)
    text = table(found, options.rounds, options.streams)
    print(text)
    (HERE / "results" / "calls.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
