#!/bin/bash
# goal: killed at random instants under load, every program: no false success, nothing half visible, the next call succeeds, the ledger is exact
# stores:
# turns: file s3
# full-encrypted: file
# limit: 300
. "$(dirname "$0")/../lib.sh"
ulimit -c 0
kills=$((FULL ? 200 : 20))
part() { echo $(((kills * $1 + 99) / 100)); } # PERCENT: of the kills

# strike COMMAND...: at a random instant of its life one of SIGKILL, SIGTERM and SIGQUIT, as long as strikes.PROGRAM holds a number above
# zero; two calls in three. A call that was left alone tells how long a life is. It ends as the command ended, except for
# archive_command: PostgreSQL restarts its archiver after a signal, and waits ten seconds before.
cat >strike.py <<'PY'
import os, random, signal, subprocess, sys, time
home, command = os.path.dirname(os.path.abspath(sys.argv[0])), sys.argv[1:]
program = os.path.basename(command[0])
path = lambda name: f"{home}/{name}.{program}"
def number(name, default):
    try:
        return float(open(path(name)).read())
    except (OSError, ValueError):
        return default
calls = open(f"{home}/struck").read().count(program)
random.seed(f"{os.environ.get('SEED')} {program} {calls}")
left, life = int(number("strikes", 0)), number("life", 0)
began = time.monotonic()
child = subprocess.Popen(command)
what = random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT]) if left > 0 and life > 0 and random.random() < 0.7 else None
def forward(number, _):
    child.send_signal(number)
signal.signal(signal.SIGTERM, forward), signal.signal(signal.SIGQUIT, forward)
if what:
    try:
        child.wait(random.random() * life * 1.1)
        what = None
    except subprocess.TimeoutExpired:
        child.send_signal(what)
status = child.wait()
if status >= 0 and what is None:
    with open(path("life") + f".{os.getpid()}", "w") as file:
        file.write(str(time.monotonic() - began))
    os.rename(file.name, path("life"))
if what:
    with open(path("strikes") + f".{os.getpid()}", "w") as file:
        file.write(str(left - 1))
    os.rename(file.name, path("strikes"))
with open(f"{home}/struck", "a") as file:
    file.write(f"{program} {what.name if what else '-'} {status} {command[-1] if program == 'wal-push' else ''}\n")
if status < 0 and program != "wal-push":
    for one in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(one, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status if status >= 0 else 1)
PY
: >struck
strikes() { echo "$2" >"strikes.$1"; } # PROGRAM NUMBER
strikes_left() { cat "strikes.$1" 2>/dev/null || echo 0; }
used_up() { [ "$(strikes_left "$1")" -le 0 ]; }
strike() { # COMMAND...: sets $status and $output
    status=0
    output=$(python3 "$T/strike.py" "$@" 2>&1) || status=$?
}
# What a call that was struck may end with; 0 only when it is done, which the caller looks at.
expect_struck() { # WHAT
    case $status in
    0 | 131 | 137 | 143) ;;
    *) fail "$1, struck: status $status: $output" ;;
    esac
}

step "a server under load, whose archive_command is killed"
config_write $'[basebackup]\njobs = 2\n[wal-push]\ntimeout = 60'
server_create main --wal-segsize=1
echo "archive_command = 'python3 $T/strike.py $PROGRAMS/wal-push --config $CONFIG %p'" >>main/postgresql.conf
head -c 17500000 /dev/urandom >main/large # a multipart upload
expect_status 0 repository-init
server_start main
system=$(system_identifier main)
pgbench -i -q -s 1 -h "$T/run/main" 2>pgbench.log
ledger_create main
ledger_start main 1
strikes wal-push "$(part 35)"

step "repository-init"
init_again() { # NUMBER: another cluster name, so that there is something to make
    sed "s/^name = main/name = init$1/" "$CONFIG" >init.conf && chmod 600 init.conf
}
expect_status 0 repository-init --config "$T/$(init_again 0 && echo init.conf)"
strikes repository-init "$(part 10)"
echo 0.05 >life.repository-init
for ((try = 1; try < 400; try++)); do
    ! used_up repository-init || break
    init_again $try
    strike repository-init --config "$T/init.conf"
    expect_struck repository-init
    was=$status
    # Nothing but what is documented, and cluster.json whole or not at all.
    if object_exists "init$try/cluster.json"; then
        object_get "init$try/cluster.json" got
        expect_true "cluster.json is whole" grep -q '"sha256":"[0-9a-f]\{64\}"}' got
    else expect_true "no success without cluster.json" test $was != 0
    fi
    expect_status 0 repository-init --config "$T/init.conf"
done
used_up repository-init || fail "repository-init was not struck often enough"

