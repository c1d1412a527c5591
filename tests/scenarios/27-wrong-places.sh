#!/bin/bash
# goal: in a wrong place nothing is "not there": no recovery opens, no standby promotes itself, the server keeps its WAL; put right, all goes on
# stores:
# turns: file s3
. "$(dirname "$0")/../lib.sh"

# A place goes wrong and comes right again: PLACE wrong, PLACE right. Configuration and repository serve all three servers.
change() { cp -p "$CONFIG" "$CONFIG.good" && cp -p "$CONFIG" next.conf && sed -i "$1" next.conf && mv next.conf "$CONFIG"; } # never without it
mistyped() { if [ "$1" = wrong ]; then change 's|^url = .*|&x|'; else mv "$CONFIG.good" "$CONFIG"; fi; }
foreign() { if [ "$1" = wrong ]; then change "s|^url = .*|$(grep '^url' foreign.conf)|"; else mv "$CONFIG.good" "$CONFIG"; fi; }
emptied() {
    case $1.$STORE in
    wrong.file) cp -rl repository away && find repository -type f -delete ;;
    right.file) cp -rln away/. repository/ && rm -r away ;;
    wrong.s3) s3 move "" "$aside" ;;
    right.s3) s3 -b "$aside" move "" "$S3_BUCKET" ;;
    esac
}
unmounted() { if [ "$1" = wrong ]; then mv repository away && mkdir repository; else rmdir repository && mv away repository; fi; }
unreadable() { if [ "$1" = wrong ]; then chmod 0 repository/main; else chmod 700 repository/main; fi; }
gone() { if [ "$1" = wrong ]; then emptied wrong && bucket_request DELETE ""; else s3 make-bucket "$S3_BUCKET" && emptied right; fi; }
ungranted() {
    if [ "$1" = wrong ]; then
        policy >policy.json
        change "s|^access_key.*|access_key = $S3_GUEST_ACCESS_KEY|; s|^secret_key.*|secret_key = $S3_GUEST_SECRET_KEY|"
    else policy ', {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::'"$S3_BUCKET"'"}' >policy.json; fi
    bucket_request PUT '?policy' policy.json
}
bucket_request() { expect_equal "status of $*" 20 "$(s3 request "$@" | head -c 2)"; }
policy() { # [STATEMENT]
    printf '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "Resource": "arn:aws:s3:::%s/*"}%s]}' "$S3_BUCKET" "${1:-}"
}

step "a primary with a base backup, a restored copy and a standby, all with one repository"
if [ "$STORE" = s3 ]; then
    export S3_BUCKET=places-$SEED aside=aside-$SEED
    s3 make-bucket "$S3_BUCKET"
    s3 make-bucket "$aside"
fi
config_write $'[wal-fetch]\ntimeout = 3\nstandby_timeout = 1\nhistory_wait = 1\nswitch_wait = 2\nhole_wait = 1\n[wal-push]\ntimeout = 3'
server_create foreign
sed "s|^pgdata = .*|pgdata = $T/foreign|; s|^url = .*|&-foreign|" "$CONFIG" >foreign.conf && chmod 600 foreign.conf
expect_status 0 repository-init --config "$T/foreign.conf"
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
expect_status 0 basebackup-push --checkpoint=fast
rows=0
write() { rows=$((rows + 1)) && sql main "insert into t values ($rows)" && segment=$(sql main "select pg_walfile_name(pg_switch_wal())"); }
has_row() { sql_is "$1" "$rows" "select max(i) from t"; } # NAME: the newest
for _ in 1 2 3; do write; done
archived main
for name in copy standby spare; do expect_status 0 basebackup-fetch -D "$T/$name"; done
expect_status 0 recovery-config -D "$T/copy"
expect_status 0 recovery-config -D "$T/standby" --standby
echo "wal_retrieve_retry_interval = 200ms" >>standby/postgresql.conf
server_start standby
wait_until 30 "the newest row on the standby" has_row standby

