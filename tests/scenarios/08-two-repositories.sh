#!/bin/bash
# goal: with two repositories, what one cannot do the other does: pushes reach both, a dead one holds nobody up, reads take what is whole
# stores: file s3
. "$(dirname "$0")/../lib.sh"

# The first repository, "here", is the store under test; the second, "other", a directory. Each may be changed by words:
#   optional  required = no
#   down      a directory that is not mounted, or a port where nobody listens
#   hanging   a server that accepts connections and never answers
#   blind     its credentials_file is missing, so it cannot even be opened
use() { # NAME[+WORD...]...: writes $CONFIG with these repositories
    local repository
    config_write
    cp "$CONFIG" plain.conf
    sed -n '/^\[repository/q; p' plain.conf >"$CONFIG"
    for repository; do section "$repository" >>"$CONFIG"; done
    printf '[wal-push]\nahead = 0\ntimeout = %s\n[wal-fetch]\ntimeout = %s\nhole_wait = 1\n[basebackup]\njobs = 2\nwal_timeout = 20\nstore_timeout = 2\n' \
        "$limit" "$limit" >>"$CONFIG"
}
limit=3 # seconds for a call; a dead repository takes all of them
section() {
    local name=${1%%+*}
    echo "[repository $name]"
    [[ $1 != *+optional* ]] || echo "required = no"
    if [[ $1 = *+hanging* ]]; then echo "url = s3://nowhere/pg
endpoint = http://127.0.0.1:$(<hanging.port)
access_key = anybody
secret_key = anything"
    elif [[ $1 = *+blind* ]]; then echo "url = s3://nowhere/pg
endpoint = https://127.0.0.1:9
credentials_file = $T/nowhere"
    elif [ "$name" = here ] && [[ $1 = *+down* ]]; then
        sed '1,/^\[repository/d; /^$/d; s|^url = file://.*|&.away|; s|^endpoint.*|endpoint = https://127.0.0.1:9|' plain.conf
    elif [ "$name" = here ]; then sed '1,/^\[repository/d; /^$/d' plain.conf
    elif [[ $1 = *+down* ]]; then echo "url = file://$T/other.away"
    else echo "url = file://$T/other"; fi
}
quick() { expect_true "within the time limit, not $((SECONDS - began)) s" test $((SECONDS - began)) -le "$(slowly $((limit + 2)))"; }
began() { began=$SECONDS; }

