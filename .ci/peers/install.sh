#!/bin/sh
# Everything the tests start beside the gateway: PostgreSQL's binaries and the npm SMSC. Says what is missing where it may not install.
set -eu
cd "$(dirname "$0")"
for part in postgres.sh smpp.sh; do
    sh "./$part"
done