step "basebackup-push"
listed() { basebackup-list --json | grep -o '"id": *"[^"]*' | cut -d'"' -f4 || true; }
acknowledged=()
expect_status 0 python3 "$T/strike.py" basebackup-push --checkpoint=fast
acknowledged+=("$(tail -1 <<<"$output")")
strikes basebackup-push "$(part 15)"
for ((try = 1; try < 200; try++)); do
    ! used_up basebackup-push || break
    strike basebackup-push --checkpoint=fast --quiet
    expect_struck basebackup-push
    [ "$status" != 0 ] || acknowledged+=("$(tail -1 <<<"$output")")
done
used_up basebackup-push || fail "basebackup-push was not struck often enough"
expect_status 0 basebackup-push --checkpoint=fast
newest=$(tail -1 <<<"$output")
listed >list
for id in "${acknowledged[@]}" "$newest"; do expect_true "an acknowledged backup is in the list" grep -qx "$id" list; done

step "every backup in the list is whole, also one whose call was killed behind the manifest"
while read -r id; do
    [[ " ${acknowledged[*]} " != *" $id "* ]] || [ "$id" = "${acknowledged[0]}" ] || [ -n "$FULL" ] || continue
    rm -rf copy
    expect_status 0 basebackup-fetch --quiet --backup "$id" -D "$T/copy"
    pg_verifybackup -n -q copy || fail "backup $id is not whole"
done <list

step "basebackup-fetch"
rm -rf copy
expect_status 0 python3 "$T/strike.py" "$PROGRAMS/basebackup-fetch" --quiet -D "$T/copy"
strikes basebackup-fetch "$(part 15)"
for ((try = 1; try < 200; try++)); do
    ! used_up basebackup-fetch || break
    rm -rf copy
    strike basebackup-fetch --quiet -D "$T/copy"
    expect_struck basebackup-fetch
    if [ "$status" = 0 ] || [ -e copy/global/pg_control ]; then pg_verifybackup -n -q copy || fail "a directory that is not whole has a pg_control"
    elif [ -d copy ] && [ -n "$(ls -A copy)" ]; then
        expect_status 1 basebackup-fetch -D "$T/copy"
        expect_output "not empty"
    fi
done
used_up basebackup-fetch || fail "basebackup-fetch was not struck often enough"

step "wal-push has been killed $(part 35) times"
until used_up wal-push; do
    [ $SECONDS -lt $((FULL ? 1000 : 200)) ] || fail "wal-push was not struck often enough: $(strikes_left wal-push) are left"
    sql main "select pg_switch_wal()" >/dev/null
    sleep 0.2
done
ledger_instant main expected
sleep 0.5
archived main
ledger_stop
server_kill main

step "what was told to be stored is there, and every WAL file that has its name is whole" # wound: wal-g#1578, #1590, #1948
grep '^wal-push - 0 \|^wal-push SIG[A-Z]* 0 ' struck | sed 's|.*/||' | LC_ALL=C sort -u >told
object_list | sed -n "s|^main/$system/wal/[^ ]*/\([0-9A-F]\{24\}\) .*|\1|p" | LC_ALL=C sort >stored
expect_equal "WAL files that were told to be stored and are not there" "" "$(grep -Ex '[0-9A-F]{24}' told | LC_ALL=C comm -23 - stored)"
expect_true "some were stored" test "$(wc -l <stored)" -gt 5
while read -r one; do
    wal-fetch "$one" "$T/by.hand" || fail "$one is not whole"
    [ ! -e "main/pg_wal/$one" ] || cmp "by.hand" "main/pg_wal/$one" || fail "$one is not what the server has"
    rm -f by.hand
done <stored

