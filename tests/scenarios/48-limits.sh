#!/bin/bash
# goal: too little memory, too few files, a clock that is off, odd and long names: a clear error and the right status, nothing half visible
# stores: none
# limit: 400
. "$(dirname "$0")/../lib.sh"
. "$here/faults.sh"
ulimit -c 0

step "a server whose data directory and tablespace have odd names"
odd=$T/"odd 'a\" \$b \`c %p %% \\d é#e"
place=$T/"place \"a\" \$b \`c %p \\d é=e"
mkdir -p "$odd" "$place"
STORE=file config_write $'[basebackup]\njobs = 3\nwal_timeout = 30\n[wal-fetch]\nhole_wait = 0'
main=$odd/main
initdb -D "$main" -U postgres -A trust -E UTF8 --locale=C --no-sync --wal-segsize=1 >initdb.log || fail "$(cat initdb.log)"
server_settings main | sed "s|^archive_command.*|archive_command = '$PROGRAMS/wal-push --config \"$T/archive.conf\" %p'|" >>"$main/postgresql.conf"
sed -i "s|^pgdata = .*|pgdata = ${main//\\/\\\\}|" "$CONFIG"
cp "$CONFIG" archive.conf
expect_status 0 repository-init
expect_equal "pgdata as it was read" "" "$(repository-check 2>&1 | grep -i "no data directory" || true)"
answers() { sql "$1" "select 1"; }
server_run() { # NAME DIRECTORY: pg_ctl can't start it, it hands the name to a shell
    mkdir -p "run/$1"
    postgres -D "$2" -k "$T/run/$1" -c listen_addresses= >>"$1.log" 2>&1 &
    wait_until 60 "server $1" answers "$1"
}
server_run main "$main"
system=$(pg_controldata "$main" | sed -n 's/^Database system identifier: *//p')
sql main "create tablespace odd location '$place'" >/dev/null
sql main "create table t tablespace odd as select generate_series(1, 1000) i"
expect_status 0 basebackup-push --checkpoint=fast --label "a \"b\" 'c' \\d \$e é"
id=$(tail -1 <<<"$output")
segment=$(sql main "select pg_walfile_name(pg_switch_wal())")
stored() { [ -e "repository/$(wal_key "$segment")" ]; }
wait_until 60 "archiving" stored

step "restored under names with blanks, quotes, line ends and UTF-8, and recovered there"
copy=$odd/$'line\nend é'
moved=$T/$'moved "x"\nline é'
expect_status 0 basebackup-fetch -D "$copy" -T "${place//=/\\=}=$moved"
expect_status 0 pg_verifybackup -n -q "$copy"
expect_equal "where the tablespace lies" "$moved" "$(readlink "$copy"/pg_tblspc/*)"
expect_status 0 recovery-config -D "$copy"
server_run copy "$copy"
wait_until 60 "the end of recovery" is_open copy
expect_equal "rows" 1000 "$(sql copy "select count(*) from t")"
pg_ctl -D "$copy" -s -w -m fast stop
rm -rf "$copy" "$moved"

