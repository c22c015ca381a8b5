#!/bin/sh
# What the fault machines of tests/faults break things with: FUSE for a disk that forgets what was not synced, libfiu for calls that
# fail, libfaketime for clocks that jump, strace for the order of sync and reply.
set -eu
missing=""
command -v fusermount3 >/dev/null || missing="$missing fuse3"
command -v fiu-run >/dev/null || missing="$missing fiu-utils libfiu0"
[ -n "$(find /usr/lib -name libfaketime.so.1 2>/dev/null)" ] || missing="$missing libfaketime"
command -v strace >/dev/null || missing="$missing strace"
command -v mkfs.ext4 >/dev/null || [ -x /usr/sbin/mkfs.ext4 ] || missing="$missing e2fsprogs"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "what the fault machines need is missing: sudo apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >/dev/null
