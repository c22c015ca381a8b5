#!/bin/sh
# What faxes and paper are tested with: HylaFAX (hfaxd, faxq, faxrcvd), CUPS (cupsd), Pango and poppler for official papers, fonts with
# Chinese characters, those of benchmarks/faxpages.py among them. The tests start servers with folders and ports of their own; no service of the system's is started
# or enabled.
set -eu
missing=""
command -v hfaxd >/dev/null || [ -x /usr/sbin/hfaxd ] || missing="$missing hylafax-server"
[ -x /usr/lib/cups/backend/socket ] || missing="$missing cups"
[ -f /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing="$missing fonts-noto-cjk"
for font in wqy-zenhei:wqy/wqy-zenhei.ttc arphic-gbsn00lp:arphic-gbsn00lp/gbsn00lp.ttf arphic-gkai00mp:arphic-gkai00mp/gkai00mp.ttf; do
    [ -f "/usr/share/fonts/truetype/${font#*:}" ] || missing="$missing fonts-${font%%:*}"
done
command -v gs >/dev/null || missing="$missing ghostscript"
ldconfig -p | grep -q libpangoft2-1.0.so.0 || missing="$missing libpangoft2-1.0-0"
[ -f /usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc ] || missing="$missing fonts-noto-cjk"
command -v pdftoppm >/dev/null || missing="$missing poppler-utils"
command -v tiffcp >/dev/null || missing="$missing libtiff-tools"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "fax and print peers are missing: sudo apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Packages of servers start them where nothing forbids it.
made=""
if [ ! -e /usr/sbin/policy-rc.d ]; then
    made=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$made"
    chmod +x "$made"
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >/dev/null || { [ -z "$made" ] || rm -f "$made"; exit 1; }
[ -z "$made" ] || rm -f "$made"
