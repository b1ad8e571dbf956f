"""`genai exp ui`: MLflow's pages over the project's own store, until they are ended."""

import argparse

from genai.cli import free_port
from genai.wiring.experiments import view


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the word's arguments."""
    parser.add_argument("--port", type=int, default=5000, help="of this machine (5000)")


def run(options: argparse.Namespace) -> int:
    """Serve; give the server's exit code."""
    free_port("127.0.0.1", options.port)
    return view(options.port)
