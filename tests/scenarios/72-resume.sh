#!/bin/bash
# goal: a backup that was killed is gone on with: what is stored and still the same is taken over, what is not is sent again, and the result is whole
# stores: s3
# encrypted: s3
# full-stores: file
. "$(dirname "$0")/../lib.sh"

use() { # [LINES]: the repository under test and a directory, with other codecs
    config_write "codec = none
[repository packed]
url = file://$T/packed
codec = zstd
level = 3
[basebackup]
jobs = 2
split_size = 3MB
${1:-}"
}
notes() { find state -name 'backup-*' -printf '%f\n' | sort; }
parts_noted() { cat state/backup-*.index-1 2>/dev/null | awk '/^{"part"/ { n++ } /"of":/ { n-- } END { print n + 0 }'; } # of whole files
pieces() { awk -F'"' -v large="$large" '/^{"part"/ { part = $4 } $4 == large { print part }'; } # parts of $large
has_parts() { [ "$(parts_noted)" -ge "$1" ]; }
interrupt() { # SIGNAL PARTS: a backup is ended when so many parts of whole files were stored, with 3 also $large; $old: its id
    local push
    basebackup-push --checkpoint=fast --no-resume --jobs 1 >push.log 2>&1 &
    push=$!
    until has_parts "$2" && { [ "$2" -lt 3 ] || grep -q "\"$large\".*\"of\":" state/backup-*.index-1; }; do sleep 0.05 && [ -e "/proc/$push" ] || fail "it ended too early: $(<push.log)"; done
    kill "-$1" $push
    wait $push && fail "it was not interrupted" || true
    old=$(grep -o 'backup [0-9A-Z-]* begins' push.log | cut -d' ' -f2)
    expect_true "a note of $old" test -e "state/backup-$old.json"
}
gone_on() { # [OPTION...]: the next backup; $id, and $taken: how many parts were taken over
    expect_status 0 basebackup-push --checkpoint=fast "$@"
    id=$(tail -1 <<<"$output")
    taken=$(sed -n 's/.* \([0-9]*\) of [0-9]* parts of backup .* are taken over.*/\1/p' <<<"$output")
    expect_equal "notes that are left" "" "$(notes)"
}
calm() { # NAME: the tables of database calm, and a sum over each
    local sums
    sums=$(PGDATABASE=calm sql "$1" "select format('select %L, sum(hashtext(x::text)) from %I x', relname, relname) from pg_class where relkind = 'r' and relname ~ '^t[0-9]|new' order by 1" | sed "s|$|;|")
    PGDATABASE=calm sql "$1" "$sums"
}
restored() { # REPOSITORY: $id is whole there, and recovers to what the ledger says
    rm -rf copy moved
    expect_status 0 basebackup-fetch --quiet --repository "$1" --backup "$id" -D "$T/copy" -T "$T/one=$T/moved"
    expect_status 0 pg_verifybackup -n -q copy
    [ -z "${2:-}" ] || return 0
    expect_status 0 recovery-config -D "$T/copy"
    server_start copy
    wait_open copy
    ledger_acknowledged "$life" >acknowledged
    ledger copy >found
    expect_equal "acknowledged commits that are lost" "" "$(comm -23 <(grep "^$life|" acknowledged | LC_ALL=C sort) <(LC_ALL=C sort found))"
    calm main >expected && calm copy >found
    expect_same "tables" expected found
    server_stop copy
}

step "a server with some 40 MB in many tables, under load"
use
mkdir packed one
server_create main --wal-segsize=1 --data-checksums
expect_status 0 repository-init
printf "autovacuum = off\nmax_wal_size = 4GB\nwal_compression = on\n" >>main/postgresql.conf # autovacuum would change what is to stay as it is
server_start main
system=$(system_identifier main)
sql main "alter system set archive_command = '/bin/true'" "select pg_reload_conf()" >/dev/null # this WAL is nobody's
sql main "create tablespace one location '$T/one'" "create database calm" # whose parts no other's files spoil
for i in $(seq 24); do
    echo "create table t$i $([ $((i % 4)) != 0 ] || echo tablespace one) as select i, repeat(md5(i::text || '$i'), 8) as a, md5(random()::text) as b from generate_series(1, 4000) i;"
done | psql -X -q -h "$T/run/main" calm
PGDATABASE=calm sql main "create table t25 as select i, repeat(md5(i::text), 9) from generate_series(1, 40000) i" # in pieces
large=$(PGDATABASE=calm sql main "select pg_relation_filepath('t25')")
pgbench -i -q -n -h "$T/run/main" >pgbench.log 2>&1
ledger_create main
PGDATABASE=calm sql main "vacuum freeze"
sql main "vacuum freeze" "select pg_switch_wal()" checkpoint "alter system reset archive_command" >/dev/null
archived main
sql main "select pg_reload_conf()" >/dev/null

