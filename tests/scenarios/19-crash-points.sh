#!/bin/bash
# goal: killed, or told by the kernel that it can't, at every system call in turn: no false success, nothing half visible, the next call succeeds
# stores: file
# limit: 720
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
. "$here/cases.sh"
command -v strace >/dev/null || skip "strace is not installed"
ulimit -c 0

# ---- plans: each program's calls are counted in a run that is left alone, then it is struck at each of them

considered=0
taken() { # in turn 1 of $1 is; all with --full
    considered=$((considered + 1))
    [ -n "$FULL" ] || [ $(((considered + SEED) % $1)) = 0 ]
}

changing=write,pwrite64,fsync,fdatasync,syncfs,linkat,link,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,fchmod,symlinkat,sendto
looking=openat,read,pread64,newfstatat,lseek,getdents64,close,access,readlink
# What a case sets: its command, where it runs, the exit status when nothing goes wrong, those (a pattern) when something does,
# and what goes wrong in all its runs. Its functions: NAME_reset, NAME_check (nothing is half visible), NAME_whole (it is done).
begin_case() { # NAME DIRECTORY COMMAND...
    name=$1 where=$2 expected=0 failing=1 always=() catches='' names=1 again_every=1 thin=1 kill_thin=1 least=6
    command=("${@:3}")
}
run_struck() { # STRACE-OPTION...
    status=0
    # shellcheck disable=SC2086
    output=$(cd "$where" && strace -f -qq -o "$T/strace.out" -e trace=$changing,$looking,exit_group,brk,mmap,mremap,socket,connect "${always[@]}" "$@" "${command[@]}" 2>&1) ||
        status=$?
}
# Writes plan: "CALL NUMBER KIND FILE" for each call behind the program's first act. PR_SET_DUMPABLE is kept from it in this run,
# since strace could not read its strings; when= counts from the very start, so the loader's calls are counted but not listed.
make_plan() {
    "${name}_reset"
    status=0
    # shellcheck disable=SC2086
    output=$(cd "$where" && strace -f -qq -y -o "$T/plan.trace" -e trace=$changing,$looking,exit_group,mmap,prctl -e inject=prctl:retval=0 "${always[@]}" \
        "${command[@]}" 2>&1) || status=$?
    expect_equal "exit status of $name, left alone ($output)" "$expected" "$status"
    "${name}_whole" || fail "$name, left alone, did not do it"
    awk -v OFS='\t' '
        !match($0, /^[0-9]+ +[a-z0-9_]+\(/) { next }
        {
            call = substr($0, RSTART, RLENGTH - 1); sub(/^[0-9]+ +/, "", call)
            number = ++count[$1, call]
            if (call == "prctl") begun = 1
            if ((call, number) in listed) next
            listed[call, number] = 1 # of the loader too: each thread counts for itself, and strace would strike the loader
            if (!begun || call == "prctl") next
            rest = $0; sub(/^[^(]*\(/, "", rest)
            file = "-"
            if (rest ~ /^[0-9]+</ && call !~ /at$/) { file = rest; sub(/^[0-9]+</, "", file); sub(/>.*/, "", file) }
            else if (match(rest, /"[^"]*"[^"]*$/)) { file = substr(rest, RSTART + 1); sub(/".*/, "", file) }
            if (file == "") { file = rest; sub(/^[^<]*</, "", file); sub(/>.*/, "", file) } # an empty path: the descriptor itself
            kind = call
            if (call == "openat" && rest ~ /O_CREAT|O_TMPFILE/) kind = "create"
            print call, number, kind, file
        }' plan.trace >plan
}
allowed_name='/\.[^/]*\.walferry(-tmp)?$' # hidden, and known to be ours
visible() { find "$@" -type f -printf '%p\n' 2>/dev/null | grep -Ev "$allowed_name" | LC_ALL=C sort || true; } # DIRECTORY...
expect_visible() { # WHAT EXPECTED DIRECTORY...
    expect_equal "files $1" "$(printf '%s\n' $2 | LC_ALL=C sort | paste -sd' ')" "$(visible "${@:3}" | paste -sd' ')"
}
expect_temporary() { # in TMPDIR nothing, in state_dir what is remembered
    expect_visible "in TMPDIR" "" tmp
    expect_equal "files in state_dir" "" "$(visible state | grep -Ev "^state/($remembered)$" || true)"
}
call_again() { # the next call, left alone; where somebody has to clean up before, NAME_again does
    status=0
    [ "$(type -t "${name}_again")" != function ] || "${name}_again"
    output=$(cd "$where" && "${command[@]}" 2>&1) || status=$?
    expect_equal "exit status of the next call ($output)" "$expected" "$status"
    "${name}_whole" || fail "the next call did not do it"
    "${name}_check"
}
said() { printf '%s\n' "$output" | sed 's/^/    /'; }

# A signal is a signal; success is told only when it is true, and then nobody has been killed.
strike_signal() { # SIGNAL CALL NUMBER
    local number
    number=$(kill -l "$1")
    "${name}_reset"
    run_struck -e "inject=$2:signal=$1:when=$3"
    if [ "$status" = 0 ] && [ -n "$catches" ]; then "${name}_whole" || fail "success, but it is not done"
    else expect_equal "exit status ($output)" $((128 + number)) "$status"; fi
    "${name}_check"
    ! taken "$again_every" || call_again
}
kill_table() { # SIGNAL...: at all calls that change something, and at the end
    local signal call number kind file before=$rows
    while IFS=$'\t' read -r call number kind file <&4; do
        case ,$changing,exit_group,create, in *,$kind,*) ;; *) continue ;; esac
        # A call that has a fault already can't have another.
        [[ " ${always[*]} " != *"inject=$call:"* ]] || continue
        [ "$call" != exit_group ] || set -- KILL # the others come too late
        for signal; do
            taken $([ "$signal" = KILL ] && echo "$kill_thin" || echo 8) || continue
            row "$name: SIG$signal at $call $number, $file" strike_signal "$signal" "$call" "$number"
        done
    done 4<plan
    echo "$name: killed at $((rows - before)) points (${SECONDS} s)"
    expect_true "points of $name" test $((rows - before)) -ge $least
}
declare -A message_of=([EIO]='Input/output error' [ENOSPC]='No space left on device' [EDQUOT]='Disk quota exceeded'
    [EMFILE]='Too many open files' [EINTR]='Interrupted system call')
errors_of() { # KIND
    case $1 in
    create | mkdir | mkdirat) echo ENOSPC EDQUOT EIO ;;
    openat) echo EIO EMFILE ;;
    write | pwrite64) echo ENOSPC EDQUOT EIO EINTR ;;
    read | pread64) echo EIO EINTR ;;
    fsync | fdatasync | syncfs | linkat | link | rename | renameat | renameat2 | symlinkat) echo EIO ENOSPC EDQUOT ;;
    exit_group | mmap | sendto) ;;
    *) echo EIO ;;
    esac
}
strike_error() { # ERROR CALL NUMBER FILE
    local own=${4##*/} cause
    "${name}_reset"
    run_struck -e "inject=$2:error=$1:when=$3"
    said
    # Threads take turns: in another run it may be another one that makes the call.
    grep -q INJECTED strace.out || [ "$catches$status" = 10 ] || fail "the call was not made"
    if [ "$status" = "$expected" ]; then
        [ "$expected" != 0 ] || "${name}_whole" || fail "success, but it is not done"
    else
        # shellcheck disable=SC2254
        case $status in
        $failing) ;;
        2) case $4 in "$CONFIG" | */pg_control | */PG_VERSION) ;; *) fail "exit status 2" ;; esac ;;
        *) fail "exit status $status, not $failing" ;;
        esac
        expect_output "error:"
        case $names$4 in 1"$T"/* | 1[!/-]*) # what the libraries read for themselves may fail in their own words
            cause=${message_of[$1]}
            [ "$2" != newfstatat ] || cause=error # of these the message says what it takes the file for
            expect_output "$cause"
            # Of a file that has no name yet, or a temporary one, the name to be or the directory is said.
            case $own in "#"* | .*.walferry-tmp) own=${4%/*} own=${own##*/} ;; *.walferry) own=${own%.walferry} own=${own#.} own=${own%.[0-9a-f]*} ;; probe-*) own=probe- ;; esac
            printf '%s\n' "$output" | grep -F "$cause" | grep -F -- "$own" >/dev/null || fail "the message does not name \"$own\"" ;;
        esac
    fi
    "${name}_check"
    ! taken "$again_every" || call_again
}
error_table() {
    local error call number kind file before=$rows
    while IFS=$'\t' read -r call number kind file <&4; do
        [[ " ${always[*]} " != *"inject=$call:"* ]] || continue
        case $file in "$T"/strace.out | pipe:* | /sys/*) continue ;; esac
        # Without its directory fewer files are opened, and the fault that is there always would strike another one.
        [[ "${always[*]} $file" != *"inject=openat:"*" $T/state" ]] || continue
        for error in $(errors_of "$kind"); do
            taken $((3 * thin)) || continue
            row "$name: $error at $call $number, $file" strike_error "$error" "$call" "$number" "$file"
        done
    done 4<plan
    echo "$name: $((rows - before)) errors (${SECONDS} s)"
}
strike_memory() { # NUMBER: from this allocation on there is no memory, also not by brk, whose refusal is an old end
    "${name}_reset"
    run_struck -e "inject=mmap:error=ENOMEM:when=$1+" -e inject=mremap:error=ENOMEM -e inject=brk:retval=0:when=4+
    said
    if [ "$status" = "$expected" ]; then [ "$expected" != 0 ] || "${name}_whole" || fail "success, but it is not done"
    else
        # shellcheck disable=SC2254
        case $status in $failing | 2) ;; *) fail "exit status $status" ;; esac
        expect_output "error:|memory"
    fi
    "${name}_check"
    ! taken "$again_every" || call_again
}
memory_table() {
    local call number kind file before=$rows
    while IFS=$'\t' read -r call number kind file <&4; do
        [ "$call" = mmap ] && taken $((3 * thin)) || continue
        row "$name: no memory from mmap $number on" strike_memory "$number"
    done 4<plan
    echo "$name: out of memory at $((rows - before)) allocations (${SECONDS} s)"
}
# What gets a name must be on disk before it has it, and the directory of the name before the program ends. The machine can't be
# made to crash here, so the order of the calls in the plan is looked at.
cat >durable.py <<'PY'
import os, re, sys
where, directories, descriptors, dirty, pending, wrong, named = sys.argv[1], sys.argv[2:], {}, set(), {}, [], 0
def absolute(path): return os.path.normpath(os.path.join(where, path))
def of_descriptor(text): return re.match(r"\d+<(.*?)>(?:\(deleted\))?(?:,|\)|$)", text).group(1)
unfinished = {}
for line in sys.stdin:
    line = line.rstrip("\n")
    number = line.split(" ", 1)[0]
    if line.endswith("<unfinished ...>"):
        unfinished[number] = line[:-len(" <unfinished ...>")]
        continue
    if re.match(r"\d+ +<\.\.\. \w+ resumed>", line):
        line = unfinished.pop(number) + line.split(" resumed>", 1)[1]
    match = re.match(r"\d+ +(\w+)\((.*)\) += (\S+)", line)
    if not match or match.group(3).startswith("-1"):
        continue
    call, rest, result = match.groups()
    strings = re.findall(r'"([^"]*)"', rest)
    if call == "openat":
        descriptors[re.match(r"\d+", result).group()] = of_descriptor(result) if "<" in result else ""
    elif call in ("write", "pwrite64") and "<" in rest:
        dirty.add(of_descriptor(rest))
    elif call in ("fsync", "fdatasync"):
        dirty.discard(of_descriptor(rest)), pending.pop(of_descriptor(rest), None)
    elif call == "syncfs":
        dirty.clear(), pending.clear()
    elif call in ("linkat", "link", "rename", "renameat", "renameat2", "mkdir"):
        target = absolute(strings[-1]) if call != "renameat" else os.path.join(re.findall(r"<([^>]*)>", rest)[-1], strings[-1])
        if not any(target.startswith(one) for one in directories):
            continue
        pending[os.path.dirname(target)] = target
        if call != "mkdir":
            named += 1
            source = strings[0]
            source = descriptors[source.rsplit("/", 1)[1]] if source.startswith("/proc/self/fd/") else absolute(source)
            if source in dirty:
                wrong.append(f"{target} got its name before its content was synced")
wrong += [f"{target}: its directory was not synced" for target in pending.values()]
print("\n".join(wrong) if wrong else f"{named} names")
sys.exit(1 if wrong or not named else 0)
PY
expect_durable() { # DIRECTORY...: where
    python3 durable.py "$where" "$@" <plan.trace >order || fail "not durable: $(cat order)"
    echo "$name: $(cat order) were given in the right order"
}
tmpfile_call() { # in the plan: the number of the openat that makes the object's unnamed file, which not all file systems have
    grep O_TMPFILE plan.trace | grep -F "$1" >/dev/null && awk -F'\t' -v part="$1" '$3 == "create" && index($4, part) { print $2 }' plan | tail -1
}
all_tables() { # SIGNAL...
    kill_table "$@"
    error_table
    memory_table
}

# ---- wal-push

step "wal-push into a directory" # wound: pgmoneta, flush position without fsync
cluster_create
config_write
touch target/recovery.signal
expect_status 0 repository-init
segment=$(S 2)
object=repository/$(wal_key "$segment")
cluster=$T/repository/main/cluster.json
cp "$cluster" cluster.kept
push_reset() { rm -rf "repository/main/$system"; }
push_whole() { lz4 -dcq "$object" 2>/dev/null | cmp -s - "main/pg_wal/$segment"; }
push_check() {
    [ ! -e "$object" ] || push_whole || fail "half an object"
    expect_visible "in the repository" "repository/main/cluster.json$([ ! -e "$object" ] || echo " $object")" repository
    expect_temporary
    expect_visible "in pg_wal" "main/pg_wal/$segment" "main/pg_wal/$segment"*
}
begin_case push "$T" wal-push "main/pg_wal/$segment"
thin=4
make_plan
expect_durable "$T/repository"
all_tables KILL TERM QUIT INT HUP
unnamed=$(tmpfile_call "$system")

step "the same where unnamed files can't be had, and where there are no hard links either"
thin=8 kill_thin=${FULL:-2} least=3
always=(-e "inject=openat:error=EOPNOTSUPP:when=$unnamed")
make_plan
expect_durable "$T/repository"
kill_table KILL TERM
error_table
always+=(-e inject=link:error=EPERM)
make_plan
expect_durable "$T/repository"
kill_table KILL
error_table

step "wal-push of what is there already"
begin_case again "$T" wal-push "main/pg_wal/$segment"
thin=3
again_reset() { push_reset && wal-push "main/pg_wal/$segment" && inode=$(stat -c %i:%Y "$object"); }
again_whole() { push_whole; }
again_check() { push_check && expect_equal "the object" "$inode" "$(stat -c %i:%Y "$object")"; }
make_plan
# who made it may not have synced it yet
for directory in "$(dirname "$object")" "repository/main/$system/wal" "repository/main/$system" repository/main repository; do
    expect_true "$directory is synced" grep -Eq "^[0-9]+ +fsync\\([0-9]+<$T/$directory>\\) += 0" plan.trace
done
kill_table KILL
error_table

# ---- wal-fetch

step "wal-fetch in recovery" # wound: barman-cloud, restored WAL written in place
again_reset
landed=target/pg_wal/RECOVERYXLOG
fetch_reset() { rm -f target/pg_wal/*; }
fetch_whole() { cmp -s "$landed" "main/pg_wal/$segment"; }
fetch_check() {
    [ ! -e "$landed" ] || fetch_whole || fail "something that is not the segment has its name"
    expect_equal "files in pg_wal" "" "$(find target/pg_wal -type f ! -path "$landed" ! -path "$landed.walferry")"
    expect_visible "in the repository" "repository/main/cluster.json $object" repository
    expect_temporary
}
begin_case fetch "$T/target" wal-fetch "$segment" pg_wal/RECOVERYXLOG
failing=200 thin=2
make_plan
all_tables KILL TERM QUIT INT HUP
unnamed=$(tmpfile_call pg_wal)
step "the same where unnamed files can't be had"
thin=8 kill_thin=${FULL:-2} least=3
always=(-e "inject=openat:error=EOPNOTSUPP:when=$unnamed")
make_plan
kill_table KILL TERM QUIT INT HUP
error_table
step "wal-fetch by hand, which is to be durable"
landed=target/pg_wal/by.hand
begin_case fetch "$T" wal-fetch "$segment" "$T/target/pg_wal/by.hand"
failing=200
make_plan
expect_durable "$T/target"
kill_table KILL
thin=4
error_table
always=(-e "inject=openat:error=EOPNOTSUPP:when=$(tmpfile_call pg_wal)")
make_plan
expect_durable "$T/target"
kill_table KILL

step "wal-fetch of what is not there: an error is never \"not there\" if there is a hole"
landed=target/pg_wal/RECOVERYXLOG
expect_status 0 wal-push "main/pg_wal/$(S 5)"
cp -r repository repository.kept
missing_reset() { rm -f target/pg_wal/*; }
missing_whole() { [ ! -e "$landed" ]; }
missing_check() { expect_equal "files in pg_wal" "" "$(ls -A target/pg_wal)"; }
printf '[wal-fetch]\nhole_wait = 0\n' >>"$CONFIG"
begin_case missing "$T/target" wal-fetch "$(S 4)" pg_wal/RECOVERYXLOG
expected=200 failing=200 thin=3
make_plan
error_table
begin_case missing "$T/target" wal-fetch "$(S 7)" pg_wal/RECOVERYXLOG
expected=1 failing=200 thin=3
make_plan
error_table
begin_case missing "$T/target" wal-fetch 00000003.history pg_wal/RECOVERYHISTORY
expected=1 failing=200 thin=3
make_plan
error_table

# ---- repository-init

step "repository-init"
same_cluster() { sed 's/"added":"[^"]*"//; s/"sha256":"[^"]*"//; s/"created":"[^"]*"//' "$1"; }
init_reset() { rm -rf repository; }
init_whole() { [ -e "$cluster" ] && [ "$(same_cluster "$cluster")" = "$(same_cluster cluster.kept)" ]; }
init_check() {
    [ ! -e "$cluster" ] || init_whole || fail "cluster.json is not whole: $(cat "$cluster")"
    expect_visible "in the repository" "$([ ! -e "$cluster" ] || echo repository/main/cluster.json)" repository
    expect_temporary
}
begin_case init "$T" repository-init
thin=4
make_plan
expect_durable "$T/repository"
all_tables KILL TERM QUIT
step "repository-init --probe, which replaces cluster.json"
init_reset() { rm -rf repository && mkdir -p repository/main && cp cluster.kept "$cluster"; }
begin_case init "$T" repository-init --probe
thin=4
make_plan
expect_durable "$T/repository"
kill_table KILL TERM
error_table

# ---- recovery-config

config_signals() { (cd target && ls -- *.signal 2>/dev/null | paste -sd' ') || true; }
config_reset() {
    rm -rf target/*.signal target/postgresql.auto.conf* target/.[a-z]*
    cp before.conf target/postgresql.auto.conf
    [ -z "$signals_before" ] || (cd target && touch $signals_before)
}
config_whole() { cmp -s target/postgresql.auto.conf after.conf && [ "$(config_signals)" = "$signals_after" ]; }
config_check() { # the settings first, then the signal file; and settings that are not whole never
    expect_visible "in the data directory" "target/PG_VERSION target/postgresql.auto.conf$(for one in $(config_signals); do echo " target/$one"; done)" target/[!gp]* target/.[a-z]* target/postgresql.auto.conf*
    if cmp -s target/postgresql.auto.conf after.conf; then
        case " $(config_signals) " in
        " $signals_before " | " $signals_after " | " recovery.signal standby.signal ") ;;
        *) fail "signal files: $(config_signals)" ;;
        esac
    else
        cmp -s target/postgresql.auto.conf before.conf || fail "settings that are neither the old ones nor the new: $(cat target/postgresql.auto.conf)"
        expect_equal "signal files beside the old settings" "$signals_before" "$(config_signals)"
    fi
}
config_case() { # WHAT OPTION...: from before.conf and $signals_before
    step "recovery-config: $1"
    begin_case "${case_name:-config}" "$T" recovery-config -D target "${@:2}"
    config_reset
    "${command[@]}"
    cp target/postgresql.auto.conf after.conf
    signals_after=$(config_signals)
    make_plan
    expect_durable "$T/target"
}
printf 'work_mem = 5MB\nrestore_command = false\n' >before.conf
signals_before=
config_case "for recovery" --immediate
thin=2
all_tables KILL TERM QUIT
cp after.conf before.conf && signals_before=$signals_after
config_case "a standby instead" --standby
thin=3
kill_table KILL TERM
error_table
cp after.conf before.conf && signals_before=$signals_after
config_case "recovery instead of a standby" --immediate --action promote
thin=3
kill_table KILL
error_table
cp after.conf before.conf && signals_before=$signals_after
for part in reset whole; do eval "clear_$part() { config_$part; }"; done
clear_check() { # between the settings and the signal file an empty block tells the next call what it has to end
    if [ "$(grep -c '^# walferry' target/postgresql.auto.conf)" = 2 ] && ! grep -q restore_command.*wal-fetch target/postgresql.auto.conf; then
        expect_true "the signal file, or none" test "$(config_signals)" = "$signals_before" -o "$(config_signals)" = "$signals_after"
    else config_check; fi
}
case_name=clear
config_case "--clear" --clear
thin=2
kill_table KILL TERM
error_table

# ---- the same with an S3 store: what is sent, and what is remembered

step "wal-push and wal-fetch, an S3 store"
fault_server faults
cp "$CONFIG" file.conf
STORE=s3 config_write
script
expect_status 0 repository-init
object=faults/objects/$S3_BUCKET/$S3_PREFIX/$(wal_key "$segment")
landed=target/pg_wal/RECOVERYXLOG
find target -name '*.signal' -delete && touch target/recovery.signal
s3_files() { expect_equal "objects" "" "$(find "faults/objects/$S3_BUCKET" -type f ! -name cluster.json ! -name "$segment")" && expect_temporary; }
s3_push_reset() { rm -rf state "${object%/*}"; }
s3_push_whole() { push_whole; }
s3_push_check() { [ ! -e "$object" ] || push_whole || fail "half an object" && s3_files; }
begin_case s3_push "$T" wal-push "main/pg_wal/$segment"
catches=1 thin=3 # so much is sent at a time as the kernel takes: not always the same number of calls
make_plan
kill_table KILL TERM
wal-push "main/pg_wal/$segment"
s3_fetch_reset() { rm -rf state target/pg_wal/*; }
s3_fetch_whole() { fetch_whole; }
s3_fetch_check() {
    [ ! -e "$landed" ] || fetch_whole || fail "something that is not the segment has its name"
    expect_equal "files in pg_wal" "" "$(find target/pg_wal -type f ! -path "$landed")"
    s3_files
}
begin_case s3_fetch "$T/target" wal-fetch "$segment" pg_wal/RECOVERYXLOG
catches=1
make_plan
awk -F'\t' '$1 != "write" || $2 % 8 == 0' plan >plan.thin && mv plan.thin plan
kill_table KILL TERM
kill "$server_pid"

# ---- limits of the process

cp file.conf "$CONFIG"
rm -rf repository state && cp -r repository.kept repository
object=repository/$(wal_key "$segment")
limited() { # PROGRAM-CASE LIMIT VALUE
    name=$1
    case $1 in
    push) begin_case push "$T" wal-push "main/pg_wal/$segment" ;;
    fetch) begin_case fetch "$T/target" wal-fetch "$segment" pg_wal/RECOVERYXLOG && failing=200 ;;
    init) begin_case init "$T" repository-init ;;
    esac
    "${name}_reset"
    status=0
    output=$(cd "$where" && ulimit "$2" "$3" && "${command[@]}" 2>&1) || status=$?
    said
    # 127 and 2: the loader or the configuration could not be read
    # shellcheck disable=SC2254
    case $status in 0) "${name}_whole" || fail "success, but it is not done" ;; $failing | 2 | 127) ;; *) fail "exit status $status" ;; esac
    [ "$status" = 0 ] || expect_output "error|memory"
    "${name}_check"
    call_again
}
one_cluster() { rm -rf repository && mkdir -p repository/main && cp cluster.kept "$cluster"; }
init_reset() { rm -rf repository; }
for limit in 3 4 5 6 7 8; do
    step "at most $limit open files"
    one_cluster
    again_reset
    for program in fetch push init; do row "$program: ulimit -n $limit" limited $program -n $limit; done
done
for kibibytes in 20000 30000 34000 36000 38000 40000 42000 45000 60000; do
    step "at most $kibibytes KiB of memory"
    one_cluster
    again_reset
    for program in fetch push; do row "$program: ulimit -v $kibibytes" limited $program -v $kibibytes; done
done

step "a state directory that cannot be written to, is a file, or has no place to be: nothing is remembered, and all works"
for way in 'mkdir -m 500 state' 'touch state' 'ln -s nowhere state' 'mkdir -m 755 state'; do
    rm -rf state && $way
    push_reset
    expect_status 0 wal-push "main/pg_wal/$segment"
    fetch_reset
    (cd target && expect_status 0 wal-fetch "$segment" pg_wal/RECOVERYXLOG)
    expect_same "the segment" "main/pg_wal/$segment" target/pg_wal/RECOVERYXLOG
done
rm -rf state

# ---- names

step "names with blanks, quotes and more"
odd=$T/"odd 'a\" \$b \`c %p %% \\d é ; #e"
line=$odd$'\nline'
mkdir -p "$odd" "$line/data/pg_wal" "$line/data/global"
cp main/global/pg_control "$line/data/global/" && cp main/PG_VERSION "$line/data/" && cp "main/pg_wal/$segment" "$line/data/pg_wal/"
one_cluster
for config in "$odd/walferry.conf" "$line/walferry.conf"; do
    cp file.conf "$config"
    push_reset
    expect_status 0 wal-push --config "$config" "$line/data/pg_wal/$segment"
    expect_true "the segment is stored" push_whole
    touch "$line/data/recovery.signal"
    (cd "$line/data" && expect_status 0 wal-fetch --config "$config" "$segment" pg_wal/RECOVERYXLOG)
    expect_same "the segment" "main/pg_wal/$segment" "$line/data/pg_wal/RECOVERYXLOG"
    rm "$line/data/pg_wal/RECOVERYXLOG"
    expect_status 0 wal-fetch --config "$config" "$segment" "$line/by hand"
    expect_same "the segment" "main/pg_wal/$segment" "$line/by hand"
    rm "$line/by hand"
done
step "what recovery-config writes for them is what the shell reads"
mkdir -p "$odd/bin" && cp "$PROGRAMS"/{recovery-config,wal-fetch} "$odd/bin"
expect_status 1 "$odd/bin/recovery-config" --config "$line/walferry.conf" -D "$line/data"
expect_output "line end"
expect_absent "$line/data/postgresql.auto.conf"
rm "$line/data/recovery.signal" && : >"$line/data/postgresql.conf" && chmod 700 "$line/data"
expect_status 0 "$odd/bin/recovery-config" --config "$odd/walferry.conf" -D "$line/data"
postgres -D "$line/data" -C restore_command >restore_command
python3 - "$segment" restore_command >restore.sh <<'PY'
import re, sys
text = open(sys.argv[2]).read()
print(re.sub("%(.)", lambda m: {"f": sys.argv[1], "p": "pg_wal/RECOVERYXLOG", "%": "%"}[m.group(1)], text))
PY
(cd "$line/data" && expect_status 0 sh "$T/restore.sh")
expect_same "the segment" "main/pg_wal/$segment" "$line/data/pg_wal/RECOVERYXLOG"
step "a repository of such a name"
plain=$T/"store 'a\" \$b \`c \\d é"
sed "s|^url.*|url = file://${plain//\\/\\\\}|" file.conf >names.conf && chmod 600 names.conf
expect_status 0 repository-init --config "$T/names.conf"
expect_true "cluster.json lies there" test -e "$plain/main/cluster.json"
expect_status 0 wal-push --config "$T/names.conf" "main/pg_wal/$segment"
expect_status 0 wal-fetch --config "$T/names.conf" "$segment" "$T/by.hand"
expect_same "the segment" "main/pg_wal/$segment" by.hand
rm by.hand

step "paths of almost 4,000 bytes, and beyond"
long_path() { # BYTES: a directory below $T, not made
    local path=$T/long
    while [ ${#path} -lt $(($1 - 203)) ]; do path+=/$(printf 'x%.0s' {1..200}); done
    path+=/$(printf 'y%.0s' $(seq $(($1 - ${#path} - 1))))
    printf %s "$path"
}
long=$(long_path 3950)
mkdir -p "$long/data/pg_wal" "$long/data/global"
cp main/global/pg_control "$long/data/global/" && cp main/PG_VERSION "$long/data/" && cp "main/pg_wal/$segment" "$long/data/pg_wal/"
cp file.conf "$long/walferry.conf"
push_reset
expect_status 0 wal-push --config "$long/walferry.conf" "$long/data/pg_wal/$segment"
expect_true "the segment is stored" push_whole
touch "$long/data/recovery.signal"
(cd "$long/data" && expect_status 0 wal-fetch --config "$long/walferry.conf" "$segment" pg_wal/RECOVERYXLOG)
expect_same "the segment" "main/pg_wal/$segment" "$long/data/pg_wal/RECOVERYXLOG"
rm "$long/data/recovery.signal"
expect_status 0 recovery-config --config "$long/walferry.conf" -D "$long/data"
expect_true "the whole path of the configuration is in restore_command" grep -Fq -- "$long/walferry.conf" "$long/data/postgresql.auto.conf"
for bytes in 3950 4060 5000; do
    long=$(long_path $bytes)
    sed "s|^url.*|url = file://$long|" file.conf >names.conf
    status=0
    output=$(repository-init --config "$T/names.conf" 2>&1 && wal-push --config "$T/names.conf" "main/pg_wal/$segment" 2>&1 &&
        wal-fetch --config "$T/names.conf" "$segment" "$T/by.hand" 2>&1) || status=$?
    printf '%s\n' "$bytes bytes: status $status"
    if [ $bytes = 3950 ]; then
        expect_equal "status with a repository path of $bytes bytes ($output)" 0 "$status"
        expect_same "the segment" "main/pg_wal/$segment" by.hand && rm by.hand
    else
        expect_true "status with a repository path of $bytes bytes, not $status" test "$status" = 1 -o "$status" = 2
        expect_output "File name too long|longer|too long"
    fi
done
rm -rf long odd* store* main target state repository*

# ---- base backups: so many calls that only some are struck, other ones with every seed

sample_plan() { # NUMBER: of the calls there are few of all, of the others so many
    awk -F'\t' 'NR == FNR { count[$3]++; next } { print (count[$3] <= 3 ? "few" : "many") "\t" $0 }' plan plan >plan.all
    { grep '^few' plan.all || true; grep '^many' plan.all | shuf -n "$1" --random-source=<(yes "$SEED-$name-$RANDOM"); } | cut -f2- >plan
}
shuffled_tables() { # NUMBER: so many points, and so many with errors
    cp plan plan.whole
    awk -F'\t' -v change=",$changing,exit_group,create," 'index(change, "," $3 ",")' plan.whole >plan
    sample_plan "$1"
    kill_table KILL TERM
    grep -Ev $'\t(mmap|exit_group|sendto|close|lseek)\t' plan.whole | grep -F "$T/" >plan
    sample_plan "$1"
    thin=3
    error_table
}
step "basebackup-fetch"
config_write $'[basebackup]\njobs = 2\nwal_timeout = 20'
server_create main --wal-segsize=1
system=$(system_identifier main)
expect_status 0 repository-init
server_start main
expect_status 0 basebackup-push --checkpoint=fast
restore_reset() { rm -rf copy; }
restore_whole() { [ -e copy/global/pg_control ] && pg_verifybackup -n -q copy; }
restore_check() { [ ! -e copy/global/pg_control ] || restore_whole || fail "a directory that is not whole has a global/pg_control"; }
restore_again() { restore_reset; }
begin_case restore "$T" basebackup-fetch -D "$T/copy"
catches=1 names='' again_every=6
make_plan
expect_durable "$T/copy/global/pg_control"
shuffled_tables "$((FULL ? 208 : 5))"
rm -rf copy

step "basebackup-fetch --delta: the same command goes on with what is left, and a directory that it had not begun with can be started"
expect_status 0 basebackup-fetch -D "$T/stale"
find stale/base/1 -size +16k -name '1*' | head -20 | while read -r file; do printf x | dd of="$file" bs=1 seek=9000 conv=notrunc status=none; done
find stale/base/1 -size -16k -name '2*' | head -20 | xargs rm
: >stale/base/1/extra && mkdir -p stale/extra/deep && : >stale/extra/deep/file && ln -s extra stale/link
sql main "create table behind (i int)" # so that the segment that is written to is not one that was archived just now
cp "main/pg_wal/$(sql main "select pg_walfile_name(pg_current_wal_lsn())")" stale/pg_wal/
delta_reset() { rm -rf copy copy.pg_wal-* && cp -a stale copy; }
delta_whole() { [ -e copy/global/pg_control ] && [ ! -e copy/restore.walferry ] && pg_verifybackup -n -q copy; }
delta_check() {
    [ ! -e copy/global/pg_control ] || [ -z "$(diff -r --no-dereference stale copy || true)" ] || delta_whole ||
        fail "a directory that is not whole has a global/pg_control"
    [ "$(cat copy/pg_wal/0* copy.pg_wal-*/0* 2>/dev/null | sha256sum)" = "$(cat stale/pg_wal/0* | sha256sum)" ] || fail "the WAL is gone"
}
begin_case delta "$T" basebackup-fetch -D "$T/copy" --delta
catches=1 names='' again_every=1
make_plan
expect_durable "$T/copy/global/pg_control"
shuffled_tables "$((FULL ? 208 : 5))"
rm -rf copy copy.pg_wal-* stale

