#!/bin/sh
# Everything the tests start beside the gateway: mail, fax and print servers, PostgreSQL, SMS centres, a folder in which systemd boots.
# Says what is missing where it may not install.
set -eu
cd "$(dirname "$0")"
for part in browser.sh cloud.sh cmpp.sh faults.sh mail.sh modem.sh paper.sh postgres.sh smpp.sh systemd.sh; do
    sh "./$part"
done
