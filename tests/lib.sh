# lib.sh: what a scenario needs; sourced as its first act. tests/run sets:
#   STORE     file or s3: where this scenario's repository lies
#   T         the scenario's own directory: made here, removed here with everything that was started
#   PROGRAMS  directory of walferry's programs       PG_BIN  that of PostgreSQL's (OLD_PG_BIN: of the older of two)
#   SOURCE    the source tree (read only)            KEEP    where logs go when the scenario fails
#   SLOW      empty, or how many times as long everything may take
#   ENCRYPTED empty, or 1: the repository under test is encrypted, with the key file $T/key
#   SECRETS   tests/secrets.c, built: looks for the secrets of this scenario in all that it leaves behind
#   SEED, FULL (empty, or 1: larger numbers)         S3_*    as tests/ceph or tests/swift writes them, for STORE=s3
#   S3_SERVER  for STORE=s3: ceph or swift           S3_ROLE   empty, or the policy of the programs' user (the tests' own may all)
# A scenario that reaches its end and leaves no process behind has passed. Helpers that start processes remember nothing but $T:
# whatever lives with WALFERRY_TEST=$T in its environment is ours.
set -Eeuo pipefail
shopt -s inherit_errexit
exec 2>&1 </dev/null
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/environment.sh"
PATH=$PROGRAMS:$PG_BIN:$PATH
mkdir -p "$T/run" "$T/tmp"
cd "$T"
CONFIG=$T/walferry.conf
major=$(postgres --version | grep -oE '[0-9]+' | head -1) # of the servers in PG_BIN
export TMPDIR=$T/tmp PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10 WALFERRY_TEST=$T WALFERRY_CONFIG=$CONFIG
RANDOM=$((SEED % 32768))

# ---- secrets: what is registered is looked for in the arguments and the environment of what runs, and in the end in all files of
# ---- $T and in this output: a find is a failure (tests/secrets.c)

secret() { # NAME VALUE...
    local name=$1 value
    shift
    for value; do secret_in "$name" <(printf %s "$value"); done
}
secret_in() { # NAME FILE: all of its bytes
    printf '%s %s\n' "$1" "$(od -An -v -tx1 "$2" | tr -d ' \n')" >>"$T/.secrets"
}
secret_place() { printf '%s\n' "$@" >>"$T/.secrets.places"; } # PATTERN...: where secrets may be, relative to $T; "private:": if nobody else reads it
secret_place '*.conf' '*.conf.*' '[0-9]*/*.conf' 'private:state*/credentials-*.json' 'private:[0-9]*/state*/credentials-*.json'
for name in S3_SECRET_KEY S3_GUEST_SECRET_KEY; do [ -z "${!name:-}" ] || secret "the key of $name" "${!name}"; done
: >>"$T/.secrets"
secrets_made() { # what the programs and the store have made: registers it
    local file number hex
    find "$T" -path '*/state*/credentials-*.json' -exec grep -ahoE '"(secret_key|session_token)":"[^"]*"' {} + | cut -d'"' -f2,4 | tr '"' ' ' |
        while read -r file hex; do secret "the $file of remembered credentials" "$hex"; done
    [ -n "${ENCRYPTED:-}" ] && [ -e "$T/key" ] && sealed_keys main && "$here/sealed" keys "$T/key" "$T/sealed-keys" | while read -r number hex; do
        printf 'the key of epoch %s %s\n' "$number" "$hex" >>"$T/.secrets"
    done
}
secrets_kept() {
    [ -n "${SECRETS:-}" ] || return 0
    chmod -R u+rwX "$T" 2>/dev/null
    secrets_made >"$T/secrets.log" 2>&1
    "$SECRETS" find "$T/.secrets" "$T/.secrets.places" "$T" "/proc/$$/fd/1" && [ ! -e "$T/.secrets.seen" ] &&
        return 0 # without a number, in a trap, it would be that of what ended the scenario
    [ ! -e "$T/.secrets.seen" ] || cat "$T/.secrets.seen"
    return 1
}

# ---- saying and expecting

step() { printf '== %s (%d s)\n' "$*" "$SECONDS"; }
fail() { # what was expected and what was found
    printf 'FAILED at %s:%s: %s\n' "${BASH_SOURCE[-1]##*/}" "$(scenario_lines)" "$*"
    exit 1
}
scenario_lines() { # where we are in the scenario: the line, and those that called its function
    local i lines=
    for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
        [ "${BASH_SOURCE[i]}" != "${BASH_SOURCE[-1]}" ] || lines+=${lines:+ from }${BASH_LINENO[i - 1]}
    done
    echo "$lines"
}
skip() { echo "skipped: $*"; exit 77; }

