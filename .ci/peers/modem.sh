#!/bin/sh
# The daemons behind a modem on the desk (短信猫): gammu-smsd, whose dummy phone needs no hardware, and smstools.
set -eu
command -v gammu-smsd >/dev/null && command -v smsd >/dev/null && exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "gammu-smsd or smstools is missing: sudo apt-get install gammu-smsd smstools" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The tests start both themselves; the packages' own services stay off.
RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends gammu-smsd smstools >/dev/null
