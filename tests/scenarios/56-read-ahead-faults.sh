#!/bin/bash
# goal: wal-fetch reads ahead of whom it should, with one request a segment, and whatever is wrong ahead, or with what was read ahead, is wrong for no call
# stores: none
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
export ASAN_OPTIONS=log_path=$T/sanitizer UBSAN_OPTIONS=log_path=$T/sanitizer # the helper's messages go nowhere

# The server is a process that sleeps, with a postmaster.pid: its calls are made by hand.
server_begins() { # [MODE]
    rm -f target/*.signal target/pg_wal/RECOVERY*
    touch "target/${1:-recovery}.signal"
    sleep 3600 &
    postmaster=$!
    started=$((${started:-1700000000} + 1))
    printf '%s\n' $postmaster "$T/target" $started 5432 >target/postmaster.pid
}
helper_ended() {
    wait_until 10 "the end of the helper" no_helper
    expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
}
server_ends() {
    kill $postmaster
    wait $postmaster || true
    rm target/postmaster.pid
    helper_ended
}
helpers() { # process ids
    local pid
    for pid in $(pgrep -x wal-fetch-ahead); do ! grep -qsF "$CONFIG" "/proc/$pid/cmdline" || echo "$pid"; done
}
no_helper() { [ -z "$(helpers)" ]; }
one_helper() { [ "$(helpers | wc -w)" = 1 ]; }
ahead() { (cd state && find ahead-* -name '0*-*' -printf '%f\n' 2>/dev/null | cut -c 17-24 | sort | paste -sd' '); } # numbers of the segments that are there
has_ahead() { [ "$(ahead | tr -d 0)" = "$*" ]; } # NUMBER...
fetch() { # STATUS NUMBER [TIMELINE]
    local name
    name=$(S "$2" "${3:-1}")
    cd target
    expect_status "$1" wal-fetch --config "$CONFIG" -v "$name" pg_wal/RECOVERYXLOG
    cd "$T"
    if [ "$1" = 0 ]; then
        expect_same "$name" "main/pg_wal/$name" target/pg_wal/RECOVERYXLOG
        expect_equal "owners of the file of $name" 1 "$(stat -c %h target/pg_wal/RECOVERYXLOG)"
        rm target/pg_wal/RECOVERYXLOG
    else
        expect_absent target/pg_wal/RECOVERYXLOG
    fi
}
was_ahead() { grep -q 'debug: ".*" was read ahead$' <<<"$output"; }
fetch_ahead() { fetch 0 "$@" && expect_true "it was read ahead" was_ahead; } # NUMBER
fetch_itself() { fetch 0 "$@" && { ! was_ahead || fail "it was read ahead"; }; } # NUMBER
gets() { requests "GET .*$(S "$1" "${2:-1}") "; } # NUMBER [TIMELINE]
expect_gets() { # COUNT NUMBER...
    local number
    for number in "${@:2}"; do expect_equal "requests for segment $number" "$1" "$(gets "$number")"; done
}

step "an archive of nine segments"
cluster_create
fault_server faults
config_write $'[wal-fetch]\nhole_wait = 0\nread_ahead = 4MB\nparallel = 3'
script
expect_status 0 repository-init
for number in 1 2 3 4 5 6 7 8 9; do expect_status 0 wal-push "main/pg_wal/$(S $number)"; done


step "the second call in a row starts a helper; one request a segment, and a few for what is not there"
script
server_begins
fetch_itself 1
expect_true "no helper for one" no_helper
fetch_itself 2
expect_true "a helper" one_helper
for number in 3 4 5 6 7 8 9; do fetch 0 $number; done
expect_gets 1 1 2 3 4 5 6 7 8 9
missed() { [ "$(gets 10)" -ge 1 ]; }
wait_until 10 "a question for what follows" missed
expect_equal "questions in vain, at most as many as at a time" 1 "$(($(requests "(GET|LIST|HEAD)") - 9 <= 3))"
expect_equal "questions for 10" 1 "$(gets 10)"
fetch 1 10
expect_equal "questions for 10, with that of the call itself" 2 "$(gets 10)"
expect_requests 1 LIST
helper_ended
server_ends

step "not more than the window, on disk or ahead; what was handed over is gone from state_dir"
script
server_begins
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
fetch_ahead 3
wait_until 10 "the next one" has_ahead 4 5 6 7
expect_gets 1 1 2 3 4 5 6 7
expect_gets 0 8 9

step "the server ends: so does the helper, within a second, and removes what it has"
began=$EPOCHREALTIME
server_ends
expect_true "within a second (two, on a loaded machine)" test "$(awk "BEGIN { print int($EPOCHREALTIME - $began) }")" -lt 2

step "a standby that gets one now and then: one request for each, and no helper"
script
server_begins standby
for number in 3 4 5 6; do
    fetch_itself $number
    fetch 1 10
done
expect_true "no helper" no_helper
expect_gets 1 3 4 5 6
expect_gets 0 7 8 9
expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
server_ends

step "damaged in state_dir, or put there by something else: a warning, and it is fetched anew"
others() { # NUMBER: the file that was read ahead
    echo state/ahead-*/"$(S "$1")"-*
}
server_begins
script
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
printf x | dd of="$(others 3)" bs=1 seek=700000 conv=notrunc status=none
truncate -s 1000000 "$(others 4)"
cp "main/pg_wal/$(S 9)" "$(others 5)" # whole, but not the one of that name
rm "$(others 6)"
segment_write 1 foreign # right hash, but another address
cp foreign "state/$(cd state && ls -d ahead-*)/$(S 6)-$(xxh128sum foreign | cut -d' ' -f1)"
for number in 3 4 5 6; do
    fetch_itself $number
    expect_output "warning: what was read ahead of \"$(S $number)\" cannot be used"
