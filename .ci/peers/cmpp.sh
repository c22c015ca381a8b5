#!/bin/sh
# What judges CMPP octets in tests/peers/test_cmpp.py: tshark's dissector, and pycmpp (GPL-3, a peer in tests and nothing else) in
# .peers/python.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
if [ ! -d .peers/python/pycmpp ]; then
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target .peers/python --upgrade pycmpp==2.0.2
fi
command -v tshark >/dev/null && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "tshark is missing: sudo apt-get install tshark" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends tshark >/dev/null
