#!/bin/sh
# Takes the program and its units away, as root. Configuration, secrets, store, audit log and backups stay; --purge takes them too.
set -eu
[ "$(id -u)" -eq 0 ] || { echo "run as root: sudo sh $0" >&2; exit 1; }
UNITS=/usr/local/lib/systemd/system
if [ -d /run/systemd/system ]; then
    systemctl disable --now gateway-backup.timer gateway.socket gateway-lmtp.socket gateway-http.socket gateway-console.socket \
        gateway.service 2>/dev/null || true
fi
for NAME in gateway.service gateway.socket gateway-lmtp.socket gateway-http.socket gateway-console.socket gateway-backup.service \
    gateway-backup.timer; do
    rm -f "${UNITS:?}/$NAME"
    [ "${1:-}" != "--purge" ] || rm -rf "/etc/systemd/system/$NAME.d"
done
rm -f /usr/local/lib/sysusers.d/jibao.conf /usr/local/lib/tmpfiles.d/jibao.conf /etc/logrotate.d/jibao
rm -rf /opt/jibao
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "${1:-}" = "--purge" ]; then
    rm -rf /etc/jibao /etc/credstore/jibao.* /var/lib/private/jibao /var/lib/private/jibao-backup /var/log/private/jibao
    rm -f /var/lib/jibao /var/lib/jibao-backup /var/log/jibao
    groupdel jibao-conf 2>/dev/null || true
    echo "the gateway is gone, and everything it kept"
else
    echo "the gateway is gone; kept: /etc/jibao, /etc/systemd/system/gateway*.d, /etc/credstore/jibao.*, /var/lib/jibao, /var/lib/jibao-backup, /var/log/jibao"
fi