step "killed: what is stored is taken over"
life=1
ledger_start main $life
interrupt KILL 3
gone_on
expect_true "parts were taken over ($taken)" test "$taken" -ge 1
ledger_stop
archived main
restored here
restored packed quick
if [ "$STORE" = file ]; then
    expect_equal "parts that the directory has once" "$taken" \
        "$(find "repository/main/$system/base/$id" -type f -links 2 | wc -l)"
fi
pieces=$(zstd -dcq "packed/main/$system/base/$id/files" | pieces)
expect_true "t25 is in pieces" test "$(wc -w <<<"$pieces")" -ge 4
expect_equal "all of the pieces were taken over" 2 "$(for part in $pieces; do stat -c %h "packed/main/$system/base/$id/$part"; done | sort -u)"

step "a part is missing, one is cut short, one is damaged in a directory: sent again"
interrupt KILL 3
mapfile -t split < <(pieces <"state/backup-$old.index-1")
mapfile -t stored < <(object_list | sed -n "s|^\(main/$system/base/$old/main-[0-9]*\) .*|\1|p" | grep -vF "$(printf '/%s\n' "${split[@]}")" | tail -2)
object_delete "${stored[0]}"
object_get "${stored[1]}" cut && truncate -s -1000 cut && object_put "${stored[1]}" cut
printf XXXX | dd of="packed/main/$system/base/$old/${split[1]}" bs=1 seek=5000 conv=notrunc status=none
gone_on
expect_output "$old/${split[1]}\" is damaged; its files are sent again"
expect_true "$taken parts were taken over, these and the other pieces not among them" test "$taken" -le $(($(grep -o 'of [0-9]* parts' <<<"$output" | cut -d' ' -f2) - 2 - ${#split[@]}))
restored here quick
restored packed quick

step "files have other content meanwhile, of the same size"
interrupt KILL 3
for i in $(seq 24); do echo "delete from t$i where i = 7;"; done | psql -X -q -h "$T/run/main" calm
sql main checkpoint
gone_on
archived main
restored here

step "files have grown, are gone or are new"
interrupt KILL 3
PGDATABASE=calm sql main "update t23 set a = 'changed'" "drop table t1" "vacuum full t2" "create table new as select generate_series(1, 1000)" checkpoint
gone_on
archived main
restored here
restored packed quick

step "without resuming"
sql main "drop database calm" # less to wait for
interrupt TERM 1
gone_on --no-resume
expect_equal "parts taken over" "" "$taken"
expect_equal "no second name" 0 "$(find packed/main/*/base/"$id" -type f -links 2 | wc -l)"

[ "$STORE" = file ] || exit 0 # what follows is not decided by the store

step "what is still running is not touched, and what is old or another's is left alone"
basebackup-push --checkpoint=fast >push.log 2>&1 &
push=$!
wait_until 60 "a part" has_parts 1
expect_status 0 basebackup-push --checkpoint=fast
expect_equal "taken over from one that runs" "" "$(grep "taken over" <<<"$output" || true)"
wait $push || fail "the other one failed: $(cat push.log)"
expect_equal "notes that are left" "" "$(notes)"
interrupt KILL 1
cp -r state state.kept
use "resume_age = 1"
sleep 2
gone_on
expect_output "$old has stored is not taken over: it is older than resume_age allows"
rm -rf state && cp -r state.kept state
use
sed -i '/^\[repository packed/,/^level = 3/d' "$CONFIG"
gone_on
expect_output "$old has stored is not taken over: it went to other repositories"
rm -rf state && cp -r state.kept state
use
echo torn >>"state/backup-$old.json"
gone_on
expect_output "$old has stored is not taken over: what is known of it is malformed"
rm -rf state && cp -r state.kept state
head -c -100 "state.kept/backup-$old.index-0" >"state/backup-$old.index-0"
gone_on
restored here quick
rm -rf state && cp -r state.kept state
server_create other --wal-segsize=1
server_start other
sed "s|= $T/main|= $T/other|; s|$T/run/main|$T/run/other|" "$CONFIG" >other.conf && chmod 600 other.conf
expect_status 0 repository-init --config "$T/other.conf" --add-generation
sed -i "s|$CONFIG|$T/other.conf|" other/postgresql.conf && pg_ctl -D other -s reload
gone_on --config "$T/other.conf"
expect_output "$old has stored is not taken over: it was of another system"
