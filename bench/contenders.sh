# contenders.sh: how each contender is set up and called, for $store; sourced by session.sh. The floor needs no set-up.
# X_call WHO ... sets the array $command and the directory $place to run it in.

pgbackrest_configuration() {
    cat <<CONF
[global]
process-max=$JOBS
compress-type=lz4
compress-level=1
start-fast=y
archive-async=n
expire-auto=n
repo1-bundle=y
repo1-retention-full=99
log-level-console=off
log-level-stderr=warn
log-level-file=off
log-path=$T/pgbackrest.log.d
lock-path=$T/pgbackrest.lock
spool-path=$T/pgbackrest.spool
CONF
    if [ "$store" = file ]; then
        printf 'repo1-path=%s\n' "$T/pgbackrest"
    else
        local address=${S3_ENDPOINT#*//}
        printf 'repo1-%s\n' type=s3 path=/pgbackrest "s3-bucket=$S3_BUCKET" "s3-endpoint=${address%:*}" "storage-port=${address##*:}" \
            "storage-ca-file=$S3_CA" s3-uri-style=path "s3-region=$S3_REGION" "s3-key=$S3_ACCESS_KEY" "s3-key-secret=$S3_SECRET_KEY"
    fi
    printf '[%s]\npg1-path=%s\npg1-socket-path=%s\npg1-user=postgres\n' "$cluster" "$T/$cluster" "$T/run/$cluster"
}
repository_root() { # DIRECTORY PREFIX: where walferry's objects are, in $T or in the bucket
    if [ "$store" = file ]; then echo "$1"; else echo "$2"; fi
}
set_up() { # CLUSTER
    cluster=$1
    need_cluster "$cluster"
    walferry=(--config "$T/walferry.$cluster.$store.conf")
    pgbackrest=(pgbackrest --config="$T/pgbackrest.$cluster.$store.conf" --stanza="$cluster")
    system=${systems[$cluster]}
    repository=$(repository_root repository "$S3_PREFIX")
    [ ! -e "$T/pgbackrest.$cluster.$store.conf" ] || return 0
    say "walferry and pgBackRest for the cluster \"$cluster\" and the store $store"
    mkdir -p "$T/pgbackrest" "$T/floor" "$T/pgbackrest.log.d"
    (
        STORE=$store CONFIG=$T/walferry.$cluster.$store.conf CONFIG_NAME=$cluster config_write
        sed -i "s|^pgdata = .*|pgdata = $T/$cluster|; s|^conninfo = [^ ]*|conninfo = host=$T/run/$cluster|
            s|^state_dir = .*|state_dir = $T/state.$cluster|" "$T/walferry.$cluster.$store.conf"
    )
    repository-init "${walferry[@]}"
    (umask 077 && pgbackrest_configuration >"$T/pgbackrest.$cluster.$store.conf")
    "${pgbackrest[@]}" stanza-create
}

# ---- WAL: as archiver and recovery call, in the data directory with a relative path

push_call() { # WHO
    place=$T/main
    case $1 in
    walferry) command=(wal-push "${walferry[@]}" "pg_wal/$segment") ;;
    pgbackrest) command=("${pgbackrest[@]}" archive-push "pg_wal/$segment") ;;
    floor) command=(floor push "pg_wal/$segment" "floor/$segment") ;;
    esac
}
fetch_call() { # WHO
    place=$T/lost
    case $1 in
    walferry) command=(wal-fetch "${walferry[@]}" "$segment" pg_wal/RECOVERYXLOG) ;;
    pgbackrest) command=("${pgbackrest[@]}" --pg1-path="$T/lost" archive-get "$segment" pg_wal/RECOVERYXLOG) ;;
    floor) command=(floor fetch "floor/$segment" pg_wal/RECOVERYXLOG) ;;
    esac
}
# A data directory in recovery, as far as those who fetch look at it.
lost_make() {
    rm -rf lost
    mkdir -p -m 700 lost lost/global lost/pg_wal
    cp main/PG_VERSION lost
    cp main/global/pg_control lost/global
    : >lost/recovery.signal
}
# The keys under which WHO holds $segment, from the root of bucket or directory.
segment_keys() { # WHO
    local prefix
    case $1 in
    walferry) prefix=$repository/$(wal_key "$segment") ;;
    pgbackrest) prefix=pgbackrest/archive/main/15-1/${segment:0:16}/$segment ;; # "-SHA1.lz4" follows
    floor) prefix=floor/$segment ;;
    esac
    if [ "$store" = file ]; then (cd "$T" && ls "$prefix"* 2>/dev/null || true)
    else s3 list "$prefix" | cut -d' ' -f1; fi
}
segment_forget() { # WHO
    local key
    for key in $(segment_keys "$1"); do
        if [ "$store" = file ]; then rm "$T/$key"; else s3 delete "$key"; fi
    done
}

