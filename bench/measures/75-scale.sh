# goal: a call costs the same however many files wait; of a segment stored ahead, and of one that is not, with ahead = 0
# stores: file
all() {
    local number names last
    need_backlog
    backlog_set_up
    sed 's/^\[cluster\]/[wal-push]\nahead = 0\n&/' "$T/$label.walferry.conf" >"$T/scale.conf"
    chmod 600 "$T/scale.conf"
    waiting=$((SEGMENTS < 65 ? SEGMENTS : 65))
    last=pg_wal/${segments[waiting - 1]}
    for number in 100 1000 10000 100000; do
        backlog_prepare walferry
        (cd backlog && wal-push "${walferry[@]}" "pg_wal/${segments[0]}")
        (cd backlog/pg_wal/archive_status && python3 -c '
import sys
timeline, first = sys.argv[1][:8], int(sys.argv[1][8:16], 16) * 256 + int(sys.argv[1][16:], 16)
for n in range(first, first + int(sys.argv[2])): open(f"{timeline}{n >> 8:08X}{n & 255:08X}.ready", "w").close()' "${segments[0]}" "$number")
        rm -f turns
        (cd backlog && turns "$T/turns" $((HITS / 3 + 1)) true "wal-push ${walferry[*]} $last" \
            "rm -f $T/backlog-walferry/backlog/*/wal/*/${segments[0]}; exec wal-push --config $T/scale.conf pg_wal/${segments[0]}")
        awk -v number="$number" 'BEGIN { split("nothing hit push", name) }
            $2 > 0 { print "scale", number, name[$1 + 1], $3, $4, $5, $6 }' turns >>"$RESULTS"
        find backlog/pg_wal/archive_status -type f -delete
    done
}
