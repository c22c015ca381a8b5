#!/bin/sh
# Everything the tests start beside the gateway: PostgreSQL's binaries, the npm SMSC and a folder in which systemd boots. Says what is
# missing where it may not install.
set -eu
cd "$(dirname "$0")"
for part in postgres.sh smpp.sh systemd.sh; do
    sh "./$part"
done