step "basebackup-push"
backup_reset() { rm -rf "repository/main/$system/base"; }
manifests() { find "repository/main/$system/base" -name manifest.json 2>/dev/null | wc -l; }
backup_whole() { [ "$(manifests)" = 1 ]; }
backup_check() {
    local manifests
    manifests=$(manifests)
    expect_status 0 basebackup-list --json
    expect_equal "backups in the list" "$manifests" "$(grep -c '"id":' <<<"$output" || true)"
    if [ "$manifests" != 0 ] && taken 3; then
        rm -rf copy
        expect_status 0 basebackup-fetch -D "$T/copy"
        pg_verifybackup -n -q copy || fail "a backup in the list is not whole"
    fi
    expect_equal "files that are not under the id of a backup" "" \
        "$(visible "repository/main/$system/base" | grep -Ev '/base/[0-9]{8}T[0-9]{6}Z-[0-9A-F]{8}-[0-9A-F]{16}/' || true)"
}
backup_again() { backup_reset; }
begin_case backup "$T" basebackup-push --checkpoint=fast
catches=1 names='' again_every=4
make_plan
expect_durable "$T/repository/main/$system/base"
shuffled_tables "$((FULL ? 208 : 5))"
expect_true "the server is well" sql_is main 1 "select 1"
server_stop main

# ---- retention

step "basebackup-expire: what stays is whole at every moment, and the next run does the rest"
keys=repository
upkeep_prepare "file://$T/expired" expired
begin_case expire "$T" basebackup-expire --config "$T/expire.conf"
again_every=1000000 # it is part of each look
make_plan
[ -n "$FULL" ] || { awk -F'\t' -v change=",$changing,exit_group," -v first=$((SEED % 5)) 'index(change, "," $3 ",") && n++ % 5 == first' plan >plan.thin && mv plan.thin plan; }
kill_table KILL TERM

# ---- the end

expect_rows $rows
