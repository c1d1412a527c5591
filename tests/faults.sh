# faults.sh: the fault server in a scenario, and tables of what is to be expected of it; sourced behind lib.sh.
shopt -s extglob
export S3_REGION=test-1 S3_ACCESS_KEY=FAULTS S3_SECRET_KEY=does/not+matter S3_BUCKET=bucket S3_PREFIX=pg S3_CA=$T/ca.pem
secret "the key of S3_SECRET_KEY" "$S3_SECRET_KEY"

# ---- certificates: certificate NAME AUTHORITY SUBJECT-ALT-NAME [DAYS] makes NAME.pem, authority NAME makes NAME.pem

authority() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.pem" -days 30 -subj "/CN=$1" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" 2>openssl.log || fail "$(cat openssl.log)"
}
certificate() {
    {
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
        printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth' "$3" >"$1.extensions"
        openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days "${4:-30}" -extfile "$1.extensions" -out "$1.crt"
    } 2>openssl.log || fail "$(cat openssl.log)"
    cat "$1.crt" "$1.key" >"$1.pem"
}

# ---- the server and its script

fault_server() { # NAME [CERTIFICATE]: its directory is $T/NAME; sets S3_ENDPOINT and server_pid
    mkdir -p "$T/$1/objects/$S3_BUCKET"
    rm -f "$T/$1/port"
    "$here/fault-server" "$T/$1" ${2:+"$2"} >>"$T/$1.log" 2>&1 &
    server_pid=$!
    wait_until 20 "fault server $1" test -s "$T/$1/port"
    export S3_ENDPOINT
    S3_ENDPOINT=http${2:+s}://127.0.0.1:$(<"$T/$1/port")
}
bucket_empty() { # also of what the server knows of versions
    rm -rf "$T/faults/objects/$S3_BUCKET"
    mkdir "$T/faults/objects/$S3_BUCKET"
}
script() { # [LINE...]: what goes wrong from now on; nothing without a line. The log of requests begins anew.
    printf '%s\n' "# $EPOCHREALTIME" "$@" >"$T/faults/script.new"
    mv "$T/faults/script.new" "$T/faults/script"
    : >"$T/faults/requests"
}
requests() { grep -Ec "^$1" "$T/faults/requests" || true; } # REGULAR-EXPRESSION: how many there were
expect_requests() { # EXPECTED REGULAR-EXPRESSION: exactly N; "N+": at least
    local found
    found=$(requests "$2")
    if [ "${1%+}" = "$1" ]; then expect_equal "requests \"$2\"" "$1" "$found"
    else expect_true "at least ${1%+} requests \"$2\" ($found)" test "$found" -ge "${1%+}"; fi
}

# ---- tables: a row that is not as expected does not keep the others from being looked at; most of them do nothing but wait for
# ---- a time limit, so several shards of a scenario run at once, each with a server of its own and its share of the rows

shard=0 shards=1 rows=0 wrong_rows=()
# in_shards NUMBER FUNCTION: so often at once, in directories of their own
in_shards() {
    local pids=() failed=0 number
    shards=$1
    for ((number = 0; number < shards; number++)); do
        (
            trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
            mkdir -p "$T/$number/run" "$T/$number/tmp"
            [ ! -e "$T/template" ] || cp -r "$T/main" "$T/target" "$T/template" "$T/$number"
            shard=$number T=$T/$number
            export TMPDIR=$T/tmp CONFIG=$T/walferry.conf WALFERRY_CONFIG=$T/walferry.conf
            cd "$T"
            "$2"
        ) >"shard.$number.out" 2>&1 &
        pids+=($!)
    done
    for number in "${pids[@]}"; do wait "$number" || failed=$((failed + 1)); done
    cat shard.*.out
    grep -h '^WRONG: ' shard.*.out || true
    [ $failed = 0 ] || fail "$failed of $shards shards failed"
}
every=1 # in a table so many lines take turns, from seed to seed; those below "# wound: ..." have theirs each time
# table COMMAND...: for each line "A | B | C" of standard input (blanks around the bar) runs COMMAND A B C.
table() {
    local line fields wound=
    while IFS= read -r line <&3; do
        [[ $line != '# wound: '* ]] || wound=1
        [[ -n $line && $line != \#* ]] || continue
        if [ -z "$FULL$wound" ] && [ $(((rows / shards + SEED) % every)) != 0 ]; then
            rows=$((rows + 1))
            continue
        fi
        wound=
        IFS=$'\t' read -r -a fields <<<"${line//+( )\|+( )/$'\t'}"
        row "$line" "$@" "${fields[@]}"
    done 3<&0
}
row() { # WHAT COMMAND...: counted
    local what=$1
    shift
    rows=$((rows + 1))
    [ $((rows % shards)) = "$shard" ] || return 0
    echo "-- row $rows: $what"
    ("$@") || wrong_rows+=("row $rows: $what")
}
expect_rows() { # NUMBER, or "NUMBER+": so many were there, and none was wrong. The last act.
    if [ "${1%+}" = "$1" ]; then expect_equal "rows" "$1" "$rows"
    else expect_true "at least ${1%+} rows" test "$rows" -ge "${1%+}"; fi
    [ ${#wrong_rows[@]} = 0 ] || { printf 'WRONG: %s\n' "${wrong_rows[@]}"; fail "${#wrong_rows[@]} rows are not as expected"; }
    echo "shard $shard of $shards: its part of $rows rows is as expected (${SECONDS} s)"
}

# ---- a cluster without a server: system, a data directory with segments 1 to 9 of timeline 1 (1 MiB each) and its files

S() { printf '%08X00000000%08X' "${2:-1}" "$1"; } # NUMBER [TIMELINE]: a segment's name
# segment_write NUMBER FILE [TIMELINE]: a segment whose first page is that of a real one, and whose content cannot be compressed
segment_write() {
    local address hex
    printf -v hex '%016x' $(($1 * 1048576))
    address=$(sed 's/../\\x&/g' <<<"${hex:14:2}${hex:12:2}${hex:10:2}${hex:8:2}${hex:6:2}${hex:4:2}${hex:2:2}${hex:0:2}")
    { head -c 8192 "$T/template" && openssl enc -aes-128-ctr -nosalt -K "$(printf '%032x' "$1")" -iv 0 -in /dev/zero 2>/dev/null |
        head -c $((1048576 - 8192)); } >"$2" || true
    printf "$address" | dd of="$2" bs=1 seek=8 conv=notrunc status=none
    printf "\\x0${3:-1}" | dd of="$2" bs=1 seek=4 conv=notrunc status=none
}
cluster_create() { # main, as far as the programs look at it, and target, a directory that is being recovered
    local number segments
    server_create initdb --wal-segsize=1
    mkdir -p main/pg_wal target/pg_wal
    cp -r initdb/global initdb/PG_VERSION main/
    cp -r initdb/global initdb/PG_VERSION target/
    segments=(initdb/pg_wal/0*)
    mv "${segments[0]}" template
    system=$(system_identifier initdb)
    rm -rf initdb
    for number in 1 2 3 4 5 6 7 8 9; do segment_write $number "main/pg_wal/$(S $number)"; done
    printf '1\t0/500100\tno recovery target specified\n' >main/pg_wal/00000002.history
    segment_write 6 "main/pg_wal/$(S 6 2)" 2
}
