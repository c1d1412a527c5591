#!/bin/bash
# goal: a base backup outlives its temporary credentials: refreshed in time, or when the store no longer takes them, and by one of its workers
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"

step "a server that archives to a store of 200 ms, with a role's credentials"
authority ca && certificate server ca IP:127.0.0.1
fault_server faults server.pem
mkdir sts && { "$here/credential-server" "$T/sts" server.pem >sts.log 2>&1 & }
wait_until 20 "credential server" test -s sts/port
secret "a session token" -of-a-session
config_write "role_arn = arn:aws:iam::1:role/walferry
sts_endpoint = https://127.0.0.1:$(<sts/port)
[basebackup]
jobs = 4"
script
server_create main --wal-segsize=1
for number in 1 2 3 4 5 6; do head -c 20000000 /dev/urandom >"main/large.$number"; done # each goes in parts of its own
server_start main
expect_status 0 repository-init
sql main "create table t as select generate_series(1, 10000) i"
begin() { # [SETTING]
    rm -rf state/credentials-*
    printf '%s\n' "$@" >sts/settings
    : >sts/requests
    script "PART * 1 - delay=700" "PUT *main-* 1 - delay=700"
}
whole() {
    script
    expect_status 0 basebackup-fetch -D "$T/restored"
    pg_verifybackup -n -q restored
    rm -rf restored
}

step "they live for 18 seconds, the backup for longer: refreshed in time, and seldom"
begin "life 18" # from 12 s on others are asked for
before=$EPOCHREALTIME
expect_status 0 basebackup-push --checkpoint=fast --max-rate 6MB
took=$(((${EPOCHREALTIME/./} - ${before/./}) / 1000000))
echo "took $took s, asked STS $(wc -l <sts/requests) times"
expect_true "longer than they live" test "$took" -ge 18
expect_true "refreshed" test "$(wc -l <sts/requests)" -ge 2
expect_true "seldom" test "$(wc -l <sts/requests)" -le $((took / 6 + 2))
expect_equal "requests with what has expired" 0 "$(requests '.* 400')"
whole

step "the store no longer takes them in mid-backup: one worker asks for others, and all go on"
begin
basebackup-push --checkpoint=fast --max-rate 12MB >push.log 2>&1 &
pid=$!
wait_until 20 "parts" grep -q "^PART" faults/requests
issued=$(grep -o 'token-[0-9]*-of-a-session' state/credentials-*.json | cut -d- -f2)
printf 'set token token-%s-of-a-session\nPART * 1 - delay=700\n' $((issued + 1)) >faults/script.new && mv faults/script.new faults/script
wait $pid || fail "$(cat push.log)"
cat push.log
expect_equal "requests to STS" 2 "$(wc -l <sts/requests)"
expect_true "refused requests" test "$(requests '.* 400')" -ge 1
expect_true "each worker's at most" test "$(requests '.* 400')" -le 8
whole
server_stop main
