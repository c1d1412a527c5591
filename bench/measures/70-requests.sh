# goal: requests that one call sends, as the store's own log has them
# stores: s3
requests() { # of one kind, in the order of the log
    sed -n "$((log_begin + 1)),\$ s/.*beast: .*\"\([A-Z]* [^ ]*\) HTTP.*/\1/p" "$(store_log)" | grep "backlog-$1/\|prefix=backlog-$1\|/$S3_BUCKET/? *\|$S3_BUCKET?" || true
}
all() {
    local first second
    need_backlog
    backlog_set_up
    whole_recovery
    backlog_empty walferry
    first=${segments[0]} second=${segments[1]} place=$T/backlog
    backlog_wait 1
    wal-push "${walferry[@]}" "backlog/pg_wal/$first" # cluster.json is remembered now
    rm backlog/pg_wal/archive_status/*
    : >"backlog/pg_wal/archive_status/$second.ready"
    count push "1 PUT" wal-push "${walferry[@]}" "pg_wal/$second"
    count "push-identical" "1 GET + 1 PUT" wal-push "${walferry[@]}" "pg_wal/$second"
    sed 's/^\[cluster\]/[wal-fetch]\nread_ahead = 0\n&/' "$T/$label.walferry.conf" >"$T/alone.conf"
    chmod 600 "$T/alone.conf"
    # a server that waits in recovery, and does not ask meanwhile
    waiting=2
    recovery_prepare walferry
    sed -i 's/^recovery_target_action = .*/recovery_target_action = pause/' lost/postgresql.conf
    echo "wal_retrieve_retry_interval = 1h" >>lost/postgresql.conf
    server_start lost
    wait_paused lost
    by_hand recovery " + 1 LIST"
    server_stop lost immediate
    sed -i '/^recovery_target/d' lost/postgresql.conf
    mv lost/recovery.signal lost/standby.signal
    server_start lost
    wait_until 60 "the end of the archive" grep -q " 1$" calls
    by_hand standby ""
    server_stop lost immediate
}
# Reading ahead asks for nothing twice, and past the end of the archive once for each worker at most; the server asks for
# history files too.
whole_recovery() {
    local command place measure_options factor found goal
    waiting=$((SEGMENTS < 64 ? SEGMENTS : 64))
    backlog_prepare walferry
    backlog_call walferry
    there "${command[@]}"
    recovery_prepare walferry
    recovery_call walferry
    log_begin=$(wc -l <"$(store_log)")
    there measure "${measure_options[@]}" "$T/unused" "${command[@]}"
    sleep 0.5
    found=$(requests walferry | grep -c '^GET .*/wal/')
    goal="$waiting to $((waiting + 8)) GET"
    [ "$found" -lt "$waiting" ] || [ "$found" -gt $((waiting + 8)) ] || goal="$found GET"
    echo "count $measure recovery of $waiting segments: $found GET | $goal" >>"$RESULTS"
}
by_hand() { # WHO-ASKS ONE-MORE
    place=$T/lost
    sleep 2 # what was begun ahead is done
    count "$1-hit" "1 GET" wal-fetch --config "$T/alone.conf" "$first" pg_wal/RECOVERYXLOG
    count "$1-miss" "1 GET$2" wal-fetch --config "$T/alone.conf" "${segments[2]}" pg_wal/RECOVERYXLOG
}