expect_equal() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}
expect_true() { # WHAT COMMAND...
    local what=$1
    shift
    "$@" || fail "$what: not so: $*"
}
expect_absent() { # PATH...
    local path
    for path; do [ ! -e "$path" ] && [ ! -L "$path" ] || fail "$path: expected nothing there, found $(ls -ld "$path")"; done
}
expect_same() { # WHAT EXPECTED-FILE FOUND-FILE
    cmp -s "$2" "$3" || { diff "$2" "$3" >"$T/difference" || true; head -20 "$T/difference"; fail "$1: $3 is not what $2 says"; }
}
# expect_status STATUS COMMAND...: what it printed is in $output afterwards.
expect_status() {
    local expected=$1 status=0
    shift
    output=$("$@" 2>&1) || status=$?
    echo "\$ ${*//$T\//} -> $status"
    [ -z "$output" ] || printf '%s\n' "${output//$T\//}" | sed 's/^/    /'
    [ "$status" = "$expected" ] || fail "exit status of $*: expected $expected, found $status"
}
expect_output() { # extended regular expression, in $output of the last expect_status
    grep -Eiq -- "$1" <<<"$output" || fail "expected a message like \"$1\", found \"$output\""
}
slowly() { echo $(($1 * ${SLOW:-1})); } # NUMBER: so much time, where the programs are slow
wait_until() { # SECONDS WHAT COMMAND...: tries until the command succeeds
    local end=$((SECONDS + $1 * ${SLOW:-1})) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $what ($*)"
        sleep 0.1
    done
}

# ---- the repository under test, seen without walferry

