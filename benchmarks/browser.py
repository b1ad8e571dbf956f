"""A page of the app in a real browser: seconds until a figure of it is seen."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from statistics import median

ONE_FIGURE = 'import streamlit as st\nst.metric("Questions", "{figure}")\n'
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")


def seen(project: Path, page: str, figure: str, visits: int = 9) -> float:
    """Give the median seconds from the address to the figure, each visitor with an empty cache.

    The first visit, for which the server loads what it needs, is not counted.
    """
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "genai", "app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL,
                              env={**os.environ, "GENAI_PROJECT": str(project)})  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
            took = []
            for _ in range(visits + 1):
                visitor = browser.new_context()
                tab, started = visitor.new_page(), time.perf_counter()
                tab.goto(f"http://127.0.0.1:{port}/{page}", wait_until="commit")
                tab.get_by_text(figure, exact=True).first.wait_for()
                took.append(time.perf_counter() - started)
                visitor.close()
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    return median(took[1:])


def _wait(address: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=1).close()
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the app ended; start `genai app` to see why") from None
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the app does not answer")
