#!/bin/sh
# Install the servers and clients of other people that the heavy tests run, once:
# `make interop` calls this from the project's root, with .venv and its [demo] made.
# Each set has an environment of its own, since their pins contradict each other, and
# a stamp in it that holds the set: what is installed already costs nothing.
set -eu

python=${PYTHON:-python3}

# install DIRECTORY STAMP REQUIREMENT…
install() {
  directory=$1 stamp=$1/.$2
  shift 2
  if [ "$(cat "$stamp" 2>/dev/null)" != "$*" ]; then
    echo "$directory: $*"
    test -x "$directory/bin/python" || "$python" -m venv "$directory"
    "$directory/bin/python" -m pip install -q --disable-pip-version-check "$@"
    echo "$*" >"$stamp"
  fi
}

# What the tests and benchmarks import themselves, or fromzero does.
install .venv storage 'kserve-storage>=0.16'
install .venv simfaas 'simfaas>=0.2.2'
# Programs that the tests start.
install .venv-clients clients 'moto[server]>=5' 'openai>=2' 'tritonclient[http]>=2.50'
install .venv-mlserver mlserver 'mlserver>=1.7' 'mlserver-sklearn>=1.7'
install .venv-kserve kserve 'kserve>=0.16' 'scikit-learn>=1.6' 'joblib>=1.4'

.venv/bin/python examples/demo/prepare.py