config_write() { # [EXTRA-LINES]: $CONFIG for the store under test; the repository is empty
    local name=${CONFIG_NAME:-main}
    [ -z "${ENCRYPTED:-}" ] || [ -e "$T/key" ] || key_write key
    {
        printf '[cluster]\nname = %s\npgdata = %s\nconninfo = host=%s user=postgres\nstate_dir = %s\n' \
            "$name" "$T/main" "$T/run/main" "$T/state"
        if [ "$STORE" = file ]; then
            printf '[repository here]\nurl = file://%s\n' "$T/repository"
            mkdir -p "$T/repository"
        else
            local access_key=$S3_ACCESS_KEY secret_key=$S3_SECRET_KEY
            [ -z "${S3_ROLE:-}" ] || access_key=$S3_GUEST_ACCESS_KEY secret_key=$S3_GUEST_SECRET_KEY
            printf '[repository here]\nurl = s3://%s/%s\nregion = %s\nendpoint = %s\nca_file = %s\naccess_key = %s\nsecret_key = %s\n' \
                "$S3_BUCKET" "$S3_PREFIX" "$S3_REGION" "$S3_ENDPOINT" "$S3_CA" "$access_key" "$secret_key"
            # else what it stores would be its own
            [ -z "${S3_ROLE:-}" ] || echo 'header.x-amz-acl = bucket-owner-full-control'
        fi
        [ -z "${ENCRYPTED:-}" ] || printf 'encryption_key_file = %s\n' "$T/key"
        printf '%s\n' "${1:-}"
    } >"$CONFIG"
    chmod 600 "$CONFIG"
}
key_write() { # NAME: a key file $T/NAME
    (umask 077 && head -c 32 /dev/urandom >"$T/$1")
    secret_in "the key file $1" "$T/$1"
    secret_place "$1"
}
s3() { "$here/s3" "$@"; }
raw_list() { # "KEY BYTES" a line
    if [ "$STORE" = file ]; then (cd "$T/repository" && find . -type f -printf '%P %s\n')
    else s3 list "$S3_PREFIX/" | sed "s|^$S3_PREFIX/||"; fi
}
object_list() { # "KEY BYTES" a line, keys as in docs/format.md, sorted, without those of keys/
    raw_list | sed "${ENCRYPTED:+/^[^/]*\/keys\//d}" | LC_ALL=C sort
}
object_sums() { # "KEY BYTES SHA256" a line, sorted
    if [ "$STORE" = file ]; then
        (cd "$T/repository" && find . -type f -printf '%P\n' | while read -r key; do
            echo "$key $(stat -c %s "$key") $(sha256sum <"$key" | cut -d' ' -f1)"; done)
    else s3 sums "$S3_PREFIX/" | sed "s|^$S3_PREFIX/||"; fi | LC_ALL=C sort
}
object_get() { # KEY FILE: its content, also of an encrypted one
    raw_get "$1" "$2" || return
    ! is_sealed "$1" || { mv "$2" "$2.sealed" && sealed open "$1" "$2.sealed" "$2" && rm "$2.sealed"; }
}
object_put() { # KEY FILE: whatever is there
    ! is_sealed "$1" || { sealed close "$1" "$2" "$T/closed"; set -- "$1" "$T/closed"; }
    raw_put "$1" "$2"
}
is_sealed() { [ -n "${ENCRYPTED:-}" ] && [[ $1 =~ ^[^/]+/[0-9]+/ ]]; }
sealed() { # open|close KEY FROM TO
    sealed_keys "${2%%/*}"
    "$here/sealed" "$1" "$T/key" "$T/sealed-keys" "${2#*/}" "$3" "$4"
}
sealed_keys() { # CLUSTER
    local keys=$T/sealed-keys key
    rm -rf "$keys" && mkdir -p "$keys/keys"
    for key in cluster.json $(raw_list | sed -n "s|^$1/\(keys/[^ ]*\) .*|\1|p"); do raw_get "$1/$key" "$keys/$key"; done
}
raw_get() { if [ "$STORE" = file ]; then cp "$T/repository/$1" "$2"; else s3 get "$S3_PREFIX/$1" "$2"; fi; } # KEY FILE: as it lies there
raw_put() { # KEY FILE
    if [ "$STORE" = file ]; then mkdir -p "$(dirname "$T/repository/$1")" && rm -f "$T/repository/$1" && cp "$2" "$T/repository/$1"
    else s3 put "$S3_PREFIX/$1" "$2"; fi
}
object_delete() { if [ "$STORE" = file ]; then rm "$T/repository/$1"; else s3 delete "$S3_PREFIX/$1"; fi; }
object_exists() { grep -q "^$1 " <<<"$(object_list)"; } # no pipe: grep -q would end it, and the writer fail
remembered='(cluster|epoch|recovery|push-failed|key-[0-9]{8}\.[0-9a-f]{16}\.[0-9a-f]{16})-[0-9a-f]{16}\.json|backup-[0-9]{8}T[0-9]{6}Z-[0-9A-F]{8}-[0-9A-F]{16}\.(json|index-[0-9]+)|stored-ahead|handed-over|instance-metadata|outcome-[a-z-]+-[0-9A-Za-z._-]+\.json|credentials-[0-9a-f]{16}\.(json|lock)|(wal-push|gaps|epoch|outcome)\.lock' # names in state_dir (docs/leftovers.md)
wal_key() { # NAME -> its key; the cluster's system identifier is $system
    case $1 in *.history) echo "main/$system/wal/$1" ;; *) echo "main/$system/wal/${1:0:16}/$1" ;; esac
}
page_commands() { # HEADING: the commands of docs/exit-status.md below the paragraph that begins so
    awk -v heading="**\"$1" '/^\*\*/ { here = index($0, heading) == 1 } /^```$/ { on = 0 } here && on; /^```sh$/ { on = 1 }' \
        "$SOURCE/docs/exit-status.md" | grep . || fail "docs/exit-status.md has no commands for \"$1\""
}
# make_room NAME: docs/exit-status.md's own commands move this file, and what lies behind it on its timeline, aside; for S3 they
# are run on a directory that shows its keys. $moved: the names.
make_room() {
    local root=$T/repository key aside
    page_commands "... is in repository ... already" >"$T/make_room.sh"
    if [ "$STORE" = s3 ]; then
        root=$T/keys
        rm -rf "$root"
        object_list | while read -r key _; do mkdir -p "$root/$(dirname "$key")" && echo "$key" >"$root/$key"; done
    fi
    REPO=$root/main/$system REFUSED=$1 expect_status 0 sh -eu "$T/make_room.sh"
    aside=$(ls -d "$root/main/$system/aside-$1"-*)
    moved=$(find "$aside" -maxdepth 1 -type f -printf '%f\n' | LC_ALL=C sort)
    [ "$STORE" = file ] || find "$aside" -type f | while read -r file; do
        key=$(cat "$file")
        object_get "$key" "$T/moved"
        object_put "main/$system/${file#"$root/main/$system/"}" "$T/moved"
        object_delete "$key"
    done
}

