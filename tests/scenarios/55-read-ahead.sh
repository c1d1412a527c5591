#!/bin/bash
# goal: a recovery, and a standby, are fed by a helper that reads ahead: every row is there, holes and damage stop them as ever, and nothing is left of the helper
# stores: file s3
# full-encrypted: file
# full-versions: file@13 s3@17 file@18 s3@19
. "$(dirname "$0")/../lib.sh"
export ASAN_OPTIONS=log_path=$T/sanitizer UBSAN_OPTIONS=log_path=$T/sanitizer # the helper's messages go nowhere
count=$((FULL ? 120 : 40))

step "a base backup, and a row in each of $count segments"
config_write $'[wal-fetch]\nhole_wait = 0\nread_ahead = 8MB'
cp "$CONFIG" one.conf
sed "s|^\[repository here\]|[repository first]\nurl = file://$T/first\n&|" one.conf >two.conf
chmod 600 two.conf
cp two.conf "$CONFIG"
mkdir first
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
write() { # NAME FROM TO: each in a segment of its own, whose name is in segments
    local i statements=()
    for ((i = $2; i <= $3; i++)); do statements+=("insert into t values ($i)" "select $i || ' ' || pg_walfile_name(pg_current_wal_lsn())" "select pg_switch_wal()"); done
    sql "$1" "${statements[@]}" | grep ' ' >>segments
    archived "$1"
}
segment() { sed -n "s/^$1 //p" segments; } # NUMBER
write main 1 $count
cp one.conf "$CONFIG"

expect_status 0 basebackup-fetch -D "$T/base"
restore() { # OPTION...
    rm -rf copy && cp -r base copy
    expect_status 0 recovery-config -D "$T/copy" "$@"
    printf '%s\n' "restore_command = '$PROGRAMS/wal-fetch --config $CONFIG -v %f \"%p\"'" "wal_retrieve_retry_interval = 200ms" >>copy/postgresql.auto.conf
    : >copy.log
}
helpers() { # process ids
    local pid
    for pid in $(pgrep -x wal-fetch-ahead); do ! grep -qsF "$CONFIG" "/proc/$pid/cmdline" || echo "$pid"; done
}
no_helper() { [ -z "$(helpers)" ]; }
helper_ended() {
    wait_until "${1:-5}" "the end of the helper" no_helper
    expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
}
rows() { sql "$1" "select i from t order by 1" | paste -sd' '; }
expect_all() { expect_equal "rows of $1" "$(seq -s' ' 1 "$2")" "$(rows "$1")"; } # NAME LAST
read_ahead() { grep -c 'debug: ".*" was read ahead' copy.log || true; }           # how many
expect_some_ahead() { expect_true "$(read_ahead) were read ahead, at least $1" test "$(read_ahead)" -ge "$1"; }

step "a recovery: whole, mostly read ahead, and nothing is left"
restore
server_start copy
wait_open copy
expect_all copy "$count"
helper_ended
expect_some_ahead $((count / 2))
expect_equal "warnings" "" "$(grep -E "wal-fetch: (warning|error)" copy.log || true)"
server_stop copy

step "two repositories, and the first is away from the middle on, almost to the end: read ahead from the second"
restore
cp two.conf "$CONFIG"
sed -i "s|^restore_command = '|&case %f in $(segment $((count / 3)))) mv $T/first $T/away ;; $(segment $((count - 2)))) mv $T/away $T/first ;; esac; |" copy/postgresql.auto.conf
server_start copy
wait_open copy
expect_all copy "$count"
helper_ended
expect_absent away
while_away=0 # behind the 8 that could be there already
for ((i = count / 3 + 9; i < count - 2; i++)); do while_away=$((while_away + $(grep -c "\"$(segment $i)\" was read ahead" copy.log || true))); done
expect_true "$while_away were read ahead while it was away" test $while_away -ge $((count / 5))
server_stop copy
cp one.conf "$CONFIG"

