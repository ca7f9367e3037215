"""Certificates that sign themselves."""

import subprocess
from pathlib import Path


def self_signed(path: Path, subject: str) -> Path:
    """Writes a certificate for `subject`, as `DNS:hooks.test` or `IP:127.0.0.1`, with its key in the same file."""
    key = path.with_suffix(".key")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    named = ("-days", "2", "-subj", "/CN=server.test", "-addext", f"subjectAltName={subject}")
    command = ["openssl", "req", "-x509", *curve, *named, "-keyout", key, "-out", path]
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path
