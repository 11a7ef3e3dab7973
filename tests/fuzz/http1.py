"""Coverage-guided fuzzing of a request's way through the parser and out again.

    python -m tests.fuzz.http1 --seconds 60 --keep found

It begins with the corpus. What it finds is printed, and is a file in --keep, from where
`tests.fuzz.oracle.check(*http1.cut(data))` shows it again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

WORDS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"0\r\n\r\n",
    b"5\r\nhello\r\n", b"Content-Length: ", b"Transfer-Encoding: ", b"chunked",
    b"Connection: ", b"close", b"keep-alive", b"Upgrade: ", b"websocket", b"h2c",
    b"Host: ", b"h", b"Expect: 100-continue", b"GET ", b"POST ", b"HEAD ", b"PUT ",
    b"OPTIONS ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"http://", b"[::1]", b"*",
    b";a=b", b';a="b"', b"X-Forwarded-For: ", b"Trailer: ", b"%00", b", ", b": ",
    b"RTSP/1.0", b"\xff", b"\x0b",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the parsing of requests.")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="a folder for what was found")
    parser.add_argument("--seeds", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if find_spec("atheris") is None:
        print("nothing is fuzzed: there is no wheel of atheris for this platform")
        return 0
    if chosen.seeds is not None:
        return _fuzz(chosen.seeds, chosen.seconds, chosen.keep)
    # In a process of its own: it ends the one that it runs in.
    with tempfile.TemporaryDirectory() as folder:
        sow(Path(folder))
        keep = (chosen.keep or Path()).absolute()
        keep.mkdir(parents=True, exist_ok=True)
        program = [sys.executable, "-m", "tests.fuzz.http1"]
        options = ["--seeds", folder, "--seconds", str(chosen.seconds), "--keep", keep]
        return subprocess.run([*program, *options], check=False).returncode


def cut(data: bytes) -> tuple[bytes, list[int]]:
    """Return what a client says, and where reads cut it.

    >>> cut(bytes([2, 3, 4]) + b"GET / HTTP/1.1")
    (b'GET / HTTP/1.1', [3, 7])
    """
    count = data[0] % 4 if data else 0
    at = 0
    return data[1 + count :], [at := at + gap for gap in data[1 : 1 + count]]


def sow(folder: Path) -> None:
    """Write what it begins with: the corpus, each case whole and each cut twice."""
    from tests.activator.corpus.index import CASES

    seeds = folder / "seeds"
    seeds.mkdir()
    for number, case in enumerate(CASES.values()):
        if len(case.sent) < 2_000:
            for cuts in (b"\x00", b"\x02\x14\x1e"):
                (seeds / f"{number}-{len(cuts)}").write_bytes(cuts + case.sent)
    quoted = ["".join(f"\\x{byte:02x}" for byte in word) for word in WORDS]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted))


def _fuzz(folder: Path, seconds: int, keep: Path) -> int:
    import atheris

    with atheris.instrument_imports(include=["activator", "h11"]):
        from tests.fuzz import oracle
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={keep}/",
        f"-dict={folder / 'words'}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup(
        [sys.argv[0], str(folder / "seeds"), *options],
        lambda data: oracle.check(*cut(data)) and None,
    )
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
