# session.sh: what bench/run runs as an ordinary user. Makes a cluster with data, sets walferry and pgBackRest up beside
# each other, and lets them and the floor take turns at each of $MEASURES. What was found out goes to $RESULTS, a line
# each: "fact NAME VALUE", or "run MEASURE CONTENDER ROUND WALL USER SYSTEM PEAK", in microseconds and KiB, with "server MEASURE
# CONTENDER ROUND CPU" where the server's own time was looked at; others are told of where they are written.
# A measure NAME.STORE is bench/measures/NN-NAME.sh, which defines
#   contenders   the names of those who take part
#   rounds       so many are counted; one more comes first, to warm up, unless first_round=1
#   begin        makes what is needed before the first round
#   prepare WHO  what comes before a run and is not measured
#   call WHO     sets the array $command and the directory $place to run it in; perhaps $factor, if it does only a part
#   correct WHO ROUND  perhaps: makes of $T/result what counts
#   check WHO    fails if the run did not do what it should
# or instead of all that
#   all          does and records everything itself
# and perhaps
#   end          what comes after the last round
#   server_cpu=COMMAND  in begin: prints the CPU time of a server whose share is looked at as well
. "$(dirname "$0")/../tests/lib.sh"
. "$SOURCE/bench/contenders.sh"
. "$SOURCE/bench/clusters.sh"
. "$SOURCE/bench/backlog.sh"
. "$SOURCE/bench/delta.sh"
. "$SOURCE/bench/encryption.sh"

say() { echo "$*" >&3; step "$*"; }
fact() { echo "fact $*" >>"$RESULTS"; } # NAME VALUE

# ---- one measure

# Who comes when: after six rounds each of three has been before and behind each other equally often.
order() { # ROUND NAME...
    local orders=("0 1 2" "2 1 0" "1 2 0" "0 2 1" "2 0 1" "1 0 2") i round=$1
    shift
    for i in ${orders[round % 6]}; do [ "$i" -ge $# ] || echo "${@:i+1:1}"; done
    [ $# -le 3 ] || echo "${@:4}"
}
there() { # COMMAND...: where, and for the floor with what, the contender at work runs
    [ "$store" = s3 ] || local -x FLOOR_DIRECTORY=$T
    [ -z "$delayed" ] || local -x S3_ENDPOINT=https://localhost:$delayed
    (cd "$place" && "$@")
}
one_run() { # WHO ROUND
    local before
    measure_options=() factor=1
    prepare "$1"
    call "$1"
    sync
    rm -f result
    [ -z "$server_cpu" ] || before=$($server_cpu)
    there measure "${measure_options[@]}" "$T/result" "${command[@]}" >session.part 2>&1 || { cat session.part && fail "$1"; }
    [ -z "$server_cpu" ] || [ "$2" = 0 ] || echo "server $measure $1 $2 $(($($server_cpu) - before))" >>"$RESULTS"
    cat session.part
    correct "$1" "$2"
    check "$1"
    [ "$factor" = 1 ] || { awk -v factor="$factor" '{ print $1 * factor, $2 * factor, $3 * factor, $4 }' result >result.new && mv result.new result; }
    echo "$measure $1 $2: $(cat result)"
    [ "$2" = 0 ] || echo "run $measure $1 $2 $(cat result)" >>"$RESULTS"
}
run_measure() { # NAME.STORE
    local round who
    measure=$1 store=${1##*.} cluster=main first_round=0 delayed='' waiting=$SEGMENTS server_cpu=''
    correct() { :; }
    end() { :; }
    all() {
        begin
        for round in $(seq "$first_round" "$rounds"); do
            for who in $(order "$round" "${contenders[@]}"); do one_run "$who" "$round"; done
        done
        end
    }
    . "$SOURCE"/bench/measures/[0-9][0-9]-"${1%.*}".sh
    say "$measure"
    all
}

# ---- the session

: >"$RESULTS"
fact load_before "$(cut -d' ' -f1-3 /proc/loadavg)"
for name in $MEASURES; do run_measure "$name"; done
fact load_after "$(cut -d' ' -f1-3 /proc/loadavg)"
fact pgbackrest "$(pgbackrest version)"
fact barman "$(barman-cloud-wal-archive --version 2>/dev/null | grep -o '[0-9.]*$' || true)"
fact postgresql "$(postgres --version | cut -d' ' -f3-)"
fact radosgw "$(radosgw --version 2>/dev/null | cut -d' ' -f1-3)"
fact jobs "$JOBS"
fact seconds "$SECONDS"
