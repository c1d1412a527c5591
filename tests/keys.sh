# keys.sh: an encrypted repository at the fault server, and segments to push into it; sourced behind faults.sh, which it sources.
# shellcheck shell=bash disable=SC2154
# shellcheck disable=SC2034 # what the scenarios use
. "$here/faults.sh"

fault_server faults
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX/main
configure() { # KEY-FILES [MORE-LINES]: encryption_key_file; "": none. HOST=NAME: with the state_dir of another host
    printf '[cluster]\nname = main\npgdata = %s\nstate_dir = %s\n[repository here]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\naccess_key = %s\nsecret_key = %s\n%s\n%s\n' \
        "$T/main" "$T/${HOST:-state}" "$S3_BUCKET" "$S3_PREFIX" "$S3_REGION" "$S3_ENDPOINT" "$S3_ACCESS_KEY" "$S3_SECRET_KEY" \
        "${1:+encryption_key_file = $1}" "${2:-}" >"$CONFIG"
    chmod 600 "$CONFIG"
}
id_of() { python3 - "$1" <<'PY'
import hmac, sys
data = open(sys.argv[1], "rb").read()
key = data if len(data) == 32 else bytes.fromhex(data.decode())
print(hmac.digest(hmac.digest(bytes(32), key, "sha256"), b"walferry key id\1", "sha256")[:8].hex())
PY
}
segments=()
segments_make() { # NUMBER: a cluster main, which is stopped then, with so many $segments that nobody has archived; $system
    local i ready
    server_create main --wal-segsize=1
    server_start main
    system=$(system_identifier main)
    for ((i = 1; i <= $1; i++)); do
        sql main "create table t$i as select generate_series(1, 100)"
        segments+=("$(sql main "select pg_walfile_name(pg_switch_wal() - 1)")")
    done
    server_stop main
    for ready in main/pg_wal/archive_status/*.ready; do mv "$ready" "${ready%ready}done"; done
}
push() { (cd main && wal-push "pg_wal/$1"); }
object_of() { echo "$objects/$system/wal/0000000100000000/$1"; } # SEGMENT
epoch_of() { od -An -tu4 -j16 -N4 "$(object_of "$1")" | tr -d ' '; } # SEGMENT
expect_fetched() { # SEGMENT
    rm -f fetched
    expect_status 0 wal-fetch "$1" "$T/fetched"
    expect_same "segment $1" "main/pg_wal/$1" fetched
}
