#!/bin/bash
# goal: several calls at once with different content for one name: one content is served, every other caller is told, now and ever after
# stores:
# turns: file s3
# full-encrypted: file
# limit: 300
. "$(dirname "$0")/../lib.sh"
ceph=$(env | grep '^S3_' || true)
. "$here/faults.sh"
while IFS='=' read -r name value; do [ -z "$name" ] || export "$name=$value"; done <<<"$ceph"

racers=8
secret_place 'private:racer.*/home.conf'
# race COMMAND...: in the directories racer.1 to racer.8 at the same moment; output.N is what each printed, $statuses how they ended
cat >race.py <<'PY'
import os, sys
count, command = int(sys.argv[1]), sys.argv[2:]
hold, go = os.pipe()
pids = []
for number in range(1, count + 1):
    pid = os.fork()
    if pid == 0:
        os.chdir(f"racer.{number}")
        output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(output, 1), os.dup2(output, 2)
        os.close(go)
        os.read(hold, 1) # until the parent lets go
        os.execvp(command[0], command)
    pids.append(pid)
os.close(hold)
os.close(go)
print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
PY
race() {
    read -r -a statuses <<<"$(python3 race.py $racers "$@")"
    echo "race: $*: ${statuses[*]}"
}
in_turn() { # COMMAND...: as PostgreSQL does that asks again; sets $statuses
    local number
    statuses=()
    for ((number = 1; number <= racers; number++)); do
        (cd "racer.$number" && "$@" >output 2>&1) && statuses+=(0) || statuses+=($?)
    done
    echo "in turn: $*: ${statuses[*]}"
}
said() { cat racer.*/output; }

step "a cluster, and its copies: each writes other content under the same names"
cluster_create
for ((number = 1; number <= racers; number++)); do
    mkdir -p "racer.$number/pg_wal"
    cp -r main/global main/PG_VERSION "racer.$number/"
done
# contents NAME COUNT: the file NAME in each copy; so many different ones, taken in turn
contents() {
    local number which
    rm -f racer.*/pg_wal/*
    [[ $1 = *.history ]] || segment_write $((16#${1:16:8})) segment
    for ((number = 1; number <= racers; number++)); do
        which=$((number % $2 + 1))
        case $1 in
        *.history) printf '1\t0/500100\tcopy %s\n' $which >"racer.$number/pg_wal/$1" ;;
        *.backup) sed "s/(file .*)/(file ${1:0:24})/; s/^LABEL.*/LABEL: copy $which/" label >"racer.$number/pg_wal/$1" ;;
        *)
            cp segment "racer.$number/pg_wal/$1"
            printf 'copy %s' $which | dd of="racer.$number/pg_wal/$1" bs=1 seek=500000 conv=notrunc status=none ;;
        esac
    done
}
cat >label <<'LABEL'
START WAL LOCATION: 0/500028 (file 000000010000000000000005)
STOP WAL LOCATION: 0/500100 (file 000000010000000000000005)
CHECKPOINT LOCATION: 0/500060
BACKUP METHOD: streamed
BACKUP FROM: primary
START TIME: 2026-11-20 00:00:00 UTC
LABEL: copy
START TIMELINE: 1
STOP TIME: 2026-11-20 00:00:01 UTC
STOP TIMELINE: 1
LABEL
served() { # NAME: the racer whose content the store gives; "nobody" if nothing is there
    local number
    rm -f got
    object_get "$(wal_key "$1")" got || { echo nobody; return; }
    lz4 -dcq got >plain
    for ((number = 1; number <= racers; number++)); do
        if cmp -s plain "racer.$number/pg_wal/$1"; then echo $number; return; fi
    done
    fail "what is stored as $1 is nobody's"
}
losers_are_told() { # PATTERN: what each that has not succeeded must have said
    local number
    for ((number = 1; number <= racers; number++)); do
        case ${statuses[number - 1]} in
        0) expect_equal "errors of racer $number, who succeeded" "" "$(grep 'error:' "racer.$number/output" | grep -v 'delete.*/probe-' || true)" ;;
        1) grep -Eq "$1" "racer.$number/output" || fail "racer $number was not told: $(cat "racer.$number/output")" ;;
        *) fail "status ${statuses[number - 1]} of racer $number: $(cat "racer.$number/output")" ;;
        esac
    done
}
winners_agree() { # NAME: all who were told of a success, in this round and before, had one content; it is $winner ("" while nobody was)
    local number
    for ((number = 1; number <= racers; number++)); do
        [ "${statuses[number - 1]}" = 0 ] || continue
        : "${winner:=$number}"
        cmp -s "racer.$winner/pg_wal/$1" "racer.$number/pg_wal/$1" || fail "$1: success for the contents of both racer $winner and racer $number ($(said))"
    done
}
told='already, with other content'
asked=0
taken() { [ $((asked++ % $1)) = 0 ]; } # in turn 1 of $1 is
# write_once NAME COUNT: with a store that prevents
write_once() {
    winner=
    contents "$1" "$2"
    race wal-push "pg_wal/$1"
    losers_are_told "$told"
    winners_agree "$1"
    expect_true "somebody has won" test -n "$winner"
    expect_equal "successes" $((racers / $2)) "$(grep -o 0 <<<"${statuses[*]}" | wc -l)"
    cmp -s "racer.$winner/pg_wal/$1" "racer.$(served "$1")/pg_wal/$1" || fail "what is stored is not the winner's"
    taken 4 || return 0
    in_turn wal-push "pg_wal/$1"
    losers_are_told "$told"
    winners_agree "$1"
    expect_equal "successes, asked again" $((racers / $2)) "$(grep -o 0 <<<"${statuses[*]}" | wc -l)"
    cmp -s "racer.$winner/pg_wal/$1" "racer.$(served "$1")/pg_wal/$1" || fail "what is stored is not the winner's any more"
}
# every_partial NAME: two promoted standbys archive different ones, rightly; all are kept
every_partial() {
    local number sum
    contents "$1" $racers
    race wal-push "pg_wal/$1"
    expect_equal "statuses ($(said))" "0 0 0 0 0 0 0 0" "${statuses[*]}"
    in_turn wal-push "pg_wal/$1"
    expect_equal "statuses" "0 0 0 0 0 0 0 0" "${statuses[*]}"
    for ((number = 1; number <= racers; number++)); do
        sum=$(sha256sum <"racer.$number/pg_wal/$1" | cut -c1-8)
        object_get "$(wal_key "$1")" got
        ! lz4 -dcq got | cmp -s - "racer.$number/pg_wal/$1" || continue
        object_get "$(wal_key "$1.$sum")" got
        lz4 -dcq got | cmp - "racer.$number/pg_wal/$1"
    done
}
# ---- repository-init for eight clusters of one name