# ---- base backups

# The WAL of a backup goes where the backup goes, by the archive_command of the one whose turn it is.
archive_with() { # WHO
    local setting=true
    case $1 in
    walferry) setting="$PROGRAMS/wal-push ${walferry[*]} %p" ;;
    pgbackrest) setting="${pgbackrest[*]} archive-push %p" ;;
    esac
    sql "$cluster" "alter system set archive_command = '$setting'" "select pg_reload_conf()" >/dev/null
    wait_until 60 "the new archive_command" sql_is "$cluster" "$setting" "show archive_command"
    sql "$cluster" "select pg_switch_wal()" >/dev/null
    wait_until 60 "the archiver" sql_is "$cluster" 0 "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
}
backup_call() { # WHO
    place=$T
    case $1 in
    walferry) command=(basebackup-push "${walferry[@]}" --checkpoint=fast --jobs="$JOBS") ;;
    pgbackrest) command=("${pgbackrest[@]}" --type=full backup) ;;
    floor) command=(floor backup "$JOBS" "$T/$cluster" floor/backup) ;;
    read) command=(floor read "$JOBS" "$T/$cluster") ;;
    pg_basebackup) command=(pg_basebackup -h "$T/run/$cluster" -D "$T/pg_basebackup" -Ft --compress=client-lz4:1 -c fast -X none) ;;
    esac
}
# There is room for one backup of each.
backup_forget() { # WHO
    case $1 in
    walferry)
        if [ "$store" = s3 ]; then s3 purge "$repository/$cluster/$system/base/"; else rm -rf "$T/$repository/$cluster/$system/base"; fi
        ;;
    pgbackrest) "${pgbackrest[@]}" --repo1-retention-full=1 expire ;;
    floor) if [ "$store" = s3 ]; then s3 purge floor/backup-; else rm -f "$T/floor/backup"-*; fi ;;
    pg_basebackup) rm -rf "$T/pg_basebackup" ;;
    esac
}
restore_call() { # WHO [DIRECTORY]
    local directory=${2:-$T/restored}
    place=$T
    case $1 in
    walferry) command=(basebackup-fetch "${walferry[@]}" --jobs="$JOBS" -D "$directory") ;;
    pgbackrest) command=("${pgbackrest[@]}" --pg1-path="$directory" restore) ;;
    floor) command=(floor restore "$JOBS" floor/backup "$directory") ;;
    esac
}
restore_check() { # WHO [DIRECTORY]
    local directory=${2:-$T/restored}
    if [ "$1" = floor ]; then [ -n "$(ls "$directory")" ]
    else pg_controldata "$directory" >/dev/null && cmp "$cluster/PG_VERSION" "$directory/PG_VERSION"; fi
}
# Its files are emptied, and stay until all is over: for minutes after a file was removed ext4 does not use its inode again,
# but looks at it for each file that is made (recently_deleted() in ialloc.c), which took ten times as long as a restore.
discards=0
discard() { # DIRECTORY
    [ -e "$1" ] || return 0
    mkdir -p discarded
    mv "$1" "discarded/$((discards += 1))"
    find "discarded/$discards" -type f -print0 | xargs -0 -r truncate -s 0
}
directory_prepare() { # WHO DIRECTORY
    discard "$2"
    [ "$1" != pgbackrest ] || mkdir -m 700 "$2"
}
need_backup() { # WHO: makes one that can be restored
    local command place
    backup_forget "$1"
    archive_with "$1"
    backup_call "$1"
    there "${command[@]}"
}