step "a server with WAL"
python3 -c 'import socket, sys, time
server = socket.create_server(("127.0.0.1", 0), backlog=200)
print(server.getsockname()[1], flush=True)
time.sleep(3600)' >hanging.port &
wait_until 20 "the server that never answers" test -s hanging.port
use here other
server_create main --wal-segsize=1
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
sql main "create table t (i int)"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sql main "insert into t values ($i)" "select pg_switch_wal()" >/dev/null; done
archived main
echo "archive_command = ''" >>main/postgresql.conf # nobody but us pushes from here on
pg_ctl -D main -s reload
for i in 13 14 15 16; do sql main "insert into t values ($i)" "select pg_switch_wal()" >/dev/null; done
first=$(find main/pg_wal -maxdepth 1 -name '0*' -printf '%f\n' | sort | head -1) first=$((16#${first:16:8}))
S() { printf '0000000100000000%08X' $((first + $1 - 1)); } # NUMBER: a segment's name
in_other() { [ -e "other/$(wal_key "$1")" ]; }
in_here() { object_exists "$(wal_key "$1")"; }
last=$(find main/pg_wal/archive_status -name '*.done' -printf '%f\n' | sort | tail -1) last=$((16#${last:16:8} - first + 1))

step "archive_command stores in both"
for number in 1 $last; do
    expect_true "$number in the first" in_here "$(S $number)"
    expect_true "$number in the second" in_other "$(S $number)"
done
expect_equal "files only in one" "" "$(comm -3 <(object_list | cut -d' ' -f1) <(cd other && find . -type f -printf '%P\n' | LC_ALL=C sort))"

push() { began && expect_status "$1" wal-push "${@:2}" "main/pg_wal/$segment" && quick; } # STATUS [OPTION...]
next() { last=$((last + 1)) segment=$(S $last); }
stored() { # WHERE...: the segment is in these and no other
    local where=
    ! in_here "$segment" || where+=" here"
    ! in_other "$segment" || where+=" other"
    expect_equal "$segment is in" "$*" "${where# }"
}
next # never pushed before

step "a required one is down: 1, but the other has it"
use here+down other && push 1 && stored other
expect_output "here"
use here other+down && push 1 && stored here other
expect_output "other"

step "both are there again: 0, what was missing is stored, the rest is the same"
next
use here other+down && push 1 && stored here
use here other && push 0 && stored here other
push 0 --repository here && stored here other

step "one that is not required is down: 0 with a warning; all down: 1"
next
use here+optional+down other && push 0 && stored other
expect_output 'warning: .*"here"'
rm "other/$(wal_key "$segment")"
use here other+optional+down && push 0 && stored here
expect_output 'warning: .*"other"'
object_delete "$(wal_key "$segment")"
use here+optional+down other+down && push 1
use here+optional+down other+optional+down && push 1
stored

step "--repository: only there, and that one is required"
use here other+optional
push 0 --repository here && stored here
use here other+optional+down
push 1 --repository other
push 2 --repository nowhere
object_delete "$(wal_key "$segment")"

if [ "$STORE" = file ]; then # these two are not the store under test
    step "one that cannot be opened does not keep the other from its file"
    use blind+optional+blind other && push 0 && stored other
    expect_output 'warning: .*"blind"'
    rm "other/$(wal_key "$segment")"
    use blind+blind other && push 1 && stored other
    rm "other/$(wal_key "$segment")"
    step "a dead one that is not required: the others get theirs, whatever the order"
    use hanging+optional+hanging other && push 0 && stored other
    expect_output 'warning: .*"hanging"'
    rm "other/$(wal_key "$segment")"
    use hanging+optional+hanging here && push 0 && stored here
    object_delete "$(wal_key "$segment")"
    use hanging+hanging here && push 1 && stored here # a required dead one: asked again, but the other has it
fi

mkdir -p target/pg_wal target/global
cp main/global/pg_control target/global/
cp main/PG_VERSION target/
touch target/recovery.signal
fetch() { # STATUS NAME [OPTION...]: in recovery
    cd target
    began
    expect_status "$1" wal-fetch "${@:3}" "$2" pg_wal/RECOVERYXLOG
    quick
    cd "$T"
    expect_absent target/pg_wal/RECOVERYXLOG.walferry
    if [ "$1" = 0 ]; then mv target/pg_wal/RECOVERYXLOG fetched; else expect_absent target/pg_wal/RECOVERYXLOG; fi
    [ "$1" != 0 ] || [ ! -e "main/pg_wal/$2" ] || expect_same "$2" "main/pg_wal/$2" fetched
}
both() { object_put "$(wal_key "$1")" "$2" && mkdir -p "other/$(dirname "$(wal_key "$1")")" && cp -f "$2" "other/$(wal_key "$1")"; } # NAME FILE
object_get "$(wal_key "$(S 3)")" third

step "wal-fetch takes what one lacks, or has damaged, from the other; a hole in one is none if the other has the segment"
use here other
fetch 0 "$(S 2)"
object_delete "$(wal_key "$(S 3)")"
fetch 0 "$(S 3)"
fetch 200 "$(S 3)" --repository here # alone it is a hole
expect_output "hole"
fetch 0 "$(S 3)" --repository other
rm "other/$(wal_key "$(S 3)")"
fetch 200 "$(S 3)"
expect_output "hole"
both "$(S 3)" third
cp third damaged && printf '\xa5\x5a' | dd of=damaged bs=1 seek=5000 conv=notrunc status=none
object_put "$(wal_key "$(S 3)")" damaged
fetch 0 "$(S 3)"
expect_output "damaged"
both "$(S 3)" damaged
fetch 200 "$(S 3)"
object_put "$(wal_key "$(S 3)")" third
fetch 0 "$(S 3)"
both "$(S 3)" third
# The last one in the first repository, of which the second has a later one: more WAL lies behind it.
end=$((last - 1))
until in_here "$(S $end)" && in_other "$(S $end)"; do end=$((end - 1)); done
rm -f "other/$(wal_key "$segment")"
use here && push 0 && stored here
object_get "$(wal_key "$(S $end)")" before
object_delete "$(wal_key "$(S $end)")"
rm "other/$(wal_key "$(S $end)")"
use other here
fetch 200 "$(S $end)"
expect_output "$(S $last)"
both "$(S $end)" before

step "'not there' only if all answered, and all are this cluster's home"
absent=$(S $((last + 20)))
use here other && fetch 1 "$absent"
use here other+down && fetch 200 "$absent" && fetch 0 "$(S 2)" && fetch 1 "$absent" --repository here
use here+down other+optional && fetch 200 "$absent" && fetch 0 "$(S 2)"
mkdir other.away # the mount point without its disk
use here other+down && fetch 200 "$absent"
expect_output "cluster.json"
expect_equal "made by a reader" "" "$(ls -A other.away)"
rmdir other.away

if [ "$STORE" = file ]; then
    step "a dead one, or one that cannot be opened, keeps nobody from a file that the other has"
    use hanging+optional+hanging here && fetch 0 "$(S 2)"
    use here hanging+hanging && fetch 0 "$(S 2)"
    use hanging+hanging here && fetch 200 "$absent"
    use blind+blind here && fetch 0 "$(S 2)" && fetch 200 "$absent"
    use here blind+blind && fetch 0 "$(S 2)"
    cp fetched second
    limit=60
    use hanging+hanging here # it gets ten seconds of these, not its half: looked at below
    limit=3
    sed 's/^hole_wait.*/&\nread_ahead = 0/' "$CONFIG" >patient.conf && chmod 600 patient.conf
    (
        cd target
        began=$SECONDS
        wal-fetch --config "$T/patient.conf" "$(S 2)" pg_wal/late 2>"$T/late.log" && echo $((SECONDS - began)) >"$T/late"
    ) &
    late=$!
fi

step "a base backup in both, restored from each"
use here other
sed -i '$d' main/postgresql.conf # the archive_command of before
pg_ctl -D main -s reload
backups() { # the ids in here / other
    object_list | sed -n 's|.*/base/\(.*\)/manifest.json .*|\1|p' | paste -sd' '
    find other -path '*/base/*/manifest.json' | awk -F/ '{ print $(NF - 1) }' | sort | paste -sd' '
}
expect_status 0 basebackup-push --checkpoint=fast
id=$(tail -1 <<<"$output")
expect_equal "backups" "$id
$id" "$(backups)"
expect_status 0 basebackup-list
expect_equal "the id in the two tables" 2 "$(grep -c "^$id" <<<"$output")"
expect_output "repository here"
expect_output "repository other"
for name in here other; do
    expect_status 0 basebackup-fetch --repository $name -D "$T/copy"
    expect_output "from repository \"$name\""
    expect_status 0 pg_verifybackup -n copy
    rm -r copy
done

if [ "$STORE" = file ]; then
    step "what it waited for: of a minute, ten seconds for the one that hangs"
    wait $late || fail "$(cat late.log)"
    expect_same "the segment" second target/pg_wal/late
    expect_true "after ten seconds, not thirty ($(cat late))" test "$(cat late)" -ge 9 -a "$(cat late)" -lt "$(slowly 20)"
fi

step "base backups while one is away: as required or not; a restore takes what there is"
# Archiving goes on undisturbed: PostgreSQL asks for one segment again and again, and what the backup needs may lie behind it.
backup() { # STATUS "IN-HERE IN-OTHER" REPOSITORY[+WORD...]...: with these; so many backups are there afterwards
    use "${@:3}"
    mv "$CONFIG" backup.conf
    use here other
    expect_status "$1" basebackup-push --config "$T/backup.conf" --checkpoint=fast
    expect_equal "number of backups" "$2" "$(backups | awk '{ print NF }' | paste -sd' ')"
}
backup 1 "1 2" here+down other
expect_output 'complete in repository "other"'
backup 0 "2 2" here other+optional+down
expect_output 'warning: .*"other"'
backup 1 "2 2" here+down other+down
if [ "$STORE" = file ]; then
    backup 0 "3 2" blind+optional+blind here
    backup 0 "4 2" hanging+optional+hanging here
fi
wait_until 10 "the end of all sessions" sql_is main 0 "select count(*) from pg_stat_activity where application_name ~ 'basebackup'"
use here+down other && expect_status 1 basebackup-list
expect_output "^$id"
expect_status 0 basebackup-fetch -D "$T/copy"
expect_output 'from repository "other"'
lsn=$(backup_end copy)
expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn" --dry-run
use blind+blind other && expect_status 0 recovery-config -D "$T/copy" --target-lsn "$lsn" --dry-run
use blind+blind other && expect_status 0 recovery-config -D "$T/copy" --target-lsn 0/70000000 --dry-run
expect_output "warning: it is not certain that the target .* can be reached: not all repositories could be asked"
use here+down other+down && expect_status 1 recovery-config -D "$T/copy" --target-lsn "$lsn" --dry-run

step "a recovery does not take one repository's word for the end while the other cannot be asked; --repository is the way out"
use here other+down
expect_status 0 recovery-config -D "$T/copy"
server_fails copy 'warning: repository "other" did not answer'
expect_status 0 recovery-config -D "$T/copy" --repository here
server_start copy
wait_open copy
expect_equal "rows in the copy" 16 "$(sql copy "select count(*) from t")"