done
fetch 0 7
server_ends

step "PATH cannot be replaced by it: an error, and no file for it anywhere"
server_begins
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
mkdir target/pg_wal/RECOVERYXLOG
cd target
expect_status 200 wal-fetch --config "$CONFIG" "$(S 3)" pg_wal/RECOVERYXLOG
cd "$T"
expect_output "is a directory"
expect_output "could not put what was read ahead in place as \"pg_wal/RECOVERYXLOG\""
rmdir target/pg_wal/RECOVERYXLOG
expect_equal "names for it" "" "$(find target -name '*RECOVERY*')"
fetch_itself 3
server_ends

step "a position that no segment of this size can have: nothing is read ahead of it, until the next call"
server_begins
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
sed "1s/.*/0000000100000000FFFFFFFF/" state/ahead-*/position >position
mv position state/ahead-*/
wait_until 10 "what is not behind it is dropped" has_ahead
expect_true "the helper is there" one_helper
fetch_itself 3
wait_until 10 "the next four segments" has_ahead 4 5 6 7
server_ends

step "a path that only the call's own working directory explains: nobody reads ahead elsewhere"
server_begins
cp "$CONFIG" good.conf
touch credentials && chmod 600 credentials
sed -i 's|^access_key.*|&\ncredentials_file = ../credentials|' "$CONFIG"
for number in 1 2 3; do fetch_itself $number; done
expect_true "no helper" no_helper
cp good.conf "$CONFIG"
server_ends

step "of another recovery, repository, directory or server: never looked at, and dropped" # wound: wal-g#904; plugin-barman-cloud#1007; pgbackrest#1357, #2768
server_begins
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
foreign=$(cd state && ls -d ahead-*)
cp -r "state/$foreign" stolen
sed -i '2s/.*/1 1/' stolen/position # of a server that does not run
server_ends
steal() { # NAME: what was read ahead by another lies there, well named, but with other content
    local file
    rm -rf "state/$1" && cp -r stolen "state/$1"
    for file in "state/$1"/0*; do cp "main/pg_wal/$(S 9)" "$file"; done
}
steal "$foreign"
steal ahead-0123456789abcdef
server_begins
fetch_itself 1
fetch_itself 2 # begins to read ahead
expect_absent "state/$foreign" state/ahead-0123456789abcdef
fetch_ahead 3
server_ends

step "asked for while it is being fetched: the call waits, and there is one request; so does one whose helper gives up"
server_begins
script "GET *$(S 3) 1 1 drip=100000" # a second
fetch 0 1 && fetch 0 2
is_asked() { [ "$(gets 3)" = 1 ]; }
wait_until 10 "a request for the third" is_asked
fetch_ahead 3
expect_gets 1 3
server_ends
server_begins
sed -i '/^hole_wait/itimeout = 4' "$CONFIG"
script "GET *$(S 3) 1 1 hang=middle" # for the helper
fetch 0 1 && fetch 0 2
wait_until 10 "a request for the third" is_asked
began=$EPOCHREALTIME
fetch_itself 3
expect_true "before the call's time is up" test "$(awk "BEGIN { print int($EPOCHREALTIME - $began) }")" -lt 4
expect_gets 2 3
for number in 4 5; do fetch 0 $number; done
server_ends

step "a line so slow that it is late: the helper ends, and the call, which has the line and all of its time for itself, fetches it"
server_begins
script "GET *$(S 3) 1 2 drip=33000" # 3.2 s, and the call has 4
fetch 0 1 && fetch 0 2
fetch_itself 3
expect_gets 2 3
helper_ended
for number in 4 5; do fetch 0 $number; done
server_ends

