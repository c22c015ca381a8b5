#!/bin/sh
# The browser that the console is tested in: Debian's Chromium with Chinese fonts, and axe-core, which looks for barriers (WCAG).
set -eu
cd "$(dirname "$0")/../.."
AXE=4.10.3
missing=""
command -v chromium >/dev/null || missing="$missing chromium"
[ -f /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing="$missing fonts-noto-cjk"
[ -f ".peers/axe/node_modules/axe-core/axe.min.js" ] || command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    if [ "$(id -u)" -ne 0 ]; then
        echo "the browser is missing: sudo apt-get install$missing" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing >/dev/null
fi
if ! grep -q "\"version\": \"$AXE\"" .peers/axe/node_modules/axe-core/package.json 2>/dev/null; then
    mkdir -p .peers/axe
    npm install --prefix .peers/axe --no-save --silent --no-audit --no-fund "axe-core@$AXE" >/dev/null
fi
