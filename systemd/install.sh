#!/bin/sh
# Installs or upgrades the gateway on this machine, as root, from the folder that `make bundle` wrote. It needs no internet, starts
# nothing and changes no configuration that is there already. --units leaves /opt/jibao alone and installs the rest.
set -eu
umask 022
cd "$(dirname "$0")"
PREFIX=/opt/jibao
CONF=/etc/jibao
STORE=/etc/credstore
UNITS=/usr/local/lib/systemd/system
UNITS_ONLY=
[ "${1:-}" = "--units" ] && UNITS_ONLY=yes

[ "$(id -u)" -eq 0 ] || { echo "run as root: sudo sh $0" >&2; exit 1; }

if [ -z "$UNITS_ONLY" ]; then
    [ -f SHA256SUMS ] || { echo "there are no wheels here; make the bundle with: make bundle" >&2; exit 1; }
    sha256sum --check --quiet SHA256SUMS || { echo "the bundle is damaged; copy it again" >&2; exit 1; }
    WANTED=$(cat PYTHON)
    HERE=$(python3 -c 'import sys, sysconfig; print("%d.%d %s" % (*sys.version_info[:2], sysconfig.get_platform()))')
    [ "$HERE" = "$WANTED" ] || { echo "the bundle is for Python $WANTED, this machine has $HERE" >&2; exit 1; }
    [ -x $PREFIX/bin/python3 ] || python3 -m venv $PREFIX
    $PREFIX/bin/python3 -m pip install --quiet --no-index --find-links wheels --upgrade 'jibao-gateway[ocr,papers,postgres]'
    install -D -m 0644 install.md $PREFIX/share/doc/install.md
fi

install -d -m 0755 $UNITS /usr/local/lib/sysusers.d /usr/local/lib/tmpfiles.d
install -m 0644 gateway.service ./*.socket gateway-backup.service gateway-backup.timer $UNITS
install -m 0644 gateway.sysusers /usr/local/lib/sysusers.d/jibao.conf
install -m 0644 gateway.tmpfiles /usr/local/lib/tmpfiles.d/jibao.conf
[ ! -d /etc/logrotate.d ] || install -m 0644 gateway.logrotate /etc/logrotate.d/jibao
systemd-sysusers /usr/local/lib/sysusers.d/jibao.conf
systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/jibao.conf

if [ ! -e $CONF/gateway.toml ]; then
    umask 077
    $PREFIX/bin/gateway init $CONF --state /var/lib/jibao >/dev/null
    # Secrets go where systemd finds credentials; nothing secret stays in the configuration.
    for FILE in $CONF/secrets/*; do
        install -m 0600 "$FILE" "$STORE/jibao.$(basename "$FILE")"
        rm "$FILE"
    done
    rmdir $CONF/secrets
    mv $CONF/bureau-private.key /root/jibao-bureau-private.key
    sed -i -e 's|^#secrets = "secrets"$|secrets = "'$STORE'"|' \
        -e 's|^#audit_log = ""$|audit_log = "/var/log/jibao/audit.jsonl"|' $CONF/gateway.toml
    echo "configuration written to $CONF; carry /root/jibao-bureau-private.key to the confidential bureau and delete it here"
fi
chown -R root:jibao-conf $CONF
chmod -R u=rwX,g=rX,o= $CONF
[ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "next: edit $CONF, then: $PREFIX/bin/gateway --conf $CONF check"
echo "      systemctl enable --now gateway.socket gateway.service gateway-backup.timer"