step "what a call fetches itself is not fetched by the helper, too"
server_begins
script "GET *$(S 3) 1 1 drip=300000" "GET *$(S 5) 1 1 drip=100000"
fetch 0 1 && fetch 0 2
fetch_itself 5 # meanwhile the helper gets 3, and comes to 5
wait_until 10 "what follows" has_ahead 6 7 8 9
expect_gets 1 3 4 5 6 7 8 9
server_ends

step "the store fails while it is read ahead, or what it has is damaged: nothing is said, and the call that asks finds out" # wound: plugin-barman-cloud#516, #603
sed -i 's/^timeout = 4/timeout = 1/' "$CONFIG"
for fault in status=503\ code=SlowDown reset=answer garble status=403\ code=AccessDenied; do
    echo "-- $fault"
    server_begins
    script "GET *$(S 5) 1 - $fault"
    fetch 0 1 && fetch 0 2
    for number in 3 4; do fetch 0 $number; expect_equal "warnings" "" "$(grep -E "warning|error" <<<"$output" || true)"; done
    fetch 200 5
    helper_ended
    script
    for number in 5 6 7; do fetch 0 $number; done
    server_ends
done
sed -i 's/^timeout = 1/timeout = 4/' "$CONFIG"

step "a hole: nothing from behind it is handed over, or stays"
server_begins
objects=$T/faults/objects/$S3_BUCKET/$S3_PREFIX
mv "$objects/$(wal_key "$(S 6)")" saved
script
fetch 0 1 && fetch 0 2
for number in 3 4 5; do fetch 0 $number; done
wait_until 10 "a place without anything from behind it" has_ahead
fetch 200 6
expect_output "a hole, not the end"
helper_ended
mv saved "$objects/$(wal_key "$(S 6)")"
for number in 6 7 8 9; do fetch 0 $number; done
server_ends

step "never past the end of the timeline that the recovered one left, nor past the accepted end"
expect_status 0 wal-push main/pg_wal/00000002.history # it left in segment 5
expect_status 0 wal-push "main/pg_wal/$(S 6 2)"
cp main/pg_wal/00000002.history target/pg_wal/
server_begins
script
fetch 0 1 && fetch 0 2
wait_until 10 "two segments" has_ahead 3 4
for number in 3 4; do fetch_ahead $number; done
expect_gets 0 5 6 7
fetch_itself 6 2
expect_true "the helper goes on on the second timeline" one_helper
asked_next() { [ "$(gets 7 2)" = 1 ]; }
wait_until 10 "a question for what follows there" asked_next
server_ends
rm target/pg_wal/00000002.history
server_begins
sed -i "\$a end_at = $(S 5)" "$CONFIG"
script
fetch 0 1 && fetch 0 2
wait_until 10 "two segments" has_ahead 3 4
for number in 3 4; do fetch_ahead $number; done
fetch 1 5
helper_ended
expect_gets 0 5 6
sed -i '/^end_at/d' "$CONFIG"
server_ends

step "the helper is killed: what it has is taken, another one begins; what is left goes with the next server"
server_begins
script "GET *$(S 5) 1 - drip=50000"
fetch 0 1 && fetch 0 2
wait_until 10 "three segments" has_ahead 3 4 6
half() { compgen -G "state/ahead-*/$(S 5).part"; }
wait_until 10 "half of another" half
kill -KILL "$(helpers)"
wait_until 10 "its end" no_helper
script
fetch_ahead 3
expect_true "another helper" one_helper
fetch_ahead 4
fetch_ahead 5
expect_gets 0 3 4 6
expect_gets 1 5
wait_until 10 "the rest" has_ahead 6 7 8 9
kill -KILL "$(helpers)"
wait_until 10 "its end" no_helper
kill $postmaster && wait $postmaster || true
left=$(cd state && ls -d ahead-*)
expect_true "it is left behind" test "$(find state -name '0*-*' | wc -l)" = 4
expect_equal "not in docs/leftovers.md" "" "$(find state -path '*ahead-*' -printf '%P\n' |
    grep -Evx "$(sed -n 's/^state  *\(ahead.*\)/\1/p' "$SOURCE/docs/leftovers.md")" || true)"
