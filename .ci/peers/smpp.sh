#!/bin/sh
# Installs the independent SMSC that tests/peers/test_smpp_npm.py binds to: npm package smpp, into .peers/npm.
set -eu
cd "$(dirname "$0")/../.."
if [ ! -f .peers/npm/node_modules/smpp/package.json ]; then
    command -v npm >/dev/null || { echo "npm is missing: apt-get install npm" >&2; exit 1; }
    mkdir -p .peers/npm
    npm install --prefix .peers/npm --no-audit --no-fund --silent smpp@0.5.1
fi