# ---- PostgreSQL servers: NAME lives in $T/NAME, listens in $T/run/NAME only, writes $T/NAME.log

server_create() { # NAME [INITDB-OPTION...]
    local name=$1
    shift
    initdb -D "$T/$name" -U postgres -A trust -E UTF8 --locale=C --no-sync "$@" >"$T/initdb.log" || { cat "$T/initdb.log"; fail "initdb"; }
    server_settings "$name" >>"$T/$name/postgresql.conf"
}
server_settings() {
    cat <<CONF
fsync = off                     # only this machine's crash would matter, and then the test is gone too
dynamic_shared_memory_type = mmap
shared_buffers = 32MB
max_connections = 30
wal_level = replica
archive_mode = on
archive_command = '$PROGRAMS/wal-push --config $CONFIG %p'
log_line_prefix = '%m [%p] '
log_checkpoints = off
CONF
}
server_start() { # NAME [MORE-PG_CTL-OPTIONS...]
    local name=$1
    shift
    mkdir -p "$T/run/$name"
    pg_ctl -D "$T/$name" -l "$T/$name.log" -s -w -t 60 -o "-k $T/run/$name -c listen_addresses=''" "$@" start ||
        { tail -20 "$T/$name.log"; fail "server $name did not start"; }
}
server_fails() { # NAME PATTERN: it is started and ends by itself in recovery, never open; its log says why
    mkdir -p "$T/run/$1"
    : >"$T/$1.log"
    pg_ctl -D "$T/$1" -l "$T/$1.log" -s -w -t 60 -o "-k $T/run/$1 -c listen_addresses=''" start || true
    wait_until 60 "the end of server $1" is_open_or_gone "$1"
    sed 's/^/    /' "$T/$1.log"
    expect_true "server $1 has ended" server_is_gone "$1"
    expect_true "server $1 stopped in recovery" grep -q "FATAL" "$T/$1.log"
    expect_equal "server $1 was opened" 0 "$(grep -c "archive recovery complete" "$T/$1.log" || true)"
    expect_true "the log of $1 says why" grep -Eiq -- "$2" "$T/$1.log"
}
server_is_gone() { ! pg_ctl -D "$T/$1" status; }
server_stop() { pg_ctl -D "$T/$1" -s -w -t 60 -m "${2:-fast}" stop; } # NAME [MODE]
server_kill() { destroy_server "$T/$1"; } # NAME: SIGKILL to all its processes at once
sql() { # NAME STATEMENT...: unaligned rows
    local name=$1 statement arguments=()
    shift
    for statement; do arguments+=(-c "$statement"); done
    psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$T/run/$name" "${arguments[@]}"
}
is_open() { [ "$(sql "$1" 'select pg_is_in_recovery()')" = f ]; }
is_open_or_gone() { is_open "$1" || ! pg_ctl -D "$T/$1" status; }
wait_open() { # NAME: recovery has ended, the server takes writes
    wait_until 120 "the end of recovery of $1" is_open_or_gone "$1"
    is_open "$1" || fail "server $1 ended during recovery"
}
wait_paused() { # NAME: recovery is at its target
    wait_until 120 "recovery of $1 at its target" sql_is "$1" t \
        "select $([ "$major" -ge 14 ] && echo "pg_get_wal_replay_pause_state() = 'paused'" || echo "pg_is_wal_replay_paused()")"
}
sql_is() { [ "$(sql "$1" "$3")" = "$2" ]; } # NAME VALUE STATEMENT
archived() { # NAME: switches segments and waits until everything so far is in the archive
    local segment before='' # since 17 an LSN between two segments belongs to the second
    [ "$major" -lt 17 ] || before=" - 1"
    segment=$(sql "$1" "select pg_walfile_name(pg_switch_wal()$before)")
    wait_until 60 "archiving of $segment" sql_is "$1" t \
        "select coalesce(substr(last_archived_wal, 1, 24) >= '$segment', false) from pg_stat_archiver"
}
backup_by_hand() { # NAME: a .backup file in its pg_wal
    if [ "$major" -ge 15 ]; then sql "$1" "select pg_backup_start('by hand', true)" "select pg_backup_stop(false)"
    else sql "$1" "select pg_start_backup('by hand', true, false)" "select pg_stop_backup(false, false)"; fi >/dev/null
}
backup_end() { sed -n 's|.*"End-LSN": "\([0-9A-F/]*\)".*|\1|p' "$1/backup_manifest"; } # DIRECTORY: LSN behind the backup restored there
system_identifier() { pg_controldata "$T/$1" | sed -n 's/^Database system identifier: *//p'; }

