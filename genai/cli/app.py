"""`genai app`: start the chat in the browser, on this machine only."""

import argparse
import os
import signal
import subprocess
import sys

import genai
from genai import extras
from genai.cli import free_port


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--port", type=int, default=8501, help="of this machine (8501)")
    parser.add_argument("--open", action="store_true", help="open a browser window too")


def run(options: argparse.Namespace) -> int:
    """Start Streamlit on the project's `apps/frame/app.py` and wait for it."""
    extras.load("streamlit", "apps")
    project = genai.find_project()
    script = project.root / "apps" / "frame" / "app.py"
    if not script.is_file():
        raise genai.InputError(f"{script}: is missing; copy it from the starter (`genai init`)")
    command = [
        sys.executable, "-m", "streamlit", "run", str(script),
        "--server.address=127.0.0.1",
        f"--server.port={options.port}",
        f"--server.headless={'false' if options.open else 'true'}",
        "--server.fileWatcherType=none",
        "--server.maxUploadSize=50",
        "--browser.gatherUsageStats=false",
        "--client.toolbarMode=minimal",
    ]  # fmt: skip
    free_port("127.0.0.1", options.port)
    print(f"the chat is at http://127.0.0.1:{options.port}  (end it with Ctrl-C)", flush=True)
    environment = dict(os.environ)
    if project.state.parent == project.root:
        environment["GENAI_PROJECT"] = str(project.root)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server ends with this process
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 0
