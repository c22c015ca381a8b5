#!/bin/sh
# A folder in which a real systemd boots: tests/systemd starts the gateway's units there (systemd-nspawn). Made once, kept outside
# the tree; the tests work on an overlay and leave it as it is. JIBAO_ROOTFS names another place.
set -eu
ROOTFS=${JIBAO_ROOTFS:-/var/cache/jibao/rootfs}
PACKAGES=systemd,systemd-sysv,dbus,python3,python3-venv,logrotate
# A new list of packages makes a new folder.
STAMP="$ROOTFS/etc/jibao-rootfs"
if [ "$(cat "$STAMP" 2>/dev/null)" = "$PACKAGES" ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "systemd in a folder is missing, its tests are left out: sudo sh .ci/peers/systemd.sh" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! command -v debootstrap >/dev/null || ! command -v systemd-nspawn >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends debootstrap systemd-container >/dev/null
fi
SUITE=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
rm -rf "$ROOTFS"
mkdir -p "$(dirname "$ROOTFS")"
debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$ROOTFS" >"$ROOTFS.log" 2>&1 || { tail -n 20 "$ROOTFS.log" >&2; exit 1; }
rm -rf "$ROOTFS/var/cache/apt/archives" "$ROOTFS/var/lib/apt/lists"
mkdir -p "$ROOTFS/var/cache/apt/archives/partial" "$ROOTFS/var/lib/apt/lists/partial"
# Nothing that waits for a network or a console.
rm -f "$ROOTFS/etc/resolv.conf"
echo "$PACKAGES" >"$STAMP"
