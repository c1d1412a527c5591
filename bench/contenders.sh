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
    printf '[main]\npg1-path=%s\npg1-socket-path=%s\npg1-user=postgres\n' "$T/main" "$T/run/main"
}
set_up() {
    need_main
    walferry=(--config "$T/walferry.$store.conf")
    pgbackrest=(pgbackrest --config="$T/pgbackrest.$store.conf" --stanza=main)
    system=$main_system
    [ ! -e "$T/pgbackrest.$store.conf" ] || return 0
    say "walferry and pgBackRest for the store $store"
    mkdir -p "$T/pgbackrest" "$T/floor" "$T/pgbackrest.log.d"
    (STORE=$store CONFIG=$T/walferry.$store.conf config_write)
    repository-init "${walferry[@]}"
    (umask 077 && pgbackrest_configuration >"$T/pgbackrest.$store.conf")
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
# The keys under which WHO holds $segment, from the root of bucket or directory.
segment_keys() { # WHO
    local prefix=$([ "$store" = file ] && echo repository || echo "$S3_PREFIX")
    case $1 in
    walferry) prefix+=/$(wal_key "$segment") ;;
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
    sql main "alter system set archive_command = '$setting'" "select pg_reload_conf()" >/dev/null
    wait_until 60 "the new archive_command" sql_is main "$setting" "show archive_command"
    sql main "select pg_switch_wal()" >/dev/null
    wait_until 60 "the archiver" sql_is main 0 "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
}
backup_call() { # WHO
    place=$T
    case $1 in
    walferry) command=(basebackup-push "${walferry[@]}" --checkpoint=fast --jobs="$JOBS") ;;
    pgbackrest) command=("${pgbackrest[@]}" --type=full backup) ;;
    floor) floor_backup=floor/backup-$((${floor_backup##*-} + 1)) command=(floor backup "$JOBS" "$T/main" "$floor_backup") ;;
    esac
}
floor_backup=floor/backup-0
restore_call() { # WHO
    place=$T
    case $1 in
    walferry) command=(basebackup-fetch "${walferry[@]}" --jobs="$JOBS" -D "$T/restored") ;;
    pgbackrest) command=("${pgbackrest[@]}" --pg1-path="$T/restored" restore) ;;
    floor) command=(floor restore "$JOBS" "$floor_backup" "$T/restored") ;;
    esac
}
