"""The one door to other processes: map a function over jobs here, in processes, or on Ray.

A job is done at least once: one whose worker dies is given to another, up to three times. So a job
must be safe to repeat.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from genai import extras
from genai.errors import GenaiError, InputError

T = TypeVar("T")
R = TypeVar("R")
_TRIES = 3


def scatter(
    function: Callable[[T], R], jobs: Sequence[T], *, workers: int = 0, ray: str | None = None
) -> Iterator[R]:
    """Give the results of all jobs, in the order in which they end.

    `workers` is a number of processes of this machine. `ray` is the address of a cluster (`auto`
    for the one that runs here, "" for one of its own that ends with the work).

    Raises:
        GenaiError: a job's workers died four times.
        InputError: a job cannot be sent to another process, there is no such cluster, or fewer
            than no workers are asked for.
    """
    if workers < 0:
        raise InputError(f"`workers` is {workers}; give 0 for this process alone, or more")
    if ray is not None:
        return _on_ray(function, jobs, ray, workers)
    if workers:
        return _in_processes(function, jobs, workers)
    return map(function, jobs)


def _in_processes(function: Callable[[T], R], jobs: Sequence[T], workers: int) -> Iterator[R]:
    import multiprocessing
    import pickle
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    left = list(jobs)
    try:
        pickle.dumps((function, left))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(f"a job cannot be sent to a process ({error}); name the task") from error
    for _ in range(_TRIES + 1):
        context = multiprocessing.get_context("spawn")
        count = min(workers, len(left) or 1)
        with ProcessPoolExecutor(count, context, _end_with_parent) as pool:
            futures = {pool.submit(function, job): job for job in left}
            done = []
            try:
                for future in as_completed(futures):
                    result = future.result()
                    done.append(futures[future])
                    yield result
            except BrokenProcessPool:
                left = [job for job in left if job not in done]  # a worker died: its jobs again
                continue
        return
    raise GenaiError(f"{len(left)} jobs: their workers died {_TRIES + 1} times; see the log")


def _end_with_parent() -> None:
    """Have this worker end when the process that started it does, even by a kill.

    A worker that waits for its next job would wait for ever: it holds both ends of that pipe.
    """
    import multiprocessing
    import threading

    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _join(package: Any, address: str, workers: int) -> None:
    """Connect to a cluster, or start one of our own; its first start may take too long for Ray."""
    for last in (False, True):
        try:
            package.init(
                address=address or None, include_dashboard=False if not address else None,
                num_cpus=(workers or None) if not address else None, log_to_driver=False,
                logging_level="ERROR", configure_logging=False,
            )  # fmt: skip
            return
        except ConnectionError as error:
            raise InputError(
                f"no Ray cluster at {address!r} ({error}); start one: ray start --head; where it"
                " asks for a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
            ) from error
        except Exception as error:  # it has no class of its own for this
            if "timed out during startup" not in str(error):
                raise
            package.shutdown()
            if last:
                raise InputError(
                    "Ray did not start here in time; try again when the machine is less busy, or"
                    " name a cluster that runs: ray start --head"
                ) from error


@contextmanager
def on_cluster(address: str, workers: int = 0) -> Iterator[Any]:
    """Give Ray, connected to the cluster at `address`; one of its own ("") ends with the block.

    Raises:
        InputError: there is no such cluster, or none starts here.
        MissingExtra: Ray is not installed.
    """
    package: Any = extras.load("ray", "scale")
    own = not package.is_initialized()
    _look_for(address)
    if own:
        _join(package, address, workers)
    try:
        yield package
    finally:
        if own:
            package.shutdown()


def _on_ray(
    function: Callable[[T], R], jobs: Sequence[T], address: str, workers: int
) -> Iterator[R]:
    with on_cluster(address, workers) as package:
        remote = package.remote(max_retries=_TRIES, num_cpus=1)(function)
        waiting = [remote.remote(job) for job in jobs]
        while waiting:
            ended, waiting = package.wait(waiting)
            for each in ended:
                try:
                    yield package.get(each)
                except package.exceptions.WorkerCrashedError as error:
                    raise GenaiError(
                        f"a job's workers died {_TRIES + 1} times ({error}); see the cluster's log"
                    ) from error


def _look_for(address: str) -> None:
    """Knock at a cluster's door first, for Ray itself waits many minutes for one that is not."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    import socket

    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster at {address!r} ({error}); start one: ray start --head"
        ) from error
