#!/bin/sh
# Everything a machine without internet needs, in dist/bundle: the wheels of the gateway and of all it imports, the list of Debian
# packages, the units and the scripts that install and uninstall. make bundle calls it with the bin folder of the environment.
set -eu
BIN=$1
OUT=dist/bundle
# What an earlier build left would get into the wheel.
rm -rf "$OUT" build
mkdir -p "$OUT/wheels"
"$BIN/python" -m pip wheel --quiet --wheel-dir "$OUT/wheels" '.[ocr,papers,postgres]'
"$BIN/python" -c 'import sys, sysconfig; print("%d.%d %s" % (*sys.version_info[:2], sysconfig.get_platform()))' >"$OUT/PYTHON"
cp systemd/* docs/install.md "$OUT/"
(cd "$OUT" && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
# Shown to be whole: installed from these files alone, into an environment of its own, and run.
PROOF=$(mktemp -d)
trap 'rm -rf "$PROOF"' EXIT
"$BIN/python" -m venv "$PROOF/env"
env -u PIP_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PYTHONPATH PIP_CONFIG_FILE=/dev/null \
    "$PROOF/env/bin/python" -m pip install --quiet --no-index --find-links "$OUT/wheels" 'jibao-gateway[ocr,papers,postgres]'
"$PROOF/env/bin/gateway" init "$PROOF/conf" >/dev/null
"$PROOF/env/bin/gateway" --conf "$PROOF/conf" check
"$PROOF/env/bin/python" -c 'import docx, onnxruntime, psycopg, rapidocr'
tar -C dist -czf "dist/jibao-bundle-$("$BIN/python" -c 'import gateway; print(gateway.__version__)').tar.gz" bundle
du -sh "$OUT" dist/jibao-bundle-*.tar.gz