cat >other_system.py <<'PY'
import sys
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
control = bytearray(open(sys.argv[1], "rb").read())
where = next(n for n in range(200, 400, 4) if crc32c(control[:n]).to_bytes(4, "little") == control[n:n + 4])
control[0] ^= int(sys.argv[2])
control[where:where + 4] = crc32c(control[:where]).to_bytes(4, "little")
open(sys.argv[3], "wb").write(control)
PY
for ((number = 1; number <= racers; number++)); do
    mkdir -p "home.$number/global"
    cp main/PG_VERSION "home.$number/"
    python3 other_system.py main/global/pg_control $((number - 1)) "home.$number/global/pg_control"
done
home_race() { # sets $winner, "" if there is none
    local number
    for ((number = 1; number <= racers; number++)); do
        sed "s|^pgdata = .*|pgdata = $T/home.$number|; s|^state_dir = .*|state_dir = $T/state.$number|" "$CONFIG" >"racer.$number/home.conf"
        chmod 600 "racer.$number/home.conf"
    done
    race repository-init --config home.conf
    losers_are_told "just been made by somebody else|does not accept system"
    winner=
    for ((number = 1; number <= racers; number++)); do
        [ "${statuses[number - 1]}" = 0 ] || continue
        expect_equal "a second winner ($(said))" "" "$winner"
        winner=$number
    done
}
one_home() {
    home_race
    expect_true "somebody has won" test -n "$winner"
    expect_equal "who made it, and says so" 1 "$(said | grep -c ': made' || true)"
    in_turn repository-init --config home.conf
    losers_are_told "does not accept system"
    expect_equal "successes" 1 "$(grep -o 0 <<<"${statuses[*]}" | wc -l)"
    expect_equal "status of the winner" 0 "${statuses[winner - 1]}"
    object_get main/cluster.json got
    expect_true "cluster.json is the winner's" grep -q "\"$(system_identifier "home.$winner")\"" got
    object_delete main/cluster.json
}
next=10
next_name() { # KIND: sets $name
    next=$((next + 1))
    case $1 in
    segment) name=$(S $next) ;;
    history) printf -v name '%08X.history' $next ;;
    partial) name=$(S $next).partial ;;
    backup) name=$(S $next).00000028.backup ;;
    esac
}
rounds() { # NUMBER: races with a store that prevents
    local round
    for ((round = 0; round < $1; round++)); do
        case $((round % 8)) in
        1) next_name history && write_once "$name" 8 ;;
        3) next_name partial && every_partial "$name" ;;
        5) next_name backup && write_once "$name" 4 ;;
        6) next_name segment && write_once "$name" 2 ;;
        *) next_name segment && write_once "$name" 8 ;;
        esac
    done
}
told_unless_overlapping() { # NUMBER: races with a store that neither prevents nor keeps versions
    local round first overlapped=0
    for ((round = 0; round < $1; round++)); do
        next_name segment
        contents "$name" $racers
        race wal-push "pg_wal/$name"
        losers_are_told "$told"
        first=$(grep -o 0 <<<"${statuses[*]}" | wc -l)
        overlapped=$((overlapped + first - 1))
        in_turn wal-push "pg_wal/$name"
        losers_are_told "$told"
        expect_equal "successes, asked again" 1 "$(grep -o 0 <<<"${statuses[*]}" | wc -l)"
        next_name segment
        contents "$name" $racers
        in_turn wal-push "pg_wal/$name"
        losers_are_told "$told"
        expect_equal "who comes first wins" "0 1 1 1 1 1 1 1" "${statuses[*]}"
    done
    echo "$overlapped successes of calls that overlapped were overwritten: what docs/stores.md says of such stores"
}
patient=$'[wal-push]\ntimeout = 120'
condition_of() { object_get main/cluster.json got && grep -o '"put_if_absent": *"[^"]*' got | cut -d'"' -f4; }