# The measures themselves, which a file in bench/measures defines by one of these calls. They take long and find everything in the
# page cache: no round to warm up.
backup_measure() { # CLUSTER [CONTENDER...]
    wanted=$1 contenders=("${@:2}") rounds=$BACKUP_ROUNDS first_round=1
    [ $# -gt 1 ] || contenders=(walferry pgbackrest floor)
    [ $# -gt 1 ] || [ "$store" = s3 ] || contenders+=(read pg_basebackup)
    begin() {
        set_up "$wanted"
        server_cpu=server_cpu_of_cluster
        fact "bytes.$measure" "$(cluster_bytes "$cluster" | cut -d' ' -f1)"
    }
    prepare() {
        backup_forget "$1"
        archive_with "$1"
    }
    call() { backup_call "$1"; }
    check() { :; } # they wait for their WAL and say themselves whether all is there
    end() { backup_forget pg_basebackup; }
}
restore_measure() { # CLUSTER [CONTENDER...]
    wanted=$1 contenders=("${@:2}") rounds=$BACKUP_ROUNDS first_round=1
    [ $# -gt 1 ] || contenders=(walferry pgbackrest floor)
    begin() {
        local who
        set_up "$wanted"
        fact "bytes.$measure" "$(cluster_bytes "$cluster" | cut -d' ' -f1)"
        for who in "${contenders[@]}"; do need_backup "$who"; done
    }
    prepare() { directory_prepare "$1" restored; }
    call() { restore_call "$1"; }
    check() { restore_check "$1"; }
    end() {
        local who
        discard restored
        for who in "${contenders[@]}"; do backup_forget "$who"; done
    }
}

# A backup and its WAL, every byte verified, beside a plain download of the same objects by as many connections.
verify_measure() { # WORKERS [cold]: cold: what is read is not in the page cache
    workers=$1 cold=${2:-} contenders=(walferry download) rounds=$BACKUP_ROUNDS first_round=1
    begin() {
        set_up data
        need_backup walferry
        if [ "$store" = file ]; then (cd "$T" && find "$repository/$cluster/$system" -type f -size +1k -printf '%p %s\n')
        else s3 list "$repository/$cluster/$system/" | awk '$2 > 1024'; fi | grep -E '/(wal|base)/' | LC_ALL=C sort >download.list
        cut -d' ' -f1 download.list >download.keys
        fact "bytes.$measure" "$(awk '{ sum += $2 } END { printf "%.0f", sum }' download.list)"
    }
    prepare() { [ -z "$cold" ] || (cd "$T" && floor forget download.keys); }
    call() {
        place=$T
        case $1 in
        walferry) command=(basebackup-verify "${walferry[@]}" --full --jobs="$workers") ;;
        download) command=(floor download "$workers" "$T/download.keys") ;;
        esac
    }
    check() { :; } # they say themselves what they could not read
    end() { backup_forget walferry; }
}

# Clock ticks that the server has used up to now, in microseconds: the postmaster with the children that have ended, and those that live
# (with theirs: the archiver's commands).
server_cpu_of_cluster() {
    local postmaster
    postmaster=$(head -1 "$cluster/postmaster.pid")
    # shellcheck disable=SC2046
    cat "/proc/$postmaster/stat" $(sed 's|[0-9]*|/proc/&/stat|g; s| /proc//stat| |g' <"/proc/$postmaster/task/$postmaster/children") 2>/dev/null |
        sed 's/^.*) //' | awk -v tick="$(getconf CLK_TCK)" '{ sum += $12 + $13 + $14 + $15 } END { printf "%.0f\n", sum * 1000000 / tick }'
}

# ---- requests, in the S3 server's own log; a measure says by requests() which of those since line $log_begin count

store_log() { echo "${S3_CA%/tls/*}/log/client.rgw.log"; }
count() { # WHAT GOAL COMMAND...: whatever its status
    local what=$1 goal=$2 found
    log_begin=$(wc -l <"$(store_log)")
    (cd "$place" && "${@:3}") || true
    sleep 0.5 # the log is written behind the answer
    found=$(requests walferry | sed 's/?.*list-type.*/ LIST/; s/^GET .* LIST/LIST/; s/ .*//' | sort | uniq -c | awk '{ printf "%s%s %s", n++ ? " + " : "", $1, $2 }')
    echo "count $measure $what: ${found:-none} | $goal" >>"$RESULTS"
}
