#!/bin/sh
# The independent SMPP peers of tests/peers: npm package smpp in .peers/npm, smpp34 in .peers/python, and kannel with its test tools.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
if [ ! -f .peers/npm/node_modules/smpp/package.json ]; then
    command -v npm >/dev/null || { echo "npm is missing: apt-get install npm" >&2; exit 1; }
    mkdir -p .peers/npm
    npm install --prefix .peers/npm --no-audit --no-fund --silent smpp@0.5.1
fi
if [ ! -d .peers/python/smpp34 ]; then
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target .peers/python --upgrade smpp34==1.5.0
fi
[ -x /usr/sbin/bearerbox ] && [ -x /usr/lib/kannel/test/drive_smpp ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "kannel is missing: sudo apt-get install kannel kannel-extras" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The tests start bearerbox themselves; the package's own service stays off.
RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends kannel kannel-extras >/dev/null
