#!/bin/sh
# What judges the signatures of cloud SMS in tests/peers/test_sms_cloud.py: the providers' own Python code, in .peers/python.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
if [ ! -d .peers/python/twilio ] || [ ! -d .peers/python/alibabacloud_openapi_util ]; then
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps --target .peers/python --upgrade \
        twilio==9.13.0 alibabacloud-openapi-util==0.2.4 alibabacloud-tea-util==0.3.15 alibabacloud-tea==0.4.3
fi
