"""A certificate of 127.0.0.1 that nobody vouches for, and what serves with it."""

import ssl
import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """Write it into a folder, with its key in the same file."""
    path, key = folder / "both.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=loopback", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_text(path.read_text() + key.read_text())
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    """Give what a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
