#!/bin/bash
# goal: killed before, amid and behind every single request to an S3 store: no false success, nothing half visible, the next call succeeds
# stores: none
# limit: 700
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
ulimit -c 0

step "a server that archives to a fault server"
fault_server faults
config_write $'[basebackup]\njobs = 2\n'
server_create main --wal-segsize=1
head -c 17500000 /dev/urandom >main/large # a multipart upload
script
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
cluster=$T/faults/objects/$S3_BUCKET/$S3_PREFIX/main
taken() { [ -n "$FULL" ] || [ $((RANDOM % $1)) = 0 ]; } # 1 of $1 is; all with --full

# begin_case NAME COMMAND...: its functions are NAME_reset, NAME_whole (it is done), NAME_check (nothing is half visible).
begin_case() {
    name=$1 one_of=1
    command=("${@:2}")
    "${name}_reset"
    script
    expect_status 0 "${command[@]}"
    "${name}_whole" || fail "$name, left alone, did not do it"
    # "OPERATION PATTERN NUMBER" of each request; a backup's id is another in each run
    awk '{ key = $2; sub(/.*\//, "*", key); sub(/probe-.*/, "probe-*", key); if ($1 == "LIST") key = "*"; print $1, key, ++count[$1, key] }' faults/requests |
        grep -v " \*0000000100000000" >plan
    echo "$name: $(wc -l <plan) requests"
}
strike() { # SIGNAL PLACE OPERATION PATTERN NUMBER
    local pid
    "${name}_reset"
    script "$3 $4 $5 1 hang=$2"
    "${command[@]}" >out 2>&1 &
    pid=$!
    # Two workers: which of them comes first, and so how many requests there are of a kind, is not the same in every run.
    wait_until 60 "the request or the end" reached $pid
    if grep -q 'fault=' faults/requests; then kill -"$1" $pid 2>/dev/null || true; fi
    status=0
    wait $pid || status=$?
    output=$(cat out)
    printf '%s\n' "$output" | sed 's/^/    /'
    if [ "$status" = 0 ]; then "${name}_whole" || fail "success, but it is not done"
    else expect_equal "exit status ($output)" $((128 + $(kill -l "$1"))) "$status"; fi
    script
    "${name}_check"
    taken 4 || return 0
    [ "$(type -t "${name}_again")" != function ] || "${name}_again"
    expect_status 0 "${command[@]}"
    "${name}_whole" || fail "the next call did not do it"
}
reached() { grep -q 'fault=' faults/requests || ! kill -0 "$1"; }
strike_all() { # PLACE...
    local operation pattern number place places
    while read -r operation pattern number <&4; do
        for place; do
            [ "$place" != upload ] || [[ $operation = PUT || $operation = PART ]] || continue
            taken "$one_of" || continue
            row "$name: SIGKILL $place, $operation $pattern $number" strike KILL "$place" "$operation" "$pattern" "$number"
            ! taken 6 || row "$name: SIGTERM $place, $operation $pattern $number" strike TERM "$place" "$operation" "$pattern" "$number"
        done
    done 4<plan
}

step "repository-init"
cp -r "$cluster" kept
init_reset() { rm -rf "$cluster" state faults/uploads/id*; }
init_whole() { grep -q '"sha256":"[0-9a-f]\{64\}"}' "$cluster/cluster.json" && wal_accepted; }
wal_accepted() { grep -q "\"$system\"" "$cluster/cluster.json"; }
init_check() {
    [ ! -e "$cluster/cluster.json" ] || init_whole || fail "half a cluster.json"
    expect_equal "other objects" "" "$(find "$cluster" -type f 2>/dev/null | sed "s|^$cluster/||" | grep -Evx 'cluster.json|probe-[0-9a-f]{16}' || true)"
}
begin_case init repository-init
one_of=4
strike_all start upload answer
rm -rf "$cluster" state && cp -r kept "$cluster"

step "basebackup-push"
backup_reset() { rm -rf "$cluster/$system/base" faults/uploads/id*; }
manifests() { find "$cluster/$system/base" -name manifest.json 2>/dev/null | wc -l; }
backup_whole() { [ "$(manifests)" = 1 ]; }
backup_again() { backup_reset; }
backup_check() {
    expect_status 0 basebackup-list --json
    expect_equal "backups in the list" "$(manifests)" "$(grep -c '"id":' <<<"$output" || true)"
    expect_equal "objects that are not under the id of a backup" "" \
        "$(find "$cluster/$system/base" -type f 2>/dev/null | grep -Ev '/base/[0-9]{8}T[0-9]{6}Z-[0-9A-F]{8}-[0-9A-F]{16}/' || true)"
    [ "$(manifests)" != 0 ] || return 0
    rm -rf copy
    expect_status 0 basebackup-fetch -D "$T/copy"
    pg_verifybackup -n -q copy || fail "a backup in the list is not whole"
}
begin_case backup basebackup-push --checkpoint=fast
expect_true "it is a multipart upload, too" grep -q ^COMPLETE plan
one_of=12
strike_all start upload answer
expect_true "the server is well" sql_is main 1 "select 1"

step "basebackup-fetch"
backup_reset
expect_status 0 basebackup-push --checkpoint=fast
server_stop main
restore_reset() { rm -rf copy; }
restore_again() { rm -rf copy; }
restore_whole() { [ -e copy/global/pg_control ] && pg_verifybackup -n -q copy; }
restore_check() { [ ! -e copy/global/pg_control ] || restore_whole || fail "a directory that is not whole has a global/pg_control"; }
begin_case restore basebackup-fetch -D "$T/copy"
one_of=12
strike_all start answer middle

step "recovery-config"
restore_reset
expect_status 0 basebackup-fetch -D "$T/copy"
cp copy/postgresql.auto.conf before.conf
config_reset() { rm -rf copy/*.signal state && cp before.conf copy/postgresql.auto.conf; }
config_whole() { [ -e copy/recovery.signal ] && grep -q ^restore_command copy/postgresql.auto.conf; }
config_check() { config_whole || { [ ! -e copy/recovery.signal ] && cmp copy/postgresql.auto.conf before.conf; }; }
begin_case config recovery-config -D "$T/copy" --target-lsn "$(backup_end copy)"
one_of=6
strike_all start answer middle
expect_rows $((FULL ? 100 : 5))+
