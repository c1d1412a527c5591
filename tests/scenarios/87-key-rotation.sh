#!/bin/bash
# goal: keys are rotated again and again, by two hosts, while a server archives, base backups are made and verifications read all: nothing fails, and all of it is restored
# stores: file
# full-stores: s3
# limit: 300
ENCRYPTED=1
. "$(dirname "$0")/../lib.sh"

config_write $'[basebackup]\njobs = 2\nsplit_size = 1MB'
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
ledger_create main
sql main "create table t as select i, md5(i::text) from generate_series(1, 100000) i" "checkpoint" >/dev/null
expect_status 0 basebackup-push --checkpoint=fast
sed "s|^state_dir.*|state_dir = $T/other|" "$CONFIG" >other.conf && chmod 600 other.conf # another host's

rotate_always() { # until rotate.end is there: by this host and by another, in turn
    local configs=("$CONFIG" other.conf) turn=0
    until [ -e rotate.end ]; do
        repository-key rotate --config "${configs[turn++ % 2]}" || return
        sleep 0.3
    done
}
verify_always() { until [ -e rotate.end ]; do basebackup-verify --full || return; done; }
switch_always() { until [ -e rotate.end ]; do sql main "select pg_switch_wal()" >/dev/null || return; sleep 0.2; done; }

step "rotation by two hosts while segments, two base backups and verifications go on"
ledger_start main 1
rotate_always >rotate.log 2>&1 & rotating=$!
verify_always >verify.log 2>&1 & verifying=$!
switch_always >switch.log 2>&1 & switching=$!
expect_status 0 basebackup-push --checkpoint=fast
ledger_instant main expected
expect_status 0 basebackup-push --checkpoint=fast --max-rate=4MB
sleep 2
touch rotate.end
for work in rotating verifying switching; do
    wait "${!work}" || { cat rotate.log verify.log switch.log; fail "$work has failed"; }
done
ledger_stop
archived main
ledger main >newest
epochs=$(grep -c "has begun" rotate.log)
echo "$epochs epochs, $(grep -c 'looked at' verify.log || true) verifications"
expect_true "several epochs" test "$epochs" -ge 5
expect_equal "errors" "" "$(grep -hE ': (error|warning): ' rotate.log verify.log | head -5 || true)"
expect_equal "failed segments" 0 "$(sql main "select failed_count from pg_stat_archiver")"
server_stop main

step "segments follow: at once in a directory, on S3 within an hour what another host has begun"
raw_list | sed -n "s|^main/\($system/[^ ]*\) .*|\1|p" >names
while read -r name; do
    raw_get "main/$name" object
    echo "$(od -An -tu4 -j16 -N4 object | tr -d ' ') $name"
done <names | sort -n >epochs
cut -d' ' -f1 epochs | uniq -c
newest=$(sed -n 's|^main/keys/0*\([1-9][0-9]*\)\..*|\1|p' <<<"$(raw_list)" | sort -n | tail -1)
[ "$STORE" = s3 ] || expect_equal "epoch of the last segment" "$newest" "$(grep /wal/ epochs | sort -k2 | tail -1 | cut -d' ' -f1)"
expect_true "several epochs were used" test "$(cut -d' ' -f1 epochs | sort -u | wc -l)" -ge 3

step "all of it is right and restored, by a host that remembers nothing, to a time and to the end"
rm -rf state other
expect_status 0 basebackup-verify --full
expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/restored"
expect_status 0 recovery-config --target-time "$instant" -D "$T/restored"
server_start restored
wait_paused restored
expect_ledger restored expected
server_stop restored
rm -rf restored
expect_status 0 basebackup-fetch -D "$T/restored"
expect_status 0 recovery-config -D "$T/restored"
server_start restored
wait_open restored
expect_ledger restored newest
server_stop restored
