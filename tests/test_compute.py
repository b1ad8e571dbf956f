"""Jobs are done here, in processes or on a cluster; one whose worker dies is done again."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genai.compute import scatter
from genai.errors import GenaiError, InputError


def double(number: int) -> int:
    return 2 * number


def dies_once(marker: str) -> int:
    path = Path(marker)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def dies(marker: str) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def raises(number: int) -> int:
    raise ValueError(f"job {number} is wrong")


@pytest.mark.parametrize("workers", [0, 2])
def test_every_job_has_its_result(workers: int) -> None:
    assert sorted(scatter(double, range(5), workers=workers)) == [0, 2, 4, 6, 8]
    assert list(scatter(double, [], workers=workers)) == []


def test_a_job_whose_worker_dies_is_done_again(tmp_path: Path) -> None:
    jobs = [str(tmp_path / "a"), str(tmp_path / "b")]
    found = list(scatter(dies_once, jobs, workers=2))
    assert len(found) == 2
    assert os.getpid() not in found


def test_a_job_that_kills_every_worker_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(GenaiError, match="their workers died 4 times"):
        list(scatter(dies, ["x"], workers=1))


def test_an_error_of_a_job_is_the_callers() -> None:
    with pytest.raises(ValueError, match="job 3 is wrong"):
        list(scatter(raises, [3], workers=1))


def test_a_job_that_cannot_travel_says_so() -> None:
    with pytest.raises(InputError, match="cannot be sent to a process"):
        list(scatter(lambda n: n, [1], workers=1))


@pytest.mark.parametrize("ray", [None, ""])
def test_fewer_than_no_workers_are_refused(ray: str | None) -> None:
    with pytest.raises(InputError, match="`workers` is -1; give 0"):
        scatter(double, [1], workers=-1, ray=ray)


def test_a_cluster_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no Ray cluster at '127.0.0.1:1'"):
        list(scatter(double, [1], ray="127.0.0.1:1"))


KILLED = """
import os
from test_compute import double
from genai.compute import scatter
for number in scatter(double, [1] * 9, workers=2): os.kill(os.getpid(), 9)
"""


def test_workers_end_with_the_process_that_started_them_even_by_a_kill() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        process.communicate(timeout=60)  # the pipe is open for as long as a worker lives
        assert process.returncode == -signal.SIGKILL


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_ray_that_is_slow_to_start_is_started_again_and_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    slow = Exception("The current node timed out during startup. This could happen because")
    real, errors = ray.init, [slow]

    def init(**given: Any) -> Any:
        if errors:
            raise errors.pop()
        return real(**given)

    monkeypatch.setattr(ray, "init", init)
    assert sorted(scatter(double, [3, 4], ray="")) == [6, 8]
    errors += [slow, slow]
    with pytest.raises(InputError, match="^Ray did not start here in time; try again") as caught:
        list(scatter(double, [3], ray=""))
    assert "\n" not in str(caught.value)