count() { grep -Ec -- "$1" standby.log || true; }
standby_asks() { # it stays up, and asks again
    local so_far
    so_far=$(count "warning: could not ask for")
    wait_until 30 "two more questions of the standby" eval "[ \$(count 'warning: could not ask for') -ge $((so_far + 2)) ]"
    expect_true "the standby is one" sql_is standby t "select pg_is_in_recovery()"
}
standby_stops() {
    wait_until 30 "the end of the standby" server_is_gone standby
    expect_true "FATAL" grep -q "FATAL: *could not restore file" standby.log
    expect_true "its log says why" grep -Eq -- "$1" standby.log
}
failed_pushes() { sql main "select failed_count from pg_stat_archiver"; }
archiver_fails() { # the segment is kept, and counted as failed
    local so_far
    so_far=$(failed_pushes)
    write
    wait_until 30 "a failure of archive_command" eval "[ \$(failed_pushes) -gt $so_far ]"
    expect_true "the server counts it for that segment" sql_is main t "select last_failed_wal <= '$segment' and last_archived_wal < '$segment' from pg_stat_archiver"
    expect_true "the server keeps it" test -e "main/pg_wal/$segment" -a -e "main/pg_wal/archive_status/$segment.ready"
    expect_true "its log says why" grep -Eq -- "$1" main.log
}
archiver_works() { write && archived main; }
archiver_forgets() { # what wal-push and wal-fetch saw of the place is believed for an hour and for five minutes
    archiver_works
    touch -d '2 hours ago' state/*
    archiver_fails "$1"
}
# misplaced PLACE ARCHIVER STANDBY PATTERN
misplaced() {
    local place=$1
    step "$place"
    : >main.log
    : >standby.log
    $place wrong
    "archiver_$2" "$4"
    expect_status 1 basebackup-push --checkpoint=fast
    expect_output "$4"
    if [ "$place" = foreign ]; then # which lists its own backups
        expect_status 0 basebackup-list
        expect_output "no .*backup"
        expect_status 1 basebackup-fetch -D "$T/never"
        expect_output "no .*backup"
    else
        expect_status 1 basebackup-list
        expect_output "$4"
        expect_status 1 basebackup-fetch -D "$T/never"
        expect_output "$4"
    fi
    expect_status 1 recovery-config -D "$T/spare" --target-time "$(date -u '+%F %T')+00"
    expect_output "$4"
    expect_absent never spare/recovery.signal
    expect_status 1 repository-check
    server_fails copy "$4"
    "standby_$3" "$4"
    expect_equal "promotions" "" "$(grep "selected new timeline" standby.log copy.log || true)"
    $place right
    expect_status 0 repository-check
    write
    archived main
    expect_equal "left to be archived" "" "$(find main/pg_wal/archive_status -name '*.ready')"
    [ "$3" = asks ] || server_start standby
    wait_until 30 "the newest row on the standby" has_row standby
}
misplaced mistyped fails "$([ "$STORE" = file ] && echo asks || echo stops)" "no walferry repository here|is not there"
misplaced foreign fails stops "the home of another cluster" # wound: plugin-barman-cloud#263, barman#11
if [ "$STORE" = file ]; then
    misplaced emptied fails stops "no walferry repository here"
    misplaced unmounted fails stops "no walferry repository here"
    misplaced unreadable fails asks "Permission denied"
else
    misplaced emptied forgets stops "no walferry repository here"
    misplaced gone fails asks "NoSuchBucket"
    # Swift has no policies
    [ "$S3_SERVER" = swift ] || misplaced ungranted works asks "s3:ListBucket"
fi

step "emptied in the middle of a recovery: no end of the WAL either"
server_stop standby # its answers are not to be this recovery's
third=$(object_list | sed -n 's|^main/.*/wal/0000000100000000/\([0-9A-F]*\) .*|\1|p' | tail -3 | head -1)
sed 's/^hole_wait = .*/&\nread_ahead = 0/' "$CONFIG" >alone.conf && chmod 600 alone.conf # what was read ahead would be handed over
{
    printf '#!/bin/bash\nhere=%s\n' "$here"
    declare -f emptied s3
    printf '[ "$1" != %s ] || (cd %s && emptied wrong)\nexec %s/wal-fetch --config %s "$@"\n' "$third" "$T" "$PROGRAMS" "$T/alone.conf"
} >fetch
chmod 700 fetch
cp copy/postgresql.auto.conf before.conf
echo "restore_command = '$T/fetch %f \"%p\"'" >>copy/postgresql.auto.conf
server_fails copy "no walferry repository here"
expect_true "WAL before it was replayed" grep -q 'restored log file "0' copy.log
expect_equal "$third was" 0 "$(grep -c "restored log file \"$third" copy.log || true)"
emptied right
cp before.conf copy/postgresql.auto.conf
server_start standby

step "a promotion in a wrong place ends the standby, unpromoted; put right, it follows on, and is promoted"
mistyped wrong
[ "$STORE" = s3 ] || mkdir repositoryx
pg_ctl -D standby -s -w -t 20 promote || true
standby_stops "no walferry repository here"
expect_true "still a standby" test -e standby/standby.signal
mistyped right
write
archived main
server_start standby
wait_until 30 "the newest row on the standby" has_row standby
expect_true "the standby is one" sql_is standby t "select pg_is_in_recovery()"
server_stop main
pg_ctl -D standby -s -w -t 60 promote
wait_open standby
expect_equal "rows" "$rows" "$(sql standby "select count(*) from t")"
archived standby
expect_true "its timeline is in the archive" object_exists "$(wal_key 00000002.history)"

step "the copy, which no wrong place opened, recovers all there is"
server_start copy
wait_open copy
expect_equal "rows" "$rows" "$(sql copy "select count(*) from t")"
server_stop copy

step "emptied for good, as docs/exit-status.md has it: a new repository, a base backup at once, and it serves"
emptied wrong
touch -d '2 hours ago' state/*
change "s|^conninfo.*|conninfo = host=$T/run/standby user=postgres|; s|^pgdata.*|pgdata = $T/standby|"
sql standby "insert into t values ($((rows + 1)))" "select pg_switch_wal()" >/dev/null
wait_until 30 "a failure of archive_command" sql_is standby t "select failed_count > 0 from pg_stat_archiver"
sed -n '/^\*\*"There is no walferry repository here"/,/^$/p' "$SOURCE/docs/exit-status.md" >page
expect_equal "commands on the page" "repository-init basebackup-push" "$(grep -o '`[a-z]*-[a-z]*`' page | tr -d '`' | paste -sd' ')"
expect_status 0 repository-init
expect_status 0 basebackup-push --checkpoint=fast
sql standby "insert into t values ($((rows + 2)))"
archived standby
rm -rf copy
expect_status 0 basebackup-fetch -D "$T/copy"
expect_status 0 recovery-config -D "$T/copy"
server_start copy
wait_open copy
expect_equal "rows" $((rows + 2)) "$(sql copy "select count(*) from t")"
