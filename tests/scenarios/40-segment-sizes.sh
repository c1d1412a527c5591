#!/bin/bash
# goal: WAL segments of 1 MiB and 64 MiB, data checksums on and off: archive, back up, lose, recover
# turns: file s3
# full-versions: file@13 file@17 s3@18 file@19
. "$(dirname "$0")/../lib.sh"

cycle() { # SEGMENT-MIB CHECKSUMS LEDGER-SECONDS
    local mib=$1 options=(--wal-segsize="$1")
    step "$mib MiB, data checksums $2"
    if [ "$2" = on ]; then options+=(--data-checksums)
    elif [ "$major" -ge 18 ]; then options+=(--no-data-checksums); fi # there they are on by default
    rm -rf main state
    CONFIG_NAME=size$mib config_write
    server_create main "${options[@]}"
    expect_status 0 repository-init
    server_start main
    expect_equal "segment size" "$mib" "$(($(sql main "select setting from pg_settings where name = 'wal_segment_size'") >> 20))"
    ledger_create main
    sql main "create table t as select i, random() from generate_series(1, 50000) i" # several segments of 1 MiB
    ledger_start main "$mib"
    expect_status 0 basebackup-push --checkpoint=fast
    sql main "insert into t select i, random() from generate_series(1, 50000) i"
    sleep "$3"
    ledger_instant main "expected.$mib"
    sleep 0.5
    archived main
    server_kill main
    ledger_stop
    rm -rf main
    expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/main"
    expect_status 0 pg_verifybackup -n main
    expect_status 0 recovery-config -D "$T/main" --target-time "$instant" --action promote
    server_start main
    wait_open main
    expect_ledger main "expected.$mib"
    expect_equal "data checksums" "$2" "$(sql main "show data_checksums")"
    server_stop main
}
cycle 1 on 1 # wound: plugin-barman-cloud#516, #603
cycle 64 off 1
if [ -n "$FULL" ]; then
    cycle 2 off 5
    cycle 16 off 5
    cycle 1024 on 5
fi
