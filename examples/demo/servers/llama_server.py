"""Serve one GGUF model with llama.cpp's own HTTP server (the OpenAI API, with SSE)."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from xllamacpp import CommonParams, Server


def main() -> None:
    """Load, listen, serve until SIGTERM; /health answers 503 while it loads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model_name", required=True)
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--http_port", type=int, required=True)
    parser.add_argument("--chat_template", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)  # Before its threads inherit it.

    models = sorted(given.model_dir.glob("*.gguf"))
    if not models:
        parser.error(f"there is no .gguf file in {given.model_dir}")
    params = CommonParams()
    params.model.path = str(models[0])
    params.model_alias = {given.model_name}
    params.port = given.http_port
    if given.chat_template:
        params.chat_template, params.use_jinja = given.chat_template.read_text(), True
    params.n_ctx, params.n_parallel = 4096, 4
    params.cpuparams.n_threads = given.threads
    params.warmup, params.endpoint_metrics = False, True
    server = Server(params)

    signal.sigwait(stop)
    del server


if __name__ == "__main__":
    main()