server_begins
fetch_itself 1
fetch_itself 2
expect_equal "left of the killed one" "" "$(find state -path "state/$left/*")"
server_ends

step "told to end by a signal it ends with what it has; a call that waits for it is killed, and nothing is amiss"
server_begins
fetch 0 1 && fetch 0 2
for signal in TERM HUP INT QUIT; do
    wait_until 10 "a helper" one_helper
    kill -$signal "$(helpers)"
    helper_ended
    fetch 0 3 && fetch 0 4
done
server_ends
server_begins
script "GET *$(S 3) 1 1 drip=80000"
fetch 0 1 && fetch 0 2
(cd target && exec wal-fetch --config "$CONFIG" "$(S 3)" pg_wal/RECOVERYXLOG) &
call=$!
wait_until 10 "a request for segment 3" is_asked
kill -KILL $call
wait $call || true
expect_absent target/pg_wal/RECOVERYXLOG
fetch_ahead 3
expect_gets 1 3
server_ends

step "the recovery ends: the signal file goes, or the server asks for what comes behind the point of no return"
server_begins
script
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
rm target/recovery.signal
helper_ended
kill $postmaster && wait $postmaster || true
server_begins
fetch 0 1 # no helper yet
rm target/recovery.signal
fetch 1 1 2
expect_equal "left in state_dir" "" "$(ls -d state/ahead-* 2>/dev/null || true)"
server_ends

step "state_dir on another file system, on another mount of the same one (no name can be moved there), on one that is full; none"
inside() { unshare --user --map-current-user --keep-caps --mount "$@"; }
on_mount() { # HOW-MANY MOUNT-ARGUMENTS...: so many of segments 3 and 4 are read ahead
    local count=$1
    shift
    server_begins
    mkdir -p small
    inside bash -Eeuo pipefail -c "mount $* small; . ./inside.sh; cd target
        for name in $(S 1) $(S 2) $(S 3) $(S 4); do fetch \$name; done
        kill $postmaster
        for _ in \$(seq 100); do compgen -G '../small/state/ahead-*/0*' || exit 0; sleep 0.1; done; exit 1" >said 2>&1 || { cat said; fail "with $*"; }
    cat said
    wait $postmaster || true
    expect_equal "with $*: read ahead" "$count" "$(grep -c "was read ahead\$" said || true)"
    expect_equal "with $*: warnings" "${damaged:+1}" "$(grep -Ec "warning|error" said | grep -vx 0 || true)"
    wait_until 10 "the end of the helper" no_helper
    rm -rf small
}
if inside true 2>/dev/null; then
    script
    cp "$CONFIG" good.conf
    sed -i "s|^state_dir.*|state_dir = $T/small/state|" "$CONFIG"
    cat >inside.sh <<'SH'
damage() { # NAME: what was read ahead
    for _ in $(seq 100); do ! compgen -G "../small/state/ahead-*/$1-*" >file || break; sleep 0.1; done
    printf x | dd of="$(cat file)" bs=1 seek=700000 conv=notrunc status=none
}
fetch() { [ "$1" != "${damaged:-}" ] || damage "$1"; wal-fetch --config "$WALFERRY_CONFIG" -v "$1" pg_wal/RECOVERYXLOG 2>&1 && cmp pg_wal/RECOVERYXLOG "../main/pg_wal/$1"; }
SH
    on_mount 2 -t tmpfs -o size=20m,mode=700 small
    export damaged
    damaged=$(S 3) on_mount 1 -t tmpfs -o size=20m,mode=700 small
    damaged=''
    on_mount 2 --bind small
    on_mount 0 -t tmpfs -o size=6m,mode=700 small
    cp good.conf "$CONFIG"
else
    echo "not tried: user and mount namespaces are not to be had here"
fi
chmod 755 state
server_begins
for number in 1 2 3; do fetch_itself $number; done
server_ends
chmod 700 state

step "read_ahead = 0: never; also when it is set while a helper is at work; a window shorter than a segment"
server_begins
script
fetch 0 1 && fetch 0 2
wait_until 10 "four segments" has_ahead 3 4 5 6
sed -i 's/^read_ahead.*/read_ahead = 0/' "$CONFIG"
fetch_itself 3
helper_ended
for number in 4 5 6; do fetch_itself $number; done
expect_true "no helper" no_helper
sed -i 's/^read_ahead.*/read_ahead = 1023kB/' "$CONFIG"
for number in 4 5 6; do fetch_itself $number; done
expect_true "no helper" no_helper
server_ends
step "what a miss costs does not depend on the place in the archive"
sed -i 's/^read_ahead.*/read_ahead = 0/' "$CONFIG"
kept=faults/objects/$S3_BUCKET/$S3_PREFIX/main/$system/wal/0000000100000000
server_begins
for number in {10..300}; do : >"$kept/$(S $number)"; done # they are listed, not read
for number in 16 255 256 257 258 259; do
    mv "$kept/$(S $number)" .
    script
    fetch 200 $number
    expect_requests 1 "LIST"
    mv "$(S $number)" "$kept/"
done
server_ends
expect_equal "messages of the sanitizer" "" "$(cat sanitizer.* 2>/dev/null || true)"