few=4 honoured=honoured ignored=ignored # what the real store does with the condition: in a bucket without versions, and with
if [ "${S3_SERVER:-}" = swift ]; then
    few=2 honoured=refused ignored=refused
    told+='|not as an S3 store says it' # of two PUTs at the same moment the earlier is answered 200 without an ETag, and not stored
fi

# ---- stores that prevent it

if [ "$STORE" = file ]; then
    step "a directory"
    config_write "$patient"
    for ((try = 0; try < (FULL ? 40 : 2); try++)); do one_home; done
    expect_status 0 repository-init
    rounds $((FULL ? 400 : 16))
    expect_equal "hidden files" "" "$(find repository -name '.*' -type f)"
    rm -rf repository

    step "a store that ignores the condition, or refuses it, and keeps no versions: told, unless two calls overlap"
    fault_server faults
    for setting in 'set condition ignored' $'set condition refused\nset completion refused'; do
        script "$setting"
        bucket_empty
        STORE=s3 config_write "$patient"
        rm -rf state*
        expect_status 0 repository-init
        expect_output "detected, not prevented"
        told_unless_overlapping $((FULL ? 40 : 3))
    done

    step "a store that keeps versions: what lies over the first content is taken from there, now or with the next call"
    script 'set versions on' 'set condition ignored'
    bucket_empty
    rm -rf state*
    expect_status 0 repository-init
    next_name segment
    contents "$name" $racers
    ln -s "faults/objects/$S3_BUCKET/$S3_PREFIX" repository # where object_get looks
    has() { rm -f got && object_get "$(wal_key "$name")" got && lz4 -dcq got | cmp - "racer.$1/pg_wal/$name"; }
    push_as() { cd "racer.$1" && expect_status "$2" wal-push "pg_wal/$name" && cd "$T"; } # RACER STATUS
    push_as 1 0
    overlapping=$'set versions on\nset condition ignored\nGET *'$name$' 1 1 status=404 code=NoSuchKey'
    script "$overlapping"
    push_as 2 1
    expect_output "$told"
    expect_output "is put back"
    expect_true "the first is served" has 1
    script "$overlapping" "COPY * 1 - status=403 code=AccessDenied"
    push_as 3 1
    expect_output "put back an earlier version.*AccessDenied"
    expect_output "is what a recovery gets"
    expect_true "it can't be put back" has 3
    sed -i 's/^timeout = .*/timeout = 1/' "$CONFIG"
    answers=(status=200)
    [ -z "$FULL" ] || answers+=('status=200 code=AccessDenied' 'status=500 code=InternalError' reset=start)
    for answer in "${answers[@]}"; do
        script 'set versions on' 'set condition ignored' "COPY * 1 - $answer"
        push_as 3 1 # what is served is its own, and still that is no success
        expect_true "it can't be put back" has 3
        push_as 1 1
    done
    sed -i 's/^timeout = .*/timeout = 120/' "$CONFIG"
    script 'set versions on' 'set condition ignored'
    push_as 4 1 # neither the first nor what lies over it
    expect_output "is put back"
    expect_true "anybody puts it back" has 1
    push_as 1 0
    for answer in reset=answer close=middle 'done status=503 code=SlowDown'; do
        script "$overlapping" "COPY * 1 1 $answer"
        push_as 3 1
        expect_output "$told"
        expect_true "done, though the answer was lost" has 1
    done
    script "$overlapping" "COPY * 1 - hang=start"
    (cd racer.5 && exec wal-push "pg_wal/$name" >output 2>&1) &
    hanging=$!
    wait_until 30 "the request that hangs" grep -q "^PUT .*$name 200" faults/requests
    kill -KILL $hanging
    wait $hanging || true
    expect_true "killed before it could put it back" has 5
    script 'set versions on' 'set condition ignored'
    push_as 5 1
    expect_output "is put back"
    expect_true "the next call does" has 1

    step "the same with many versions, told page by page; damaged ones are nobody's"
    for page in 1 2 3; do
        script 'set versions on' 'set condition ignored' "set page $page"
        push_as 5 1
        expect_true "a page of $page: the first is found" has 1
        script "$overlapping" "set page $page"
        push_as 2 1
        expect_true "a page of $page: the first is put back" has 1
    done
    head -c 5000 /dev/urandom >garbage
    script 'set versions on' 'set condition ignored' "GET *$name 1 1 swap=$T/garbage"
    push_as 6 1
    expect_output "is put back"
    expect_true "what is damaged does not stay on top" has 1
    next_name segment
    contents "$name" $racers
    script 'set versions on' 'set condition ignored' "GET *$name 1 1 swap=$T/garbage"
    push_as 1 1
    expect_output "is damaged, and nothing is overwritten"
    script 'set versions on' 'set condition ignored' $'GET *'$name$' 1 1 status=404 code=NoSuchKey'
    push_as 2 1
    expect_output "is damaged, and nothing is overwritten"
    expect_true "what is damaged is not put back" has 2

    step "a fault at each request: never two successes, and afterwards the first content is served"
    sed -i 's/^timeout = .*/timeout = 2/' "$CONFIG"
    push_of() { status=0 && output=$(cd "racer.$1" && wal-push "pg_wal/$name" 2>&1) || status=$?; } # RACER: sets $status
    fault_at() { # OPERATION NUMBER FAULT: of a push over another's content, with the store's ways in the array $ways
        contents "$name" 2
        script "${ways[@]}"
        push_of 1
        expect_equal "status of the first push ($output)" 0 $status
        local lines=("${ways[@]}" "GET *$name 1 1 status=404 code=NoSuchKey" "$1 *$name* $2 1 $3")
        [[ ${ways[*]} = *versions* ]] || unset "lines[-2]" # there it is not told, when calls overlap
        script "${lines[@]}"
        push_of 2
        expect_equal "status over another's content ($output)" 1 $status
        expect_requests 1 "$1 .* fault=$((${#lines[@]} + 1))"
        script "${ways[@]}"
        for number in 2 1 2; do
            push_of $number
            expect_equal "status of racer $number afterwards ($output)" $((number - 1)) $status
        done
        expect_true "the first is served" has 1
    }
    faults_at() { # OPERATION NUMBER
        local fault
        for fault in reset=answer garble status=200 'status=404 code=NoSuchVersion' "${more_faults[@]}"; do
            case "$1 $fault" in PUT*garble | PUT*middle | PUT*length*) continue ;; esac # its answer has no body
            next_name segment
            row "${ways[*]}: $1 $2: $fault" fault_at "$1" "$2" "$fault"
        done
    }
    more_faults=()
    [ -z "$FULL" ] || more_faults=(close=middle 'status=500 code=InternalError' status=404 'status=403 code=AccessDenied'
        'done status=503 code=SlowDown' length=-9 'status=412 code=PreconditionFailed')
    ways=('set versions on' 'set condition ignored')
    faults_at GET 1
    faults_at GET 2
    [ -z "$FULL" ] || for place in PUT VERSIONS COPY; do faults_at $place 1; done
    ways=('set condition ignored')
    faults_at GET 1
    expect_rows $((FULL ? 63 : 12))

    step "a bucket that stops honouring the condition: repository-check says so, --probe settles it"
    script
    bucket_empty
    rm -rf state*
    expect_status 0 repository-init
    script 'set condition ignored'
    expect_status 1 repository-check
    expect_output "otherwise than when it was probed.*--probe"
    expect_status 0 repository-init --probe
    expect_output "detected, not prevented"
    next_name segment
    contents "$name" $racers
    push_as 1 0
    push_as 2 1
    expect_output "$told"

    step "a bucket with a default retention as on AWS: the checksum that it wants is sent, and the condition is not blamed"
    script 'set lock on'
    expect_status 0 repository-init --probe
    expect_output "takes nothing without a checksum header"
    expect_output "checksum = sha256"
    expect_equal "blame for the condition" 0 "$(grep -c "If-None-Match" <<<"$output" || true)"
    next_name segment
    contents "$name" $racers
    push_as 1 0
    expect_output "takes nothing without a checksum header"
    push_as 2 1
    expect_output "$told"
    expect_status 0 repository-check
    kill "$server_pid"
