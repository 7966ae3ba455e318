#!/bin/sh
# Runs Hangu as a peer of the gateway bench, in the foreground. Set by the bench:
#   BENCH_PORT      listen here on 127.0.0.1
#   BENCH_UPSTREAM  port of the cleartext upstream on 127.0.0.1
#   BENCH_CERTS     ca.pem, server.pem, server.key
#   BENCH_WORK      scratch folder of this peer; the access log goes to access.log in it
# HANGU_BIN names the binary; without it, the `dist` build of this checkout is run.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$here/../..
hangu=${HANGU_BIN:-${CARGO_TARGET_DIR:-$root/target}/dist/hangu}
[ -x "$hangu" ] || { echo "there is no \`$hangu\`; run \`cargo build --profile dist\`, or set HANGU_BIN" >&2; exit 1; }
: "${BENCH_PORT:?} ${BENCH_UPSTREAM:?} ${BENCH_CERTS:?} ${BENCH_WORK:?}"

cp "$root/policy/models/rbac_with_domains.conf" "$BENCH_WORK/model.conf"
cp "$here/policy.csv" "$BENCH_WORK/policy.csv"
sed -e "s|@PORT@|$BENCH_PORT|g" -e "s|@UPSTREAM@|$BENCH_UPSTREAM|g" \
    -e "s|@CERTS@|$BENCH_CERTS|g" -e "s|@WORK@|$BENCH_WORK|g" \
    "$here/hangu.toml.in" >"$BENCH_WORK/hangu.toml"
exec "$hangu" run --config "$BENCH_WORK/hangu.toml"
