# goal: a call for a segment that has been stored ahead, beside a shell that does nothing; all through a shell, as PostgreSQL calls
# stores: s3 file
contenders=(nothing walferry pgbackrest)
all() {
    local last who commands
    need_backlog
    backlog_set_up
    backlog_prepare pgbackrest
    backlog_prepare walferry
    for who in walferry pgbackrest; do (cd backlog && sh -c "$(archive_command $who | sed "s|%p|pg_wal/${segments[0]}|")"); done
    last=$(tail -n 1 backlog.state/stored-ahead | cut -c 1-24) # of what walferry remembers, the last
    wait_until 300 "pgBackRest's $last" test -e "pgbackrest.spool/archive/backlog/out/$last.ok"
    last=pg_wal/$last
    rm -f turns
    mapfile -t commands < <(echo true && for who in walferry pgbackrest; do archive_command $who | sed "s|%p|$last|"; done)
    (cd backlog && turns "$T/turns" $((HITS + 10)) "${commands[@]}") # the first ten warm up
    awk -v measure="$measure" -v names="${contenders[*]}" \
        'BEGIN { split(names, name) } $2 >= 10 { print "run", measure, name[$1 + 1], $2 - 9, $3, $4, $5, $6 }' turns >>"$RESULTS"
}