step "what is in the repository has a name that docs/format.md or docs/leftovers.md knows"
known() { sed -n "/^\`\`\`/,/^\`\`\`/s/^$1  *//p" "$SOURCE/docs/leftovers.md"; } # PLACE
match() { # PLACE...: of standard input what none of the expressions matches
    local place expressions=()
    for place; do while read -r expression; do expressions+=(-e "$expression"); done < <(known "$place"); done
    [ ${#expressions[@]} -gt 0 ] || fail "docs/leftovers.md has no $*"
    grep -Evx "${expressions[@]}" || true
}
legitimate() {
    grep -Ev "^(main|init[0-9]+)/cluster\.json$|^main/$system/wal/([0-9A-F]{16}/[0-9A-F]{24}(\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history)$" |
        grep -Ev "^main/$system/base/($(paste -sd'|' list))/" || true
}
object_list | cut -d' ' -f1 | legitimate >leftovers
echo "$(wc -l <leftovers) objects are left over, of $(cut -d/ -f1-4 leftovers | sort -u | grep -c base || true) backups"
places=(repository)
[ "$STORE" = s3 ] || places+=(directory)
expect_equal "names that are not documented" "" "$(match "${places[@]}" <leftovers)"
grep '/base/' leftovers | cut -d/ -f1-4 | sort -u | while read -r folder; do
    ! object_exists "$folder/manifest.json" || fail "$folder is called a leftover but has a manifest"
done
if [ "$STORE" = s3 ]; then
    s3 uploads "$S3_PREFIX/" | sed "s|^$S3_PREFIX/||" >uploads
    echo "$(wc -l <uploads) uploads are left over"
    expect_equal "uploads that are not documented" "" "$(cut -d' ' -f1 uploads | match uploads)"
    while read -r key id; do s3 abort "$S3_PREFIX/$key" "$id"; done <uploads
    expect_equal "uploads after they were aborted" "" "$(s3 uploads "$S3_PREFIX/")"
fi
expect_equal "in state_dir" "" "$(find state -type f -printf '%P\n' | grep -Ev "^($remembered)$" | match state)"
expect_equal "in TMPDIR" "" "$(find tmp -type f -printf '%P\n' | match temporary)"

step "the leftovers are removed, and nothing is missed"
while read -r key; do object_delete "$key"; done <leftovers
rm -rf copy
expect_status 0 basebackup-fetch --target-time "$instant" -D "$T/copy"

step "recovery-config"
config_state() { (cd copy && sha256sum <postgresql.auto.conf && ls -- *.signal 2>/dev/null) | paste -sd' ' || true; }
configure() { "$@" recovery-config -D "$T/copy" --target-time "$instant" --action promote; }
config_reset() { rm -f copy/*.signal && cp before.conf copy/postgresql.auto.conf; }
cp copy/postgresql.auto.conf before.conf
before=$(config_state)
expect_status 0 configure python3 "$T/strike.py"
after=$(config_state)
settings_only=${after% *}
expect_equal "the signal file" recovery.signal "${after##* }"
strikes recovery-config "$(part 10)"
for ((try = 1; try < 400; try++)); do
    ! used_up recovery-config || break
    config_reset
    configure strike
    expect_struck recovery-config
    now=$(config_state)
    case $now in
    "$after") ;;
    "$before" | "$settings_only") expect_true "no success that is not done" test "$status" != 0 ;;
    *) fail "half a configuration: $now: $(cat copy/postgresql.auto.conf)" ;;
    esac
    expect_status 0 configure env
    expect_equal "the state after the next call" "$after" "$(config_state)"
done
used_up recovery-config || fail "recovery-config was not struck often enough"
expect_equal "in the data directory" "" "$(cd copy && find . -name '*walferry*' -type f -printf '%P\n' | match data)"

step "wal-fetch, of a standby and of a recovery"
# keeps_going NAME SIGNAL-FILE DONE...: the server ends when its restore_command is killed, and is started again until DONE
keeps_going() {
    local name=$1 signal_file=$2 restarts=0 end=$((SECONDS + (FULL ? 400 : 100)))
    shift 2
    rm -f strikes.wal-fetch
    echo "restore_command = 'python3 $T/strike.py $PROGRAMS/wal-fetch --config $CONFIG %f %p'" >>"$name/postgresql.auto.conf"
    mkdir -p "run/$name"
    echo 0.05 >life.wal-fetch
    strikes wal-fetch "$(part 8)"
    while [ $SECONDS -lt $end ]; do
        if server_is_gone "$name" 2>/dev/null; then
            expect_true "$name is still in recovery" test -e "$name/$signal_file"
            restarts=$((restarts + 1))
            pg_ctl -D "$name" -l "$T/$name.log" -s -W -o "-k $T/run/$name -c listen_addresses=''" start
        fi
        ! "$@" 2>/dev/null || break
        sleep 0.1
    done
    "$@" || fail "$name has not come to its end ($restarts starts)"
    echo "$name: $restarts starts, $(strikes_left wal-fetch) strikes left"
    expect_true "wal-fetch was struck, and $name started again" test "$restarts" -ge 2
}
expect_status 0 basebackup-fetch --quiet --backup "${acknowledged[0]}" -D "$T/standby"
expect_status 0 recovery-config -D "$T/standby" --standby
has_followed() { [ "$(sql standby "select count(*) >= $(wc -l <expected) from ledger")" = t ]; }
keeps_going standby standby.signal has_followed
expect_equal "the standby is one" t "$(sql standby "select pg_is_in_recovery()")"
ledger standby >found
expect_equal "entries that are missing on the standby" "" "$(LC_ALL=C comm -13 <(LC_ALL=C sort found) <(LC_ALL=C sort expected) | head -3)"
strikes wal-fetch 0
server_stop standby
rm -rf standby
is_copied() { is_open copy; }
keeps_going copy recovery.signal is_copied
expect_ledger copy expected
server_stop copy
echo "struck: $(awk '$2 != "-" && $3 < 0 { n[$1]++ } END { for (one in n) printf "%s %d ", one, n[one] }' struck)"
