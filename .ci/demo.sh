#!/bin/sh
# init, run and demo in one go: make demo calls it with the bin folder, the demo folder and the first port.
set -eu
BIN=$1 DIR=$2 PORT=$3
# Each demo begins with a configuration and a state of its own: the same report told twice would rightly be a duplicate.
rm -rf "$DIR"
mkdir -p "$(dirname "$DIR")"
"$BIN/gateway" init "$DIR" --demo --base-port "$PORT"
"$BIN/gateway" --conf "$DIR" check
echo "starting the daemon; its log is $DIR/daemon.log"
"$BIN/gateway" --conf "$DIR" run 2>>"$DIR/daemon.log" &
DAEMON=$!
trap 'kill -TERM "$DAEMON" 2>/dev/null || true; wait "$DAEMON" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
if [ -n "${ONCE:-}" ]; then
    "$BIN/gateway" --conf "$DIR" demo
else
    "$BIN/gateway" --conf "$DIR" demo --stay
fi
