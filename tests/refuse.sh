# refuse.sh: one call after the other of those that a program makes is refused (tests/refuse.c); sourced behind lib.sh and faults.sh.
# A case sets name, command, failing (the exit status, a pattern, when something goes wrong) and, if not 0, expected (when nothing
# does), unsynced (whose fsync need not succeed) and thin. Its functions: NAME_reset, NAME_whole (it is done), NAME_check (nothing is half visible).

ulimit -c 0
: >known
! nm -D "$PROGRAMS/wal-push" | grep __asan_init >/dev/null || skip "AddressSanitizer has the allocations for itself"
cc -shared -fPIC -o refuse.so "$here/refuse.c" -ldl

strike() { # NUMBER ERRNO: the case with this call refused; 0: none. refused says which they were.
    rm -f refused
    "${name}_reset"
    status=0
    output=$(REFUSE=${command[0]}:$1:$2 REFUSE_LOG=$T/refused LD_PRELOAD=$T/refuse.so exec timeout -k 5 60 "${command[@]}" 2>&1) || status=$?
}
function_at() { addr2line -f -e "$(command -v "${command[0]}")" "$1" | sed -n 1p; } # ADDRESS
judge() { # what strike did
    case $status,$what in
    0,*sync\ *) [[ $what =~ ${unsynced:-none} ]] || fail "success, but who knows whether it is on disk" ;;
    "${expected:-0}",*) "${name}_whole" || fail "as if nothing had been refused, but it is not so: $output" ;;
    $failing,* | 2,*) grep -Eq 'error: |  FAILS  ' <<<"$output" || fail "no error: $output" ;;
    *) fail "status $status: $output" ;;
    esac
    "${name}_check"
}
# Threads take turns, so by its number a call may be another one in another run: that is no matter, the row says which it was.
every_call() { # the first $most and the last of those that come from one place; with REFUSE_DEPTH, by one way there
    local number failures=0 before=$rows
    what=none
    strike 0 0
    expect_equal "status of $name, left alone ($output)" "${expected:-0}" "$status"
    judge
    awk '{ if (++seen[$0] <= '"$most"') print NR, $0; last[$0] = NR } END { for (what in last) if (seen[what] > '"$most"') print last[what], what }' refused | sort -n >plan
    while read -r number what <&4; do
        taken || continue
        echo "${command[0]} $what" >>known
        strike "$number" $((number % 3 ? 5 : 28)) # EIO, ENOSPC
        failures=$((failures + (status != 0)))
        what=none # it had fewer calls this time
        [ ! -e refused ] || what="$(<refused) in $(function_at "$(awk 'NR == 1 { print $2 }' refused)")"
        row "$name: call $number, $what, status $status" judge
    done 4<plan
    echo "$name: $((rows - before)) of $(wc -l <plan) calls refused, $failures times it failed (${SECONDS} s)"
}
considered=0 thin=1 most=2
taken() { # one in $thin, and with $fresh only from where none has been refused before; all with --full
    considered=$((considered + 1))
    [ -z "$FULL" ] || return 0
    [ -z "${fresh:-}" ] || ! grep -qxF "${command[0]} $what" known || return 1
    [ $(((considered + SEED) % thin)) = 0 ]
}