step "a directory of almost 4,000 bytes, and one beyond"
long_path() { # BYTES
    local path=$T/long
    while [ ${#path} -lt $(($1 - 203)) ]; do path+=/$(printf 'x%.0s' {1..200}); done
    path+=/$(printf 'y%.0s' $(seq $(($1 - ${#path} - 1))))
    printf %s "$path"
}
content() { (cd "$1" && find . -path ./pg_tblspc -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); } # DIRECTORY
expect_status 0 basebackup-fetch --quiet -D "$T/copy" -T "${place//=/\\=}=$T/moved"
content copy >expected
rm -rf copy moved
for bytes in 3900 4000; do # the files' own paths are longer still
    (exec basebackup-fetch --quiet -D "$(long_path $bytes)" -T "${place//=/\\=}=$T/moved") || fail "status $? with $bytes bytes"
    content "$(long_path $bytes)" >found
    expect_same "the files" expected found
    rm -rf long moved
done
status=0
output=$(basebackup-fetch --quiet -D "$(long_path 5000)" -T "${place//=/\\=}=$T/moved" 2>&1) || status=$?
expect_equal "status with 5000 bytes" 1 $status
expect_output "File name too long"
expect_absent long moved

# ---- too little of something: more of it step by step, until it is enough

keys=repository new=new
. "$here/cases.sh"
squeeze() { # NAME ULIMIT-OPTION FIRST MOST PERCENT: each step is so much more than the one before, at least 1
    local value=$3 failures=0
    choose "$1"
    while :; do
        expect_true "enough at last, not at $value" test "$value" -le "$4"
        "${name}_reset"
        status=0
        # a time limit of its own: a program that hangs is a finding
        output=$(ulimit "$2" "$value" && exec timeout -k 5 60 "${command[@]}" 2>&1) || status=$?
        # The limit may be too narrow for the tools around the program, or for its loader.
        case $output in *"error while loading"* | *"failed to map segment"* | "timeout: "* | *": fork: "* | *"cannot allocate memory in static TLS"*) status=127 ;; esac
        # shellcheck disable=SC2254
        case $status in
        0) "${name}_whole" || fail "$name $2 $value: success, but it is not done: $output" ;;
        $failing | 2)
            failures=$((failures + 1))
            grep -Eiq 'error:' <<<"$output" && grep -Eiq 'memory|too many open files|could not (start|create)|resource temporarily|cannot allocate|no space|failed|library|could not' <<<"$output" ||
                fail "$name $2 $value: no clear error: $output" ;;
        126 | 127) ;;
        *) fail "$name $2 $value: status $status: $output" ;;
        esac
        "${name}_check"
        [ "$status" != 0 ] || break
        value=$((value + (value * $5 / 100 > 0 ? value * $5 / 100 : 1)))
    done
    echo "$name: $2 $value is enough; $failures times it was told that less is not"
    told=$((told + failures))
}
cases_prepare
told=0
sanitized() { nm -D "$PROGRAMS/wal-push" | grep __asan_init >/dev/null; }
if sanitized; then echo "memory: not tried, the programs' AddressSanitizer needs terabytes of addresses"
else
    for program in fetch push init check list config restore backup; do
        step "$program: memory (RLIMIT_AS)"
        squeeze $program -v 16000 2000000 $((FULL ? 3 : 12))
    done
    expect_true "times that too little memory was told ($told)" test $told -ge 8
fi
rm -rf restored moved copy/*.signal
touch copy/recovery.signal
told=0
for program in fetch push init check list config restore backup; do
    step "$program: open files"
    squeeze $program -n 4 200 $((FULL ? 1 : 15))
done
expect_true "times that too few files were told ($told)" test $told -ge 8
expect_true "the server is well" sql_is main 1 "select 1"

step "file sizes: RLIMIT_FSIZE, which PostgreSQL's children don't die of"
trap '' XFSZ
for program in push fetch restore backup; do
    [ $program != fetch ] || { rm -f copy/*.signal && touch copy/recovery.signal; }
    squeeze $program -f 8 2000000 $((FULL ? 50 : 300))
done
trap - XFSZ

step "memory does not grow with the number of files" # wound: wal-g#738, #1987, pgbackrest#1118
files() { # NUMBER: so many that do not compress, nor do their names; a part holds some 6,000 of them
    python3 - "$main/many" "$1" <<'PY'
import hashlib, os, sys
for i in range(int(sys.argv[2])):
    os.makedirs(f"{sys.argv[1]}/{i % 100}", exist_ok=True)
    with open(f"{sys.argv[1]}/{i % 100}/{hashlib.shake_256(b'%d' % i).hexdigest(100)}", "wb") as file:
        file.write(os.urandom(2048))
PY
}
peak() { # COMMAND...: KiB
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)' "$@"
}
peaks() { # of a backup, its restore, the list, its copy
    rm -rf restored moved copies
    mkdir copies
    repository-init --config "$T/sync.conf" >init.log 2>&1 || fail "$(cat init.log)"
    peak basebackup-push --quiet --checkpoint=fast --jobs 1
    peak basebackup-fetch --quiet --jobs 1 -D "$T/restored" -T "${place//=/\\=}=$T/moved"
    peak basebackup-list --quiet
    peak repository-sync --quiet --jobs 1 --config "$T/sync.conf" --from here --to copies
}
(cat "$CONFIG" && printf '[repository copies]\nurl = file://%s\n' "$T/copies") >sync.conf
chmod 600 sync.conf
files 20000 # more than one part full: buffers have their size by then
peaks >few
files $((FULL ? 110000 : 40000))
peaks >many
paste few many
if sanitized; then echo "not compared: AddressSanitizer keeps what was freed"
else expect_equal "those that grew by 4 MiB" "" "$(paste few many | awk '$2 - $1 > 4096')"; fi
rm -rf "$main/many" restored moved copies

# ---- a clock that is off

step "the clocks of the store and of this machine are an hour apart"
fault_server faults
STORE=s3 config_write $'[basebackup]\njobs = 2\nwal_timeout = 30'
sed -i "s|^pgdata = .*|pgdata = ${main//\\/\\\\}|" "$CONFIG"
cp "$CONFIG" archive.conf
for seconds in 3600 -3600; do
    bucket_empty
    rm -rf state restored moved
    script "set clock $seconds"
    apart() { expect_output "the clock of this machine and that of .* are 3[56][0-9][0-9] s apart"; }
    expect_status 0 repository-init
    apart
    expect_status 0 basebackup-push --checkpoint=fast
    apart
    expect_status 0 basebackup-list
    apart
    expect_output "walferry"
    expect_status 0 basebackup-fetch -D "$T/restored" -T "${place//=/\\=}=$T/moved"
    apart
    expect_status 0 pg_verifybackup -n -q restored
    expect_status 0 recovery-config -D "$T/restored" --target-lsn "$(backup_end restored)" --dry-run
    expect_status 0 repository-check
    expect_output "clock of this machine"
done
step "a store that can't be satisfied: what to do is said"
script "GET * 1 - status=403 code=RequestTimeTooSkewed" "LIST * 1 - status=403 code=RequestTimeTooSkewed"
rm -rf restored moved
for one in "basebackup-push --checkpoint=fast" basebackup-list "basebackup-fetch -D $T/restored" repository-init repository-check; do
    # shellcheck disable=SC2086
    expect_status 1 $one
    expect_output "RequestTimeTooSkewed|not accepted"
    expect_output "Set the clock of this machine|clock"
done
pg_ctl -D "$main" -s -w -m fast stop