else
    step "a bucket without versions"
    config_write "$patient"
    [ $honoured = refused ] || for ((try = 0; try < (FULL ? 20 : 1); try++)); do one_home; done
    expect_status 0 repository-init
    expect_equal "what cluster.json says of the condition" $honoured "$(condition_of)"
    if [ $honoured = refused ]; then told_unless_overlapping $((FULL ? 40 : 3)); else rounds $((FULL ? 200 : 8)); fi
fi

# ---- stores that keep versions and don't: the first content is served in the end, the others are told, and every one is kept

detected() { # NAME COUNT
    local round
    winner=
    contents "$1" "$2"
    race wal-push "pg_wal/$1"
    losers_are_told "$told"
    winners_agree "$1"
    for round in 1 2; do
        in_turn wal-push "pg_wal/$1"
        losers_are_told "$told"
        winners_agree "$1"
    done
    expect_equal "successes in the end" $((racers / $2)) "$(grep -o 0 <<<"${statuses[*]}" | wc -l)"
    cmp -s "racer.$winner/pg_wal/$1" "racer.$(served "$1")/pg_wal/$1" || fail "what is served is not the winner's"
}
detecting_rounds() { # NUMBER
    local round
    for ((round = 0; round < $1; round++)); do
        case $((round % 6)) in
        1) next_name history && detected "$name" 8 ;;
        3) next_name partial && every_partial "$name" ;;
        4) next_name backup && detected "$name" 4 ;;
        *) next_name segment && detected "$name" 8 ;;
        esac
    done
}
other_bucket() { # NAME
    config_write "$patient"
    sed -i "s|^url = s3://[^/]*|url = s3://$1|" "$CONFIG"
    export S3_BUCKET=$1
    rm -rf state*
}
if [ "$STORE" = s3 ]; then
    first_bucket=$S3_BUCKET
    step "a bucket with versions"
    other_bucket versioned
    s3 versioning on
    home_race
    object_delete main/cluster.json
    expect_status 0 repository-init
    expect_output "detected, not prevented"
    expect_equal "what cluster.json says of the condition" $ignored "$(condition_of)"
    detecting_rounds $((FULL ? 100 : few))

    next_name segment && detected "$name" 8
    other=$((winner % racers + 1))
    s3 delete "$S3_PREFIX/$(wal_key "$name")"
    for try in 1 2; do (cd racer.$other && expect_status 0 wal-push "pg_wal/$name"); done
    expect_equal "what is served when the first was deleted" $other "$(served "$name")"

    if [ "$S3_SERVER" = ceph ]; then # Swift has no locks
        step "a bucket with object lock and a default retention"
        s3 make-bucket "locked-$SEED" lock
        other_bucket "locked-$SEED"
        printf '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>' >lock.xml
        s3 request PUT '?object-lock' lock.xml | head -1 >answer
        expect_equal "answer to the retention" 200 "$(cat answer)"
        home_race
        object_delete main/cluster.json
        expect_status 0 repository-init
        expect_output "left behind" # of the probe: it is locked, too
        expect_equal "what cluster.json says of the condition" ignored "$(condition_of)"
        detecting_rounds $((FULL ? 100 : 3))
        expect_status 0 repository-check
        expect_output "overwrite is detected, not prevented; the bucket keeps versions"
    fi

    step "a bucket whose versions are switched on later: Ceph ignores the condition from then on, and this is noticed"
    s3 make-bucket "later-$SEED"
    other_bucket "later-$SEED"
    expect_status 0 repository-init
    expect_equal "what cluster.json says of the condition" $honoured "$(condition_of)"
    [ $honoured = refused ] || { next_name segment && write_once "$name" 8; }
    s3 versioning on
    detecting_rounds $((FULL ? 40 : 1))
    expect_status 1 repository-check
    expect_output "otherwise than when it was probed.*--probe"
    expect_status 0 repository-init --probe
    expect_equal "what cluster.json says of the condition" $ignored "$(condition_of)"
    detecting_rounds 1
    S3_BUCKET=$first_bucket
fi