step "stopped in the middle, in whatever way: the helper ends within a second, with what it has; it goes on from there"
half=$(sql main "select ('0/0'::pg_lsn + $((16#$(segment $((count / 2)) | cut -c 17-24))) * 1048576::numeric)")
restore --target-lsn "$half"
middle() { # it stands in the middle, and has read ahead
    server_start copy
    wait_paused copy
    is_ahead() { [ "$(find state -path '*ahead-*/0*-*' | wc -l)" -ge 4 ]; }
    wait_until 20 "some that are read ahead" is_ahead
}
ends_at_once() {
    local began=${EPOCHREALTIME/./}
    wait_until 5 "the end of the helper" no_helper
    expect_true "within a second (two, on a loaded machine)" test $((${EPOCHREALTIME/./} - began)) -lt "$(slowly 2000000)"
    expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
}
middle
server_stop copy fast
ends_at_once
server_start copy
wait_paused copy
server_stop copy immediate
ends_at_once
middle
postmaster=$(head -1 copy/postmaster.pid)
server_kill copy
ends_at_once
wait_until 20 "the last of the server" test ! -d "/proc/$postmaster"
middle
kill -KILL "$(helpers)" # what it had is dropped by the next server's first call
wait_until 5 "its end" no_helper
server_stop copy
expect_true "left in state_dir" test -n "$(find state -path '*ahead-*/0*-*')"
left=$(cd state && ls -d ahead-*)
sed -i "\$a recovery_target_lsn = ''" copy/postgresql.auto.conf
server_start copy
wait_open copy
expect_absent "state/$left"
helper_ended
expect_all copy "$count"
server_stop copy

step "holes, in the window and behind it, and damage: the recovery stops, and nothing from behind is handed over"
fails_at() { # NUMBER PATTERN
    restore
    server_fails copy "$2"
    wait_until 5 "the end of the helper" no_helper
    expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
    expect_equal "asked for behind $1" 0 "$(grep -c "\"$(segment $(($1 + 1)))\" was read ahead" copy.log || true)"
}
for number in 5 $((count / 2)); do
    key=$(wal_key "$(segment $number)")
    object_get "$key" saved
    object_delete "$key"
    fails_at $number "\"$(segment $number)\" is missing, but .*hole"
    [ $number = 5 ] || { object_put "$key" saved && break; }
    cp saved damaged
    printf 'damage' | dd of=damaged bs=1 seek=$(($(stat -c %s saved) / 2)) conv=notrunc status=none
    object_put "$key" damaged
    fails_at $number "$(segment $number).* is damaged"
    object_put "$key" saved
done
server_start copy
wait_open copy
expect_all copy "$count"
server_stop copy

step "a standby follows, and is promoted; there is no helper at the end of the archive"
restore --standby
server_start copy
has() { [ "$(sql "$1" "select max(i) from t")" = "$2" ]; } # NAME NUMBER
wait_until 60 "what is stored" has copy "$count"
expect_some_ahead $((count / 2))
helper_ended 20
write main $((count + 1)) $((count + 2))
wait_until 60 "what follows" has copy $((count + 2))
expect_all copy $((count + 2))
server_stop main
pg_ctl -D copy -s -w -t 60 promote
wait_open copy
helper_ended
write copy $((count + 3)) $((count + 20))
server_stop copy

step "a recovery across both timelines; one of the first alone" # wound: pgbackrest#2423, #2806
restore
server_start copy
wait_open copy
expect_all copy $((count + 20))
expect_some_ahead $((count / 2 + 10))
helper_ended
server_stop copy
restore --timeline 1
server_start copy
wait_open copy
expect_all copy $((count + 2))
helper_ended
server_stop copy

step "not read ahead: the same"
sed -i 's/^read_ahead.*/read_ahead = 0/' "$CONFIG"
restore
server_start copy
wait_open copy
expect_all copy $((count + 20))
expect_equal "read ahead" 0 "$(read_ahead)"
helper_ended
expect_equal "messages of the sanitizer" "" "$(cat sanitizer.* 2>/dev/null || true)"
