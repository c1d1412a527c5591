# delta.sh: a directory of which a part has changed, and how it is made right again; sourced by session.sh.

delta_measure() { # CLUSTER
    wanted=$1 contenders=(walferry pgbackrest cat) rounds=$BACKUP_ROUNDS first_round=1
    begin() {
        local who command place
        set_up "$wanted"
        fact "bytes.$measure" "$(cluster_bytes "$cluster" | cut -d' ' -f1)"
        for who in walferry pgbackrest; do
            need_backup "$who"
            directory_prepare "$who" "restored.$who"
            restore_call "$who" "$T/restored.$who"
            there "${command[@]}"
        done
        delta_choose
    }
    prepare() { delta_prepare "$1"; }
    call() { delta_call "$1"; }
    correct() { delta_fetched "$1" "$2"; }
    check() { delta_check "$1"; }
    end() {
        discard restored.walferry
        discard restored.pgbackrest
        backup_forget walferry
        backup_forget pgbackrest
    }
}
# One file in a hundred of those that hold tables and indexes, by name: as large as they come. Most of them are small
# where the tables are few: so the largest that has not more than a hundredth of all bytes is changed too.
delta_choose() {
    (cd restored.walferry && find base -type f -name '[0-9]*' -size +0 -printf '%s %p\n' | LC_ALL=C sort -k2 |
        awk -v all="$(cluster_bytes "$cluster" | cut -d' ' -f1)" 'NR % 100 == 50 { print $2; next } $1 * 100 <= all && $1 > most { most = $1; largest = $2 }
            END { if (largest != "") print largest }') >changed
    (cd restored.walferry && xargs sha256sum <"$T/changed") >changed.sums
    delta_bytes=$(cd restored.walferry && xargs stat -c %s <"$T/changed" | awk '{ sum += $1 } END { printf "%.0f", sum }')
    fact "changed-$cluster" "$(wc -l <changed) files, $((delta_bytes >> 20)) MiB"
}
# Who comes to such a directory finds nothing of it in memory.
delta_prepare() { # WHO
    local directory=restored.$1
    [ "$1" != cat ] || directory=restored.walferry
    [ "$1" = cat ] || (cd "$directory" && python3 -c '
import os, sys
for path in sys.stdin.read().split():
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(os.urandom(100))' <"$T/changed")
    sync
    python3 -c '
import os, sys
for directory, _, names in os.walk(sys.argv[1]):
    for name in names:
        fd = os.open(os.path.join(directory, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)' "$directory"
    [ "$store" = file ] || log_begin=$(wc -l <"$(store_log)")
}
store_log() { echo "${S3_CA%/tls/*}/log/client.rgw.log"; }
delta_call() { # WHO
    place=$T
    case $1 in
    walferry) command=(basebackup-fetch "${walferry[@]}" --jobs="$JOBS" --delta -D "$T/restored.walferry") ;;
    pgbackrest) command=("${pgbackrest[@]}" --pg1-path="$T/restored.pgbackrest" --delta restore) ;;
    cat) command=(sh -c "find $T/restored.walferry -type f -print0 | xargs -0 -n 256 -P $JOBS cat >/dev/null") ;;
    esac
}
# What the store's own log says was sent: of the backup's data, and of its index.
delta_fetched() { # WHO ROUND
    [ "$store" = s3 ] && [ "$1" != cat ] || return 0
    sleep 0.5 # the log is written behind the answer
    tail -n +$((log_begin + 1)) "$(store_log)" | sed -n 's/.*beast: .*"GET \([^ ]*\) HTTP[^"]*" 20[06] \([0-9]*\) .*/\1 \2/p' |
        awk -v start="fetched $measure $1 $2 $delta_bytes" '
            $1 ~ /\/(main|[0-9]+|external)-[0-9]+(\?|$)|\/(bundle|pg_data)\// { data += $2; next }
            { index_ += $2 }
            END { printf "%s %.0f %.0f\n", start, data, index_ }' >>"$RESULTS"
}
delta_check() { # WHO
    [ "$1" = cat ] || (cd "restored.$1" && sha256sum --quiet -c "$T/changed.sums")
}