# ---- the ledger: numbered commits of several clients, and what the clients know of them

# Client K of life L commits (L, K, 1), (L, K, 2), ... one after the other; a life is one run of ledger_start.
# Each commit holds lock 7 shared, so whoever has it alone stands between two commits: see ledger_instant.
ledger_create() { sql "$1" "create table ledger (life int, client int, n int, at timestamptz not null, primary key (life, client, n))"; }
ledger_start() { # NAME LIFE [CLIENTS]: in the background, with pgbench's own load beside it where its tables are
    cat >"$T/ledger.sql" <<'SQL'
\set n :n + 1
begin;
select pg_advisory_xact_lock_shared(7);
insert into ledger values (:life, :client_id, :n, clock_timestamp());
commit;
SQL
    pgbench -n -h "$T/run/$1" -f "$T/ledger.sql" -D n=0 -D life="$2" -c "${3:-3}" -j 1 -R 150 -T 3600 -l \
        --log-prefix="$T/client.$2" >"$T/ledger.$2.log" 2>&1 &
    ledger_pid=$! ledger_server=$1 load_pid=
    if [ -n "$(sql "$1" "select to_regclass('pgbench_accounts')")" ]; then
        pgbench -n -h "$T/run/$1" -c 2 -j 1 -R 200 -T 3600 >"$T/load.$2.log" 2>&1 &
        load_pid=$!
    fi
}
# Also after the server is gone. A pgbench that lost its connections writes its record to the end, a killed one does not.
ledger_stop() {
    sql "$ledger_server" "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgbench'" >/dev/null 2>&1 || true
    wait "$ledger_pid" || true
    [ -z "$load_pid" ] || wait "$load_pid" || true
}
ledger() { sql "$1" "select life, client, n from ledger order by 1, 2, 3"; } # NAME
# ledger_instant NAME FILE: sets $instant to a time between two commits and writes the ledger as it stands there.
ledger_instant() {
    sql "$1" "select pg_advisory_lock(7)" "\\o $2" "select life, client, n from ledger order by 1, 2, 3" "\\o" \
        "select pg_sleep(0.02)" "\\o $2.time" "select clock_timestamp()" "\\o" "select pg_sleep(0.02)" >/dev/null
    instant=$(cat "$2.time")
    echo "instant $instant: $(wc -l <"$2") entries"
}
# What the clients of a life were told is committed, as "LIFE|CLIENT|N": pgbench logs every answered commit, and what was a
# deadlock's victim.
ledger_acknowledged() { cat "$T/client.$1".* | awk -v life="$1" '$3 != "failed" {print life "|" $1 "|" $2}' | sort -t'|' -k2n -k3n; } # LIFE
# expect_ledger NAME FILE: exactly these entries.
expect_ledger() {
    ledger "$1" >"$T/found"
    expect_true "the expected ledger of $1 is not empty" test -s "$2"
    expect_same "ledger of $1" "$2" "$T/found"
}

# ---- the end

clean_up() {
    local status=$? file left
    trap '' INT TERM HUP
    trap - ERR
    set +e
    # shellcheck disable=SC2046
    kill $(jobs -p) 2>/dev/null
    left=$(end_processes_of "$T")
    [ -z "$left" ] || { echo "FAILED: $left"; [ "$status" != 0 ] || status=1; }
    secrets_kept || { echo "FAILED: a secret was told, or not looked for"; [ "$status" != 0 ] || status=1; }
    if [ "$status" != 0 ] && [ "$status" != 77 ] && [ -n "${KEEP:-}" ]; then
        mkdir -p "$KEEP" && cp "$T"/*.log "$CONFIG" "$T"/*/postgresql.auto.conf "$KEEP" 2>/dev/null
        for file in "$T"/*.log; do
            [ ! -s "$file" ] || [ "${file##*/}" = initdb.log ] || { echo "-- end of ${file##*/}:"; tail -n 10 "$file"; }
        done
    fi
    cd /
    chmod -R u+rwX "$T" 2>/dev/null
    rm -rf "$T"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'echo "FAILED at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR
echo "store $STORE, seed $SEED"
