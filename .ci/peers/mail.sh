#!/bin/sh
# The mail peers: Postfix hands mail over and takes it, swaks sends it, Dovecot keeps mailboxes for IMAP and POP3. The tests start
# them from configurations of their own, on loopback; no service of the system is started or enabled.
set -eu
if command -v postfix >/dev/null && command -v swaks >/dev/null && [ -x /usr/lib/dovecot/imap ] && [ -x /usr/lib/dovecot/pop3 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "mail peers are missing: sudo apt-get install postfix dovecot-imapd dovecot-pop3d swaks" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# A package's own service must not come up with it: what is there at the end is what was there before.
POLICY=/usr/sbin/policy-rc.d
if [ ! -e "$POLICY" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    trap 'rm -f "$POLICY"' EXIT
fi
apt-get install -y -qq --no-install-recommends postfix dovecot-imapd dovecot-pop3d swaks libnet-ssleay-perl >/dev/null
